//! What a config-node promises: the same called directly or on another machine.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use std::fmt::Debug;
use std::time::Duration;

use volery_kernel::limits;
use volery_kernel::map::{Member, MemberState, NodeKind, PartitionMap};
use volery_kernel::slot::Partition;
use volery_kernel::time::Clock as _;
use volery_ports::accounts::Unavailable;
use volery_ports::cluster::{
    Action, Board, ChangeError, Cluster, Drain, Hold, HoldError, Order, OrderError, Settings, Terms,
};

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

/// The kind of the nodes here, where any would do.
pub const KIND: NodeKind = NodeKind::Messaging;

/// A node of this name that asks for its lease.
#[must_use]
pub fn hold(name: &str, process: &str) -> Hold {
    Hold { kind: KIND, member: member(name), process: process.to_owned(), terms: terms() }
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
    orders_are_taken(clock, cluster).await;
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
    let there = Hold { member: Member::new("z".to_owned(), member("a").url), ..hold("z", "p1") };
    let taken = HoldError::AddressTaken { node: "a".into(), url: member("a").url };
    assert_eq!(cluster.hold(there.clone()).await, Err(taken));
    let (kind, url) = (NodeKind::History, there.member.url.clone());
    assert_eq!(cluster.hold(Hold { kind, ..there }).await, Ok(()), "another kind has doors of its own");
    let of_history = look(cluster.map(kind, 1, LONG).await);
    assert_eq!(of_history.members(), [Member::new("z".to_owned(), url)]);
    assert_eq!(cluster.leave(kind, "z", "p1").await, Ok(()));
    assert_eq!(map(cluster, 0).await.members(), [member("a")]);
}

async fn maps_follow_leases(cluster: &dyn Cluster) {
    let (woken, held) = tokio::join!(map(cluster, 2), cluster.hold(hold("b", "p1")));
    assert_eq!((woken.version(), woken.members(), held), (3, &["a", "b"].map(member)[..], Ok(())));
    let even = map_of(cluster, &[("a", 4), ("b", 4)]).await;
    let (seen, patience) = (even.version(), Duration::from_millis(50));
    let asked = tokio::time::Instant::now();
    assert_eq!(cluster.map(KIND, seen, patience).await, Ok(even.clone()), "as it is");
    assert!(asked.elapsed() >= patience, "after patience: {:?}", asked.elapsed());
    assert_eq!(cluster.map(KIND, seen + 9, Duration::ZERO).await, Ok(even), "older than what was seen");
    assert_eq!(cluster.leave(KIND, "b", "p2").await, Ok(()), "another's lease stays");
    assert_eq!(cluster.hold(hold("b", "p1")).await, Ok(()));
    assert_eq!(cluster.leave(KIND, "b", "p1").await, Ok(()));
    let alone = map(cluster, seen).await;
    assert_eq!((alone.version(), shares(&alone)), (seen + 1, vec![("a", 8)]), "at once");
    assert_eq!(cluster.leave(KIND, "b", "p1").await, Ok(()), "once more");
    assert_eq!(cluster.hold(hold("b", "p2")).await, Ok(()), "the name is free");
    map_of(cluster, &[("a", 4), ("b", 4)]).await;
}

async fn leases_end(store: &ModelClusterStore, clock: &ManualClock, cluster: &dyn Cluster) {
    let before = map(cluster, 0).await;
    for _ in 0..limits::LEASE_MS.value / limits::LEASE_EVERY_MS.value {
        assert_eq!(cluster.hold(hold("a", "p1")).await, Ok(()));
        assert_eq!(map(cluster, 0).await, before, "b still has its lease");
        pass(store, clock, 1, limits::LEASE_EVERY_MS.value).await;
    }
    pass(store, clock, 1, 2 * STEP_MS).await;
    let alone = map(cluster, before.version()).await;
    assert_eq!((alone.version(), shares(&alone)), (before.version() + 1, vec![("a", 8)]));
}

