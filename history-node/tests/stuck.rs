//! A partition that takes nothing: echoes for all others go on beyond what waits in memory, and its own
//! follow, all and in order, once it takes something again.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::time::Duration;

use volery_history::fanout::LANE_MOST;
use volery_history::node::{ARCHIVE_OFTEN_MS, HistoryNode, Parts};
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock as _;
use volery_node::clock::SystemClock;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_ports::log::Log;
use volery_testkit::log::ModelLog;
use volery_testkit::timeline::ModelTimeline;

const COUNT: usize = 2 * LANE_MOST;
const NEVER: Duration = Duration::from_secs(60);

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

fn recipient() -> Recipient {
    Recipient::User(UserId(id(1)))
}

/// Users whose streams lie in three different partitions: the recipient's, and two senders'.
fn senders(partitions: Partitions) -> [UserId; 2] {
    let home = partitions.of(recipient());
    let of = |user: UserId| partitions.of(Recipient::User(user));
    let mut users = (2..).map(|raw| UserId(id(raw))).filter(|user| of(*user) != home);
    let one = users.next().expect("users without end");
    [one, users.find(|user| of(*user) != of(one)).expect("users without end")]
}

fn send(sender: UserId, number: u32) -> Event {
    let session = SessionNumber(id(70));
    Event::Send(Send {
        id: Id::first_at(SystemClock.now()),
        sender,
        recipient: recipient(),
        key: SendKey { device: DeviceId(sender.0), session, number },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text(number.to_string()), reply_to: None },
    })
}

/// The numbers of a sender's sends that came back as echoes, once there are so many.
async fn echoes(log: &ModelLog, partition: Partition, count: usize) -> Vec<u32> {
    let mut end = 0;
    while end < count as u64 {
        end = log.beyond(partition, end).await.expect("the model answers");
    }
    let records = volery_reader::between(log, partition, 0, count as u64).await.expect("the model answers");
    let number = |record: Record| match record.event {
        Event::Echo { send, .. } => Some(send.key.number),
        _ => None,
    };
    records.into_iter().filter_map(number).collect()
}

#[tokio::test]
async fn a_stuck_partition_holds_up_no_other() {
    let partitions = Partitions::new(16).expect("sixteen partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let node = HistoryNode::start(Parts {
        log: Arc::new(log.clone()),
        timeline: Arc::new(ModelTimeline::default()),
        archive_every_ms: ARCHIVE_OFTEN_MS,
        clock: Arc::new(SystemClock),
        metrics: Metrics::new().expect("metrics"),
        health: Health::new(),
    })
    .expect("it starts");
    let [stuck, other] = senders(partitions);
    let of = |user: UserId| partitions.of(Recipient::User(user));
    log.stick(of(stuck), true);
    let sends: Vec<_> = (0..COUNT as u32).map(|number| send(stuck, number)).chain([send(other, 0)]).collect();
    for batch in sends.chunks(500) {
        log.append(of(UserId(id(1))), volery_reader::to_batch(batch)).await.expect("the model takes it");
    }
    let freely = tokio::time::timeout(NEVER, echoes(&log, of(other), 1)).await;
    assert_eq!(freely, Ok(vec![0]), "what waits for one target holds up another");

    log.stick(of(stuck), false);
    let late = tokio::time::timeout(NEVER, echoes(&log, of(stuck), COUNT)).await;
    assert!(late.is_ok_and(|numbers| numbers.into_iter().eq(0..COUNT as u32)), "something is missing or out of order");
    node.stop();
}
