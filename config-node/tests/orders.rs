//! Orders to nodes given to two config-nodes on one store at once, and what is left of them when one ends.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use volery_config::follow::{HeldLease, follow_map, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts, assign};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::{Partition, Partitions};
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::shutdown::Shutdown;
use volery_ports::cluster::{Action, Board as _, Order, OrderError};
use volery_ports::cluster_store::ClusterStore;
use volery_sql::SqliteStore;
use volery_testkit::cluster::{KIND, PARTITIONS, hold, shares};
use volery_testkit::cluster_store::ModelClusterStore;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

async fn start(store: Arc<dyn ClusterStore>, look_every: Duration) -> Arc<ConfigNode> {
    let options = ConfigOptions { look_every, ..ConfigOptions::new(Partitions::new(PARTITIONS).expect("partitions")) };
    let (clock, shutdown, health) = (Arc::new(SystemClock), Shutdown::new(), Health::new());
    Arc::new(ConfigNode::start(options, ConfigParts { store, clock, shutdown, health }).await.expect("starts"))
}

fn holds(node: &Arc<ConfigNode>, names: &[&str]) -> Vec<HeldLease> {
    names.iter().map(|name| hold_lease(node.clone(), hold(name, "p"))).collect()
}

async fn map_with(node: &Arc<ConfigNode>, wanted: impl Fn(&PartitionMap) -> bool) -> PartitionMap {
    let mut maps = follow_map(node.clone(), KIND).await;
    let map = tokio::time::timeout(LONG, maps.wait_for(|map| wanted(map))).await;
    map.expect("in time").expect("followed").as_ref().clone()
}

fn order(action: Action) -> Order {
    Order { kind: KIND, action, seen: None, by: "ada".to_owned() }
}

fn drain(node: &str) -> Order {
    order(Action::Drain(node.to_owned()))
}

fn undrain(node: &str) -> Order {
    order(Action::Undrain(node.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_drain_the_last_two_nodes_at_once_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = async || Arc::new(SqliteStore::open(&folder.path().join("db")).await.expect("opens"));
    let often = Duration::from_millis(5);
    let (one, other) = (start(database().await, often).await, start(database().await, often).await);
    let _leases = holds(&one, &["a", "b"]);
    map_with(&one, |map| map.members().len() == 2).await;
    for _ in 0..8 {
        let (a, b) = tokio::join!(one.order(drain("a")), other.order(drain("b")));
        let (drained, kept) = if a.is_ok() { ("a", b) } else { ("b", a) };
        let name = if drained == "a" { "b" } else { "a" };
        assert_eq!(kept, Err(OrderError::LastNode(name.to_owned())), "{drained} was drained");
        let drains = other.drains(KIND).await.expect("answers");
        assert_eq!(drains.iter().map(|drain| drain.node.as_str()).collect::<Vec<_>>(), [drained]);
        assert!(one.order(undrain(drained)).await.is_ok());
    }
}

#[tokio::test]
async fn two_config_nodes_move_no_faster_than_one() {
    const LOOK_EVERY: Duration = Duration::from_millis(40);
    let store = Arc::new(ModelClusterStore::default());
    let (one, other) = (start(store.clone(), LOOK_EVERY).await, start(store.clone(), LOOK_EVERY).await);
    let _leases = holds(&one, &["a", "b"]);
    map_with(&one, |map| shares(map) == [("a", 4), ("b", 4)]).await;
    let begun = Instant::now();
    let taken = other.order(drain("a")).await.expect("taken");
    let empty = map_with(&one, |map| shares(map) == [("a", 0), ("b", 8)]).await;
    assert_eq!(empty.version() - taken.version(), 4, "one by one");
    assert!(begun.elapsed() >= 4 * LOOK_EVERY, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_drain_and_a_move_outlive_the_config_nodes_that_took_them() {
    let (store, often) = (Arc::new(ModelClusterStore::default()), Duration::from_millis(5));
    let first = start(store.clone(), often).await;
    let leases = holds(&first, &["a", "b", "c"]);
    map_with(&first, |map| map.members().len() == 3 && assign::left(map) == 0).await;
    first.order(drain("c")).await.expect("taken");
    drop((leases, first));
    let second = start(store.clone(), often).await;
    let _leases = holds(&second, &["a", "b", "c"]);
    let drained = map_with(&second, |map| shares(map) == [("a", 4), ("b", 4), ("c", 0)]).await;
    assert!(drained.member("c").is_some_and(|member| !member.serves()));
    let of_a = drained.owners().position(|owner| owner == Some(0)).expect("it has some");
    let partition = Partition(of_a as u16);
    let moved = second.order(order(Action::Move(partition, "b".to_owned()))).await.expect("taken");
    assert!(moved.is_owned_by(partition, "b"));
    let third = start(store, often).await;
    assert_eq!(map_with(&third, |map| map.version() >= moved.version()).await, moved, "nothing was undone");
    assert!(third.order(undrain("c")).await.is_ok_and(|map| map.members().iter().all(Member::serves)));
}
