//! Config-nodes on one store, the nodes that they look after, and what happens when either goes away.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use volery_config::follow::{HeldLease, Standing, follow_map, hold_lease};
use volery_config::{ConfigNode, ConfigOptions, ConfigParts, HASH, LEVEL, StartError, assign};
use volery_kernel::limits;
use volery_kernel::map::PartitionMap;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock;
use volery_node::clock::SystemClock;
use volery_node::health::{Health, State};
use volery_node::shutdown::{Shutdown, Stage};
use volery_ports::accounts::Unavailable;
use volery_ports::cluster::{Board as _, Cluster, HoldError};
use volery_ports::cluster_store::{ClusterStore, Facts};
use volery_sql::SqliteStore;
use volery_testkit::cluster::{KIND, PARTITIONS, conformance, hold, pass, shares};
use volery_testkit::cluster_store::{ModelClusterStore, change, member};
use volery_testkit::sql::ManualClock;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn options() -> ConfigOptions {
    let partitions = Partitions::new(PARTITIONS).expect("partitions");
    ConfigOptions { look_every: Duration::from_millis(5), ..ConfigOptions::new(partitions) }
}

fn parts(store: Arc<dyn ClusterStore>, clock: Arc<dyn Clock>) -> ConfigParts {
    ConfigParts { store, clock, shutdown: Shutdown::new(), health: Health::new() }
}

async fn start(store: Arc<dyn ClusterStore>, clock: Arc<dyn Clock>) -> Arc<ConfigNode> {
    Arc::new(ConfigNode::start(options(), parts(store, clock)).await.expect("starts"))
}

/// The first map that is as wanted.
async fn map_with(
    follower: &mut watch::Receiver<Arc<PartitionMap>>,
    wanted: impl Fn(&PartitionMap) -> bool,
) -> Arc<PartitionMap> {
    let map = tokio::time::timeout(LONG, follower.wait_for(|map| wanted(map))).await;
    Arc::clone(&map.expect("in time").expect("followed"))
}

async fn standing(lease: &HeldLease, wanted: &Standing) {
    let mut standing = lease.standing();
    let reached = tokio::time::timeout(LONG, standing.wait_for(|now| now == wanted)).await.map(drop);
    assert!(reached.is_ok(), "{:?} and never {wanted:?}", *lease.standing().borrow());
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let node = start(store.clone(), clock.clone()).await;
    conformance(&store, &clock, node.as_ref()).await;
}

/// The everyday of a cluster, in real time on a real store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_on_one_database_agree_and_a_node_that_died_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = async || Arc::new(SqliteStore::open(&folder.path().join("db")).await.expect("opens"));
    let one = start(database().await, Arc::new(SystemClock)).await;
    let other = start(database().await, Arc::new(SystemClock)).await;
    let (mut from_one, mut from_other) = (follow_map(one.clone(), KIND).await, follow_map(other.clone(), KIND).await);

    let a = hold_lease(one.clone(), hold("a", "p"));
    let b = hold_lease(other.clone(), hold("b", "p"));
    let c = hold_lease(one.clone(), hold("c", "p"));
    for lease in [&a, &b, &c] {
        standing(lease, &Standing::Held).await;
    }
    let all = |map: &PartitionMap| map.members() == ["a", "b", "c"].map(member) && assign::left(map) == 0;
    let three = map_with(&mut from_one, all).await;
    assert_eq!(three, map_with(&mut from_other, all).await);
    let mut counts: Vec<_> = shares(&three).into_iter().map(|(_, count)| count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 3, 3]);

    drop(b);
    let without_b = |map: &PartitionMap| map.members() == ["a", "c"].map(member);
    let two = map_with(&mut from_one, without_b).await;
    assert_eq!(two, map_with(&mut from_other, without_b).await);
    assert_eq!((two.version(), shares(&two)), (three.version() + 1, vec![("a", 4), ("c", 4)]));

    assert_eq!(c.leave().await, Ok(()));
    let alone = map_with(&mut from_other, |map| map.members() == [member("a")]).await;
    assert_eq!(shares(&alone), [("a", 8)]);
    standing(&a, &Standing::Held).await;
}

