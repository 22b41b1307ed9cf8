//! A storm of retries in one partition, while timeline and log are far away: what it takes is told in round trips.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use volery_history::node::{ARCHIVE_OFTEN_MS, HistoryNode, Parts};
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock as _;
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::log::Log as _;
use volery_testkit::log::ModelLog;
use volery_testkit::timeline::ModelTimeline;

const RETRIES: u64 = 200;
/// A round trip, far above what the models take.
const FAR: Duration = Duration::from_millis(50);
/// One after the other each would take six.
const TRIPS_MOST: u128 = 300;
const NEVER: Duration = Duration::from_secs(120);

fn user(raw: u64) -> UserId {
    UserId(Id::new(raw).unwrap_or(Id::MAX))
}

/// A retry of somebody who has only this one.
fn retry(raw: u64) -> Event {
    let (sender, session) = (user(raw), SessionNumber(user(raw).0));
    Event::Send(Send {
        id: Id::first_at(SystemClock.now()),
        sender,
        recipient: Recipient::User(user(1)),
        key: SendKey { device: DeviceId(sender.0), session, number: 1 },
        session,
        flagged: true,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("hello".to_owned()), reply_to: None },
    })
}

/// Waits until so many retries are answered, wherever their senders are.
async fn answered(log: &ModelLog, partitions: Partitions, count: u64) {
    loop {
        let mut answers = 0;
        for partition in partitions.iter() {
            let end = log.extent(partition).await.expect("the model answers").end;
            let records = volery_reader::between(log, partition, 0, end).await.expect("the model answers");
            answers += records.iter().filter(|record| matches!(record.event, Event::Answer(_))).count() as u64;
        }
        if answers >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_storm_of_retries_takes_the_round_trips_of_a_few() {
    let partitions = Partitions::new(16).expect("sixteen partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let timeline = Arc::new(ModelTimeline::default());
    let retries: Vec<_> = (2..RETRIES + 2).map(retry).collect();
    let home = partitions.of(Recipient::User(user(1)));
    log.append(home, volery_reader::to_batch(&retries)).await.expect("the model takes it");
    log.set_far(FAR);
    timeline.set_far(FAR);
    let whole = PartitionMap::whole(Member::new("all".to_owned(), String::new()), partitions);
    let parts = Parts {
        name: "all".to_owned(),
        map: watch::channel(Arc::new(whole)).1,
        refused: watch::channel(false).1,
        log: Arc::new(log.clone()),
        timeline,
        archive_every_ms: ARCHIVE_OFTEN_MS,
        clock: Arc::new(SystemClock),
        metrics: Metrics::new().expect("metrics"),
        health: Health::new(),
    };
    let begun = Instant::now();
    let node = HistoryNode::start(parts).expect("it starts");
    tokio::time::timeout(NEVER, answered(&log, partitions, RETRIES)).await.expect("all are answered");
    let trips = begun.elapsed().as_millis() / FAR.as_millis();
    node.stop();
    assert!(trips <= TRIPS_MOST, "{trips} round trips");
}
