//! What a config-node promises: the same called directly or on another machine.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use std::time::Duration;

use volery_kernel::limits;
use volery_kernel::map::PartitionMap;
use volery_kernel::time::Clock as _;
use volery_ports::accounts::Unavailable;
use volery_ports::cluster::{Board, ChangeError, Cluster, Hold, HoldError, Settings, Terms};

use crate::cluster_store::{ModelClusterStore, change, member};
use crate::sql::ManualClock;

/// How many partitions the cluster under test has.
pub const PARTITIONS: u16 = 8;

/// The feature level of the cluster under test.
pub const LEVEL: u16 = 1;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);
/// The clock moves by this much between two looks.
const STEP_MS: u64 = 250;

/// By which function it finds partitions.
pub const HASH: &str = "xxh3-64 mod 16384";

/// A node of this name that asks for its lease.
#[must_use]
pub fn hold(name: &str, process: &str) -> Hold {
    Hold { member: member(name), process: process.to_owned(), terms: terms() }
}

/// What a node of the cluster under test goes by.
#[must_use]
pub fn terms() -> Terms {
    Terms { partitions: PARTITIONS, hash: HASH.to_owned(), log: "the log".to_owned(), level: LEVEL }
}

/// How many partitions each member owns, by name.
#[must_use]
pub fn shares(map: &PartitionMap) -> Vec<(&str, usize)> {
    let owned = |index: usize| map.owners().flatten().filter(|owner| usize::from(*owner) == index).count();
    map.members().iter().enumerate().map(|(index, member)| (member.name.as_str(), owned(index))).collect()
}

/// Lets time pass, in steps that so many config-nodes on the store see one by one.
pub async fn pass(store: &ModelClusterStore, clock: &ManualClock, nodes: usize, millis: u64) {
    for _ in 0..millis.div_ceil(STEP_MS) {
        clock.advance(STEP_MS);
        // Of two looks that began after now, one began after the one before it ended.
        let enough = store.looks() + 2 * nodes;
        while store.looks() < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Runs the whole suite. `cluster` has [`PARTITIONS`] partitions, keeps everything in `store`, which was
/// empty, looks at it every few milliseconds, and goes by `clock`.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn conformance(store: &ModelClusterStore, clock: &ManualClock, cluster: &dyn Cluster) {
    the_first_log_that_is_opened_stays(cluster).await;
    leases_are_held_by_name(cluster).await;
    maps_follow_leases(cluster).await;
    leases_end(store, clock, cluster).await;
    settings_are_changed(clock, cluster).await;
    an_outage_freezes_leases(store, clock, cluster).await;
}

/// Terms that are not the cluster's.
fn others() -> [(Terms, HoldError); 4] {
    let other = || "another".to_owned();
    [
        (Terms { partitions: 9, ..terms() }, HoldError::Partitions { cluster: PARTITIONS, node: 9 }),
        (Terms { hash: other(), ..terms() }, HoldError::Hash { cluster: terms().hash, node: other() }),
        (Terms { level: LEVEL - 1, ..terms() }, HoldError::Level { cluster: LEVEL, node: LEVEL - 1 }),
        (Terms { log: other(), ..terms() }, HoldError::Log { cluster: terms().log, node: other() }),
    ]
}

async fn the_first_log_that_is_opened_stays(cluster: &dyn Cluster) {
    let another = Terms { log: "another".to_owned(), ..terms() };
    assert_eq!(cluster.admit(&another, false).await, Ok(()), "nobody has said yet which it is");
    assert_eq!(cluster.admit(&terms(), true).await, Ok(()), "and to ask says nothing");
    for (other, refused) in others() {
        for opened in [false, true] {
            assert_eq!(cluster.admit(&other, opened).await, Err(refused.clone()));
        }
    }
    assert_eq!(cluster.admit(&Terms { level: LEVEL + 1, ..terms() }, true).await, Ok(()), "who knows more is welcome");
    assert_eq!(cluster.admit(&terms(), true).await, Ok(()), "and raises nothing");
}

async fn leases_are_held_by_name(cluster: &dyn Cluster) {
    let empty = map(cluster, 0).await;
    assert_eq!((empty.version(), empty.partitions(), empty.members().len()), (1, usize::from(PARTITIONS), 0));
    for (other, refused) in others() {
        assert_eq!(cluster.hold(Hold { terms: other, ..hold("a", "p1") }).await, Err(refused));
    }
    assert_eq!(cluster.hold(hold("a", "p1")).await, Ok(()));
    assert_eq!(cluster.hold(hold("a", "p1")).await, Ok(()), "renewed");
    assert_eq!(cluster.hold(hold("a", "p2")).await, Err(HoldError::NameTaken("a".into())));
    assert_eq!(map(cluster, 1).await.members(), [member("a")]);
}

async fn maps_follow_leases(cluster: &dyn Cluster) {
    let (woken, held) = tokio::join!(map(cluster, 2), cluster.hold(hold("b", "p1")));
    assert_eq!((woken.version(), shares(&woken), held), (3, vec![("a", 4), ("b", 4)], Ok(())));
    let patience = Duration::from_millis(50);
    let asked = tokio::time::Instant::now();
    assert_eq!(cluster.map(3, patience).await, Ok(woken.clone()), "as it is");
    assert!(asked.elapsed() >= patience, "after patience: {:?}", asked.elapsed());
    assert_eq!(cluster.map(9, Duration::ZERO).await, Ok(woken), "older than what was seen");
    assert_eq!(cluster.leave("b", "p2").await, Ok(()), "another's lease stays");
    assert_eq!(cluster.hold(hold("b", "p1")).await, Ok(()));
    assert_eq!(cluster.leave("b", "p1").await, Ok(()));
    let alone = map(cluster, 3).await;
    assert_eq!((alone.version(), shares(&alone)), (4, vec![("a", 8)]));
    assert_eq!(cluster.leave("b", "p1").await, Ok(()), "once more");
    assert_eq!(cluster.hold(hold("b", "p2")).await, Ok(()), "the name is free");
    assert_eq!(map(cluster, 4).await.version(), 5);
}

async fn leases_end(store: &ModelClusterStore, clock: &ManualClock, cluster: &dyn Cluster) {
    for _ in 0..limits::LEASE_MS.value / limits::LEASE_EVERY_MS.value {
        assert_eq!(cluster.hold(hold("a", "p1")).await, Ok(()));
        assert_eq!(map(cluster, 0).await.version(), 5, "b still has its lease");
        pass(store, clock, 1, limits::LEASE_EVERY_MS.value).await;
    }
    pass(store, clock, 1, 2 * STEP_MS).await;
    let alone = map(cluster, 5).await;
    assert_eq!((alone.version(), shares(&alone)), (6, vec![("a", 8)]));
}

/// The part of the suite that is about settings: what every board promises. Nothing was ever set on `board`.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn settings_are_changed(clock: &ManualClock, board: &dyn Board) {
    const NAME: &str = "messaging.sends_per_second";
    let none = settings(board, 0, Duration::ZERO).await;
    let own = none.settings.iter().find(|setting| setting.name == NAME);
    assert!(none.version == 0 && own.is_some_and(|own| own.value.is_none() && own.version == 0), "{none:?}");
    let unknown = board.change(change("data.dir", Some("/tmp"), 0)).await;
    assert_eq!(unknown, Err(ChangeError::Unknown("data.dir".into())));
    let Err(ChangeError::Invalid { name, reason }) = board.change(change(NAME, Some("0"), 0)).await else {
        panic!("0 is out of range")
    };
    assert_eq!((name.as_str(), reason.as_str()), (NAME, "0 is out of range: give 1 to 1000000"));
    let (woken, changed) = tokio::join!(settings(board, 0, LONG), board.change(change(NAME, Some("70"), 0)));
    let Ok(setting) = changed else { panic!("a good value: {changed:?}") };
    assert_eq!((setting.version, setting.value.as_deref(), setting.at), (1, Some("70"), clock.now()));
    assert_eq!(setting.by, change(NAME, None, 0).by);
    assert!(woken.version == 1 && woken.settings.contains(&setting), "{woken:?}");
    let stale = board.change(change(NAME, Some("71"), 0)).await;
    assert_eq!(stale, Err(ChangeError::Stale { name: NAME.into(), version: 1, seen: 0 }));
    let back = board.change(change(NAME, None, 1)).await;
    assert!(back.as_ref().is_ok_and(|back| back.version == 2 && back.value.is_none()), "{back:?}");
    assert_eq!(settings(board, 1, LONG).await.version, 2);
}