#[tokio::test]
async fn a_name_belongs_to_one_process() {
    let node = start(Arc::new(ModelClusterStore::default()), Arc::new(SystemClock)).await;
    let first = hold_lease(node.clone(), hold("a", "first"));
    standing(&first, &Standing::Held).await;
    let second = hold_lease(node.clone(), hold("a", "second"));
    standing(&second, &Standing::Refused(HoldError::NameTaken("a".into()))).await;
    assert_eq!(*first.standing().borrow(), Standing::Held);
    assert_eq!(first.leave().await, Ok(()));
    standing(&second, &Standing::Held).await;
}

/// It was paused, or cut off: it has not ended, and is one of them again by itself.
#[tokio::test]
async fn a_node_whose_lease_was_ended_takes_another_one() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let node = start(store.clone(), clock).await;
    let mut maps = follow_map(node.clone(), KIND).await;
    let [a, b] = ["a", "b"].map(|name| hold_lease(node.clone(), hold(name, "p")));
    let even = |map: &PartitionMap| shares(map) == [("a", 4), ("b", 4)];
    map_with(&mut maps, even).await;
    loop {
        let leases = store.leases(KIND).await.expect("answers");
        // Renewed in this very moment.
        if store.end(KIND, &leases[1]).await.expect("answers") {
            break;
        }
    }
    map_with(&mut maps, |map| shares(map) == [("a", 8)]).await;
    map_with(&mut maps, even).await;
    [a, b].iter().for_each(|lease| assert_eq!(*lease.standing().borrow(), Standing::Held));
}

#[tokio::test]
async fn a_node_that_is_about_to_end_is_drained_and_is_a_member_until_it_leaves() {
    let node = start(Arc::new(ModelClusterStore::default()), Arc::new(SystemClock)).await;
    let mut maps = follow_map(node.clone(), KIND).await;
    let (mut a, b) = (hold_lease(node.clone(), hold("a", "p")), hold_lease(node.clone(), hold("b", "p")));
    map_with(&mut maps, |map| shares(map) == [("a", 4), ("b", 4)]).await;
    assert_eq!(a.drain().await, Ok(()));
    let empty = map_with(&mut maps, |map| shares(map) == [("a", 0), ("b", 8)]).await;
    assert!(!empty.members()[0].serves() && empty.members()[1].serves());
    assert_eq!(a.leave().await, Ok(()));
    map_with(&mut maps, |map| shares(map) == [("b", 8)]).await;
    standing(&b, &Standing::Held).await;
}

#[tokio::test]
async fn who_died_in_an_outage_is_replaced_after_it_and_the_others_stay() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let nodes = [start(store.clone(), clock.clone()).await, start(store.clone(), clock.clone()).await];
    let renew = async |names: &[&str]| {
        for (name, node) in names.iter().zip(nodes.iter().cycle()) {
            assert_eq!(node.hold(hold(name, "p")).await, Ok(()), "{name}");
        }
    };
    let version = async || nodes[1].map(KIND, 0, Duration::ZERO).await.expect("answers").version();
    renew(&["a", "b", "c"]).await;
    let mut maps = follow_map(nodes[0].clone(), KIND).await;
    let before = map_with(&mut maps, |map| map.members().len() == 3 && assign::left(map) == 0).await;

    store.set_away(true);
    pass(&store, &clock, 2, 4 * limits::LEASE_MS.value).await;
    store.set_away(false);
    for _ in 0..2 {
        pass(&store, &clock, 2, limits::LEASE_EVERY_MS.value).await;
        assert_eq!(version().await, before.version(), "leases began anew");
        renew(&["a", "b"]).await;
    }
    pass(&store, &clock, 2, 2 * limits::LEASE_EVERY_MS.value).await;
    let after = map_with(&mut maps, |map| map.members().len() == 2).await;
    assert_eq!(shares(&after), [("a", 4), ("b", 4)]);
    let of = |map: &PartitionMap, partition: u16| map.owner(Partition(partition)).map(|owner| owner.name.clone());
    let moved = (0..PARTITIONS).filter(|partition| of(&before, *partition) != of(&after, *partition));
    let (moved, of_c) = (moved.count(), shares(&before)[2].1);
    assert_eq!((moved, shares(&before)[2].0), (of_c, "c"), "only what c had");
}

