//! People write to each other across two messaging nodes while partitions move from one to the other, go
//! without an owner and come back; or those of two history nodes do, and are both's at times. What they saw is judged
//! in the end. Typing and presence between them are in [`lively`], what the load test tells of moves in [`told`].

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

mod cluster;
#[expect(dead_code, unused_imports, reason = "made for the cluster's tests, which use all of it")]
#[path = "../cluster/kit/mod.rs"]
mod kit;
mod lively;
mod told;

use std::time::Duration;

use cluster::{Cluster, PARTITIONS};
use loadtest::failure::Failure;
use loadtest::verdict::Verdict;
use volery_crash::campaign::{rest, target_at};
use volery_crash::crowd::{Crowd, Sizes};
use volery_kernel::code::Close;
use volery_node::metrics::HistoryReader;

const SIZES: Sizes = Sizes { flooders: 12, window: 4, every_ms: Some(5), people: 8 };
/// Acknowledged under each map before the next comes.
const TALK: u64 = 100;
const WITHIN: Duration = Duration::from_secs(30);
/// How often each partition goes to the other node and back.
const ROUNDS: u16 = 2;

struct Play<'c> {
    cluster: &'c Cluster,
    crowd: &'c Crowd<'c>,
}

impl Play<'_> {
    async fn talked(&self) -> Result<(), Failure> {
        let fleet = self.crowd.fleet();
        let least = fleet.tally().acked + TALK;
        fleet.until("messages to come", WITHIN, || least.saturating_sub(fleet.tally().acked) as usize).await
    }

    /// Gives the partitions away, and waits until all sessions of those that a node has lost have left it,
    /// and everybody is back.
    async fn moves(&self, owner: impl Fn(u16) -> u16) -> Result<(), Failure> {
        self.cluster.give(|partition| Some(owner(partition)));
        let owned = |node| (0..PARTITIONS).filter(|partition| usize::from(owner(*partition)) == node).count() as i64;
        let off = || (0..2).filter(|node| self.cluster.node(*node).partitions.get() != owned(*node)).count();
        self.crowd.fleet().until("nodes do not read what they own", WITHIN, off).await?;
        self.crowd.back(self.crowd.open(), WITHIN).await?;
        self.talked().await
    }

    /// Nobody owns anything: whoever is there stays.
    async fn goes_without_an_owner(&self) -> Result<(), Failure> {
        let moved = || [0, 1].map(|node| self.cluster.node(node).closes.of(Close::Moved).get());
        let before = moved();
        self.cluster.give(|_| None);
        self.talked().await?;
        assert_eq!(moved(), before, "nobody can be told where to go");
        Ok(())
    }

    /// The same of the history nodes, of which both may own a partition.
    async fn history_moves(&self, owns: impl Fn(u16, u16) -> bool) -> Result<(), Failure> {
        self.cluster.give_history(&owns);
        let owned = |node| (0..PARTITIONS).filter(|partition| owns(node, *partition)).count() as i64;
        let reads = |node, reader| self.cluster.history(node).reader_partitions.of(reader).get();
        let off = || {
            let read =
                [HistoryReader::Fanout, HistoryReader::Archive].map(|reader| [0, 1].map(|node| reads(node, reader)));
            read.iter().filter(|read| **read != [0, 1].map(owned)).count()
        };
        self.crowd.fleet().until("nodes do not read what they own", WITHIN, off).await?;
        self.talked().await
    }
}

async fn play_history(cluster: &Cluster) -> Result<Verdict, Failure> {
    let target = target_at(cluster.gateway())?;
    cluster.give(|partition| Some(partition % 2));
    let crowd = Crowd::gather(cluster.gateway(), &target, 0..SIZES.users(), SIZES, "two histories".to_owned()).await?;
    let play = Play { cluster, crowd: &crowd };
    let lived = async {
        for round in 1..=2 * ROUNDS {
            play.history_moves(|node, partition| (partition + round) % 2 == node).await?;
            play.history_moves(|_, _| true).await?;
        }
        play.history_moves(|node, _| node == 1).await
    };
    crowd.live(lived).await?;
    Ok(Verdict::of(&rest(&crowd).await?))
}

async fn play(cluster: &Cluster) -> Result<Verdict, Failure> {
    let target = target_at(cluster.gateway())?;
    cluster.give(|partition| Some(partition % 2));
    let crowd = Crowd::gather(cluster.gateway(), &target, 0..SIZES.users(), SIZES, "two nodes".to_owned()).await?;
    let play = Play { cluster, crowd: &crowd };
    let lived = async {
        play.talked().await?;
        for round in 1..=2 * ROUNDS {
            play.moves(|partition| (partition + round) % 2).await?;
        }
        play.goes_without_an_owner().await?;
        play.moves(|partition| u16::from(partition < 2)).await?;
        play.moves(|_| 1).await
    };
    crowd.live(lived).await?;
    assert_eq!(cluster.node(0).sessions.get(), 0, "everybody is at the other node");
    Ok(Verdict::of(&rest(&crowd).await?))
}

fn judged(cluster: &Cluster, play: impl AsyncFnOnce(&Cluster) -> Result<Verdict, Failure>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let played = tokio::task::LocalSet::new().block_on(&runtime, play(cluster));
    let verdict = played.expect("it goes on after every move");
    verdict.print();
    assert!(verdict.is_good(), "{}", verdict.sentence());
}

#[test]
fn promises_hold_while_partitions_move_between_two_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 2, SIZES.users());
    judged(&cluster, play);
    for node in [0, 1] {
        let moved = cluster.node(node).closes.of(Close::Moved).get();
        assert!(moved > u64::from(ROUNDS), "node {node} told {moved} sockets where to go");
    }
}

#[test]
fn promises_hold_while_partitions_move_between_two_history_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(folder.path(), 2, SIZES.users());
    judged(&cluster, play_history);
}
