//! A partition that takes nothing: echoes for all others go on beyond what waits in memory, and its own
//! follow, all and in order, once it takes something again. Answers to retries of its users wait, and the messages of
//! all others are archived meanwhile. A record that nobody understands, and one that the timeline refuses for good: they
//! stop nobody.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use volery_history::fanout::LANE_MOST;
use volery_history::node::{ARCHIVE_OFTEN_MS, HistoryNode, Parts};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock as _;
use volery_node::clock::SystemClock;
use volery_node::health::{Health, State};
use volery_node::metrics::{HistoryReader, Metrics, Reader};
use volery_ports::log::{Log, NewRecord};
use volery_ports::timeline::{Span, Timeline as _};
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

fn started(log: &ModelLog, timeline: &Arc<ModelTimeline>, metrics: &Metrics, health: &Health) -> HistoryNode {
    let whole = PartitionMap::whole(Member::new("all".to_owned(), String::new()), log.partitions());
    let parts = Parts {
        name: "all".to_owned(),
        map: watch::channel(Arc::new(whole)).1,
        refused: watch::channel(false).1,
        log: Arc::new(log.clone()),
        timeline: Arc::<ModelTimeline>::clone(timeline),
        archive_every_ms: ARCHIVE_OFTEN_MS,
        clock: Arc::new(SystemClock),
        metrics: metrics.clone(),
        health: health.clone(),
    };
    HistoryNode::start(parts).expect("it starts")
}

/// Waits until the recipient's chat with this sender holds so many messages.
async fn archived(timeline: &ModelTimeline, sender: UserId, count: usize) {
    let chat = ChatId::direct(UserId(id(1)), sender);
    let all = async || timeline.messages(chat, Span::Before(Id::MAX), 10).await.expect("the model answers").len();
    while all().await < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(NEVER, wait).await.expect(what);
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
    let (metrics, health) = (Metrics::new().expect("metrics"), Health::new());
    let node = started(&log, &Arc::default(), &metrics, &health);
    let [stuck, other] = senders(partitions);
    let of = |user: UserId| partitions.of(Recipient::User(user));
    log.stick(of(stuck), true);
    let sends: Vec<_> = (0..COUNT as u32).map(|number| send(stuck, number)).chain([send(other, 0)]).collect();
    for batch in sends.chunks(500) {
        log.append(of(UserId(id(1))), volery_reader::to_batch(batch)).await.expect("the model takes it");
    }
    let begun = tokio::time::Instant::now();
    let freely = tokio::time::timeout(NEVER, echoes(&log, of(other), 1)).await;
    assert_eq!(freely, Ok(vec![0]), "what waits for one target holds up another");
    let waits = || metrics.reader_waits_seconds.of(HistoryReader::Fanout).get();
    until("it says that it waits", || waits() > 0.0).await;
    let said = health.report().parts["fanout"].clone();
    let named = format!("partition {} takes no echoes", of(stuck));
    assert!(matches!(&said, State::Degraded(why) if why.contains(&named)), "{said:?}");
    let lag = metrics.reader_lag_seconds.of(Reader::Fanout);
    assert!(lag.get_sample_count() <= 2, "what nobody has yet is not done with: {}", lag.get_sample_count());

    let stuck_for = begun.elapsed().as_secs_f64();
    log.stick(of(stuck), false);
    let late = tokio::time::timeout(NEVER, echoes(&log, of(stuck), COUNT)).await;
    assert!(late.is_ok_and(|numbers| numbers.into_iter().eq(0..COUNT as u32)), "something is missing or out of order");
    until("nobody waits", || waits() == 0.0 && health.report().parts["fanout"] == State::Ready).await;
    // Each send, each echo where it is read, and the other's two.
    until("all of it is measured", || lag.get_sample_count() >= 2 * COUNT as u64 + 2).await;
    // The clock of stamps is not the one that was asked here.
    assert!(lag.get_sample_sum() > 0.9 * stuck_for * COUNT as f64, "{} s in all", lag.get_sample_sum());
    node.stop();
}