#[tokio::test]
async fn of_two_config_nodes_one_may_go() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let one = start(store.clone(), clock.clone()).await;
    let other = start(store.clone(), clock.clone()).await;
    assert_eq!(one.hold(hold("a", "p")).await, Ok(()));
    assert_eq!(one.hold(hold("b", "p")).await, Ok(()));
    assert_eq!(one.change(change("messaging.sends_burst", Some("300"), 0)).await.map(|set| set.version), Ok(1));
    drop(one);
    let settings = other.settings(0, LONG).await.expect("answers");
    assert_eq!(settings.version, 1);
    let mut maps = follow_map(other.clone(), KIND).await;
    map_with(&mut maps, |map| map.members().len() == 2).await;
    for _ in 0..4 {
        assert_eq!(other.hold(hold("a", "p")).await, Ok(()), "renewed where it was not taken");
        pass(&store, &clock, 1, limits::LEASE_EVERY_MS.value).await;
    }
    map_with(&mut maps, |map| map.members() == [member("a")]).await;
}

#[tokio::test]
async fn a_config_node_says_that_the_store_is_away_and_that_it_is_back() {
    let store = Arc::new(ModelClusterStore::default());
    let parts = parts(store.clone(), Arc::new(ManualClock::default()));
    let (health, shutdown) = (parts.health.clone(), parts.shutdown.clone());
    let node = ConfigNode::start(options(), parts).await.expect("starts");
    let state = || health.report().parts["cluster"].clone();
    let until = async |wanted: State| {
        let seen = tokio::time::timeout(LONG, async {
            while state() != wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "{:?} and never {wanted:?}", state());
    };
    until(State::Ready).await;
    store.set_away(true);
    until(State::Degraded("no leases, no changes: switched off".into())).await;
    assert!(health.report().ready, "maps and settings are answered on");
    store.set_away(false);
    until(State::Ready).await;
    let waiting = tokio::time::timeout(LONG / 2, node.map(KIND, 1, LONG));
    let (answered, ()) = tokio::join!(waiting, async { shutdown.advance(Stage::Draining) });
    assert_eq!(answered.expect("at once").map(|map| map.version()), Ok(1), "who leaves lets nobody wait");
}

#[tokio::test]
async fn another_cluster_s_store_is_refused() {
    let refused = async |store: Arc<ModelClusterStore>| {
        let started = ConfigNode::start(options(), parts(store, Arc::new(ManualClock::default()))).await;
        started.map(drop).expect_err("refused")
    };
    let store = Arc::new(ModelClusterStore::default());
    let facts = |partitions, hash: &str, level| Facts { partitions, hash: hash.into(), level };
    store.facts(facts(48, HASH, LEVEL)).await.expect("made");
    assert_eq!(refused(store.clone()).await, StartError::Partitions { cluster: 48, node: PARTITIONS });
    assert_eq!(store.map(KIND, 0).await, Ok(None), "nothing was written");
    store.set_away(true);
    assert_eq!(refused(store).await, StartError::Unavailable(Unavailable("switched off".into())));
    for (made, error) in [
        (facts(PARTITIONS, "another", LEVEL), StartError::Hash("another".into())),
        (facts(PARTITIONS, HASH, LEVEL + 1), StartError::Level(LEVEL + 1)),
    ] {
        let store = Arc::new(ModelClusterStore::default());
        store.facts(made).await.expect("made");
        assert_eq!(refused(store).await, error);
    }
}
