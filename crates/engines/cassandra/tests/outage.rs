//! A node that stands still, and one that is killed: an apply fails within its time, and goes on by itself.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod node;

use std::time::Duration;

use node::Node;
use tokio::time::{Instant, sleep, timeout};
use volery_cassandra::{CassandraTimeline, Options};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Entry, Timeline, Write};

const P: Partition = Partition(1);
const PATIENCE: Duration = Duration::from_secs(2);
/// Many times its patience, and a fraction of what so many writes would take that wait for each other.
const FAILS_WITHIN: Duration = Duration::from_secs(30);
/// Generous: the machine may be busy, and reconnecting backs off.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

fn me() -> UserId {
    UserId(Id::ZERO.next())
}

fn commit(offset: u64) -> Commit {
    Commit { source: Source::new(1, offset), id: Id::MAX, stamp: Timestamp(0) }
}

fn writes(offsets: std::ops::Range<u64>) -> Vec<Write> {
    let entry = Entry::Message { chat: ChatId::direct(me(), me()), id: Id::ZERO };
    offsets.map(|offset| Write::Index { recipient: Recipient::User(me()), offset, entry: entry.clone() }).collect()
}

/// As archive does: until it is done.
async fn apply_again(timeline: &CassandraTimeline, offsets: std::ops::Range<u64>) {
    let last = commit(offsets.end - 1);
    let healed = async {
        while timeline.apply(P, writes(offsets.clone()), Some(last)).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(HEALED_WITHIN, healed).await.unwrap();
    assert_eq!(timeline.committed(P).await, Ok(Some(last)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_meets_an_outage_fails_in_time_and_the_next_one_goes_on() {
    let name = "an_apply_that_meets_an_outage_fails_in_time_and_the_next_one_goes_on";
    let Some(node) = Node::shared(name) else { return };
    drop(node.open("outage").await);
    let options = Options { request_timeout: PATIENCE, ..node.options("outage") };
    let timeline = CassandraTimeline::open(&options).await.unwrap();
    apply_again(&timeline, 0..100).await;

    node.engine.pause();
    let began = Instant::now();
    let failed = timeline.apply(P, writes(100..700), Some(commit(699))).await;
    println!("paused: after {:?}: {failed:?}", began.elapsed());
    node.engine.proceed();
    assert!(failed.is_err() && began.elapsed() < FAILS_WITHIN, "{:?}", began.elapsed());
    let committed = timeline.committed(P).await;
    assert!(committed.is_err() || committed == Ok(Some(commit(99))), "no commit without its rows: {committed:?}");
    apply_again(&timeline, 100..700).await;

    node.engine.kill();
    let began = Instant::now();
    let failed = timeline.apply(P, writes(700..800), Some(commit(799))).await;
    println!("killed: after {:?}: {failed:?}", began.elapsed());
    assert!(failed.is_err() && began.elapsed() < FAILS_WITHIN, "{:?}", began.elapsed());
    assert!(timeline.committed(P).await.is_err(), "nobody answers");
    node.engine.restart();
    let began = Instant::now();
    apply_again(&timeline, 700..800).await;
    println!("back {:?} after its start", began.elapsed());
    let index = timeline.index(Recipient::User(me()), P, 0, u64::MAX, 1_000).await.unwrap();
    assert_eq!(index.len(), 800, "nothing that was taken is lost");
}