#[tokio::test]
async fn answers_for_a_stuck_partition_hold_up_no_other() {
    let partitions = Partitions::new(16).expect("sixteen partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let timeline = Arc::new(ModelTimeline::default());
    let node = started(&log, &timeline, &Metrics::new().expect("metrics"), &Health::new());
    let [stuck, other] = senders(partitions);
    let of = |user: UserId| partitions.of(Recipient::User(user));
    log.stick(of(stuck), true);
    let Event::Send(retry) = send(stuck, 0) else { return };
    let retry = Event::Send(Send { flagged: true, ..retry });
    let home = partitions.of(recipient());
    log.append(home, volery_reader::to_batch(&[retry, send(other, 0)])).await.expect("the model takes it");
    tokio::time::timeout(NEVER, archived(&timeline, stuck, 1)).await.expect("the retry is archived");
    tokio::time::timeout(NEVER, archived(&timeline, other, 1))
        .await
        .expect("what waits to be answered holds up another");
    let committed =
        async || timeline.committed(home).await.expect("the model answers").map(|commit| commit.source.offset());
    assert_eq!(committed().await, None, "a crash must take it up again");

    log.stick(of(stuck), false);
    let done = async {
        while committed().await < Some(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(NEVER, done).await.expect("what was held back is committed");
    let end = log.extent(of(stuck)).await.expect("the model answers").end;
    let records = volery_reader::between(&log, of(stuck), 0, end).await.expect("the model answers");
    assert!(records.iter().any(|record| matches!(record.event, Event::Answer(_))), "{records:?}");
    node.stop();
}

#[tokio::test]
async fn a_record_that_nobody_understands_is_set_aside_and_stops_nobody() {
    let partitions = Partitions::new(16).expect("sixteen partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let (timeline, metrics) = (Arc::new(ModelTimeline::default()), Metrics::new().expect("metrics"));
    let node = started(&log, &timeline, &metrics, &Health::new());
    let [other, _] = senders(partitions);
    let home = partitions.of(recipient());
    let strange = NewRecord { key: [0xff; 9], headers: Vec::new(), value: Bytes::from_static(b"no event") };
    let batch = [vec![strange], volery_reader::to_batch(&[send(other, 0)])].concat();
    log.append(home, batch).await.expect("the model takes it");
    tokio::time::timeout(NEVER, archived(&timeline, other, 1)).await.expect("it holds up who comes after it");
    let echo = tokio::time::timeout(NEVER, log.beyond(partitions.of(Recipient::User(other)), 0)).await;
    assert_eq!(echo.expect("fan-out passes over it"), Ok(1));
    // What is set aside goes with the commit, which comes after the rows of messages.
    until("it is set aside", || metrics.set_aside.get() == 1).await;
    assert_eq!(timeline.set_aside().values().map(|(_, bytes)| &bytes[..]).collect::<Vec<_>>(), [b"no event"]);
    node.stop();
}

#[tokio::test]
async fn what_the_timeline_refuses_for_good_is_set_aside_and_stops_nobody() {
    let partitions = Partitions::new(16).expect("sixteen partitions");
    let log = ModelLog::new(1, partitions, Arc::new(SystemClock));
    let (timeline, metrics, health) =
        (Arc::new(ModelTimeline::default()), Metrics::new().expect("metrics"), Health::new());
    let [spoilt, other] = senders(partitions);
    let home = partitions.of(recipient());
    let (Event::Send(retry), Event::Send(plain)) = (send(spoilt, 0), send(spoilt, 1)) else { return };
    [&retry, &plain].into_iter().for_each(|send| timeline.spoil(send.key));
    let retry = Event::Send(Send { flagged: true, ..retry });
    let batch = volery_reader::to_batch(&[retry.clone(), Event::Send(plain), send(other, 0)]);
    let node = started(&log, &timeline, &metrics, &health);
    log.append(home, batch).await.expect("the model takes it");

    tokio::time::timeout(NEVER, archived(&timeline, other, 1)).await.expect("it holds up who comes after it");
    tokio::time::timeout(NEVER, archived(&timeline, spoilt, 1)).await.expect("what is not refused is written");
    let aside = || timeline.set_aside().into_iter().filter(|((partition, _), _)| *partition == home);
    let both = async {
        while aside().count() < 2 || metrics.set_aside.get() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(NEVER, both).await.expect("both are set aside and counted");
    // A record by its own place, refused rows by that of the last record that was taken up with them.
    let places: Vec<_> = aside().map(|((_, place), _)| place).collect();
    assert_eq!(places, [0, 2].map(|offset| Source::new(1, offset).place()));
    let ((_, place), (reason, bytes)) = aside().next().expect("two");
    assert_eq!((place, reason.as_str()), (Source::new(1, 0).place(), "an injected damage"));
    assert_eq!(volery_reader::to_batch(&[retry])[0].value, bytes, "as it was read");
    assert!(matches!(&health.report().parts["archive"], State::Degraded(why) if why.contains("set aside")));
    node.stop();
}
