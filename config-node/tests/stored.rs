//! Settings straight on the store: the same promises as a config-node's, and seen by config-nodes and by others
//! who look at the store.

#![allow(clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use volery_config::StoredBoard;
use volery_config::follow::follow_settings;
use volery_kernel::map::{PartitionMap, PerKind};
use volery_kernel::slot::Partition;
use volery_kernel::slot::Partitions;
use volery_ports::accounts::Unavailable;
use volery_ports::cluster::{Action, Board, ChangeError, Order, OrderError};
use volery_ports::cluster_store::ClusterStore;
use volery_sql::SqliteStore;
use volery_testkit::cluster::{KIND, settings_are_changed};
use volery_testkit::cluster_store::{ModelClusterStore, change, map, member};
use volery_testkit::sql::ManualClock;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
const BURST: &str = "messaging.sends_burst";

fn only() -> PartitionMap {
    PartitionMap::whole(member("only"), Partitions::new(4).expect("partitions"))
}

fn board(store: Arc<dyn ClusterStore>, clock: &Arc<ManualClock>) -> StoredBoard {
    StoredBoard::new(store, clock.clone(), PerKind::from_fn(|_| only()))
}

#[tokio::test]
async fn settings_keep_the_contract_on_a_model_and_in_a_file() {
    let clock = Arc::new(ManualClock::default());
    settings_are_changed(&clock, &board(Arc::new(ModelClusterStore::default()), &clock)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = SqliteStore::open(&folder.path().join("accounts.db")).await.expect("a store");
    settings_are_changed(&clock, &board(Arc::new(file), &clock)).await;
}

#[tokio::test]
async fn a_map_is_the_stores_once_somebody_wrote_one() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let board = board(store.clone(), &clock);
    assert_eq!(board.map(KIND, 0, Duration::ZERO).await, Ok(only()));
    let written = map(1, &["a"], &[Some(0)]);
    assert_eq!(store.put_map(KIND, &written, None).await, Ok(true));
    assert_eq!(board.map(KIND, 0, Duration::ZERO).await, Ok(written));
}

#[tokio::test]
async fn the_only_node_is_the_last_one() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let board = board(store.clone(), &clock);
    let give = async |action| board.order(Order { kind: KIND, action, seen: None, by: "ada".into() }).await;
    let named = |name: &str| name.to_owned();
    assert_eq!(give(Action::Drain(named("only"))).await, Err(OrderError::LastNode(named("only"))));
    assert_eq!(give(Action::Drain(named("b"))).await, Err(OrderError::NoNode(named("b"))));
    assert_eq!(give(Action::Move(Partition(0), named("b"))).await, Err(OrderError::NoNode(named("b"))));
    assert_eq!(give(Action::Move(Partition(0), named("only"))).await, Ok(only()), "it is there");
    assert_eq!(give(Action::Undrain(named("only"))).await, Ok(only()), "it serves");
    assert_eq!((store.map(KIND, 0).await, board.drains(KIND).await), (Ok(None), Ok(Vec::new())), "nothing was written");
}

#[tokio::test]
async fn who_follows_it_sees_what_another_process_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, clock) = (folder.path().join("accounts.db"), Arc::new(ManualClock::default()));
    let node = SqliteStore::open(&file).await.expect("a store");
    let operator = board(Arc::new(SqliteStore::open(&file).await.expect("another")), &clock);
    let mut followed = follow_settings(Arc::new(board(Arc::new(node), &clock)));
    let set = operator.change(change(BURST, Some("300"), 0)).await.expect("a good value");
    let shown = tokio::time::timeout(LONG, followed.wait_for(|now| now.settings.contains(&set))).await;
    assert_eq!(shown.expect("in time").expect("followed").version, 1);
    let stale = operator.change(change(BURST, Some("400"), 0)).await;
    assert_eq!(stale, Err(ChangeError::Stale { name: BURST.into(), version: 1, seen: 0 }));
}

#[tokio::test]
async fn a_store_that_is_away_is_said_and_changes_nothing() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let board = board(store.clone(), &clock);
    store.set_away(true);
    let away = Unavailable("switched off".into());
    assert_eq!(board.settings(0, LONG).await, Err(away.clone()));
    assert_eq!(board.change(change(BURST, Some("300"), 0)).await, Err(away.into()));
    store.set_away(false);
    assert_eq!(board.settings(0, Duration::ZERO).await.map(|settings| settings.version), Ok(0));
}