async fn an_outage_freezes_leases(store: &ModelClusterStore, clock: &ManualClock, cluster: &dyn Cluster) {
    let before = map(cluster, 0).await;
    store.set_away(true);
    let away = Unavailable("switched off".into());
    assert_eq!(cluster.hold(hold("a", "p1")).await, Err(away.clone().into()));
    assert_eq!(cluster.admit(&terms(), true).await, Ok(()), "by what was known");
    let (other, refused) = others()[2].clone();
    assert_eq!(cluster.admit(&other, true).await, Err(refused));
    assert_eq!(cluster.leave("a", "p1").await, Err(away.clone()));
    assert_eq!(cluster.change(change("messaging.sends_burst", Some("300"), 0)).await, Err(away.into()));
    pass(store, clock, 1, 3 * limits::LEASE_MS.value).await;
    assert_eq!(map(cluster, 0).await, before, "what was known is answered on");
    store.set_away(false);
    pass(store, clock, 1, limits::LEASE_EVERY_MS.value).await;
    assert_eq!(cluster.hold(hold("a", "p1")).await, Ok(()), "in time: its lease began anew");
    pass(store, clock, 1, limits::LEASE_MS.value - STEP_MS).await;
    assert_eq!(map(cluster, 0).await, before, "nothing has moved");
    pass(store, clock, 1, limits::LEASE_EVERY_MS.value).await;
    assert_eq!(shares(&map(cluster, before.version()).await), []);
}

async fn map(cluster: &dyn Cluster, seen: u64) -> PartitionMap {
    match cluster.map(seen, LONG).await {
        Ok(map) => map,
        Err(error) => panic!("the map after {seen}: {error}"),
    }
}

async fn settings(board: &dyn Board, seen: u64, patience: Duration) -> Settings {
    match board.settings(seen, patience).await {
        Ok(settings) => settings,
        Err(error) => panic!("the settings after {seen}: {error}"),
    }
}