async fn orders_are_taken(clock: &ManualClock, cluster: &dyn Cluster) {
    let by = |action| Order { kind: KIND, action, seen: None, by: "ada".to_owned() };
    let give = async |action| cluster.order(by(action)).await;
    let [drain, undrain] = [Action::Drain, Action::Undrain].map(|action| move |node: &str| action(node.to_owned()));
    let to = |node: &str, partition| Action::Move(Partition(partition), node.to_owned());
    let before = map(cluster, 0).await;
    let stale = Order { seen: Some(before.version() - 1), ..by(drain("a")) };
    let (version, seen) = (before.version(), before.version() - 1);
    assert_eq!(cluster.order(stale).await, Err(OrderError::Stale { version, seen }));
    assert_eq!(give(drain("a")).await, Err(OrderError::LastNode("a".into())));
    assert_eq!(give(drain("b")).await, Err(OrderError::NoNode("b".into())), "it is down");
    assert_eq!(give(to("b", 0)).await, Err(OrderError::NoNode("b".into())));
    let partition = PARTITIONS;
    assert_eq!(give(to("a", 8)).await, Err(OrderError::NoPartition { partition, partitions: PARTITIONS }));
    assert_eq!((map(cluster, 0).await, cluster.drains(KIND).await), (before, Ok(Vec::new())), "nothing has changed");

    assert_eq!(cluster.hold(hold("b", "p3")).await, Ok(()));
    map_of(cluster, &[("a", 4), ("b", 4)]).await;
    let drained = look(give(drain("b")).await);
    let is_drained = Member { state: MemberState::Draining, ..member("b") };
    assert_eq!(drained.member("b"), Some(&is_drained));
    let empty = map_of(cluster, &[("a", 8), ("b", 0)]).await;
    let said = Drain { node: "b".into(), by: "ada".into(), at: clock.now() };
    assert_eq!(cluster.drains(KIND).await, Ok(vec![said]));
    assert_eq!(give(drain("b")).await, Ok(empty), "it is");
    assert_eq!(give(drain("a")).await, Err(OrderError::LastNode("a".into())));
    assert_eq!(give(to("b", 0)).await, Err(OrderError::Draining("b".into())));
    assert_eq!(cluster.leave(KIND, "b", "p3").await, Ok(()));
    map_of(cluster, &[("a", 8)]).await;
    assert_eq!(cluster.hold(hold("b", "p4")).await, Ok(()));
    let back = map_of(cluster, &[("a", 8), ("b", 0)]).await;
    assert_eq!(back.member("b"), Some(&is_drained), "a restart ends no drain");

    assert!(look(give(undrain("b")).await).member("b").is_some_and(Member::serves));
    let even = map_of(cluster, &[("a", 4), ("b", 4)]).await;
    assert_eq!((give(undrain("b")).await, cluster.drains(KIND).await), (Ok(even.clone()), Ok(Vec::new())));
    let of_a = (0..PARTITIONS).find(|partition| even.is_owned_by(Partition(*partition), "a")).unwrap_or_default();
    let moved = cluster.order(Order { seen: Some(even.version()), ..by(to("b", of_a)) }).await;
    let moved = look(moved);
    assert!(moved.is_owned_by(Partition(of_a), "b") && moved.version() == even.version() + 1, "{moved:?}");
    assert_eq!((shares(&moved), give(to("b", of_a)).await), (vec![("a", 4), ("b", 4)], Ok(moved.clone())));
    assert_eq!(cluster.leave(KIND, "b", "p4").await, Ok(()));
    map_of(cluster, &[("a", 8)]).await;
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
    assert_eq!(cluster.leave(KIND, "a", "p1").await, Err(away.clone()));
    assert_eq!(cluster.change(change("messaging.sends_burst", Some("300"), 0)).await, Err(away.clone().into()));
    let action = Action::Drain("a".to_owned());
    let order = Order { kind: KIND, action, seen: None, by: "ada".to_owned() };
    assert_eq!(cluster.order(order).await, Err(away.clone().into()));
    assert_eq!(cluster.drains(KIND).await, Err(away));
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
    look(cluster.map(KIND, seen, LONG).await)
}

/// The first map in which these are up and own so many partitions each.
async fn map_of(cluster: &dyn Cluster, wanted: &[(&str, usize)]) -> PartitionMap {
    let mut newest = map(cluster, 0).await;
    while shares(&newest) != wanted {
        let seen = newest.version();
        newest = map(cluster, seen).await;
        assert!(newest.version() > seen, "{:?} and never {wanted:?}", shares(&newest));
    }
    newest
}

fn look<T, E: Debug>(answer: Result<T, E>) -> T {
    answer.unwrap_or_else(|error| panic!("{error:?}"))
}

async fn settings(board: &dyn Board, seen: u64, patience: Duration) -> Settings {
    match board.settings(seen, patience).await {
        Ok(settings) => settings,
        Err(error) => panic!("the settings after {seen}: {error}"),
    }
}
