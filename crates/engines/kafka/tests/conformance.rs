//! The log's conformance suite against a real broker, started and stopped by `engines/engines`.

mod broker;

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, partitions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::time::Instant;
use volery_kafka::{KafkaLog, OpenError, Options, Owner};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Extent, Log, ReadError, Reader};
use volery_testkit::log::record;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_suite() {
    let Some(broker) = Broker::start("it_passes_the_suite") else { return };
    let mut count = 0;
    volery_testkit::log::conformance(async || {
        count += 1;
        Arc::new(broker.open(&format!("suite-{count}")).await) as Arc<dyn Log>
    })
    .await;
}

/// What a topic with one copy must have; a value with which something could be lost; what the refusal asks for.
const SETTINGS: [(&str, &str, &str, &str); 7] = [
    ("cleanup.policy", "delete", "compact", "delete"),
    ("retention.ms", "-1", "604800000", "-1"),
    ("retention.bytes", "-1", "1073741824", "-1"),
    ("message.timestamp.type", "LogAppendTime", "CreateTime", "LogAppendTime"),
    ("unclean.leader.election.enable", "false", "true", "false"),
    ("max.message.bytes", "2097152", "1048588", "2097152 or more"),
    ("flush.messages", "1", "10000", "1"),
];

/// A topic that somebody else made: as it must be, but for this setting.
#[expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]
async fn made_by_another(broker: &Broker, topic: &str, other: Option<(&str, &str)>) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
    let new = NewTopic::new(topic, 3, TopicReplication::Fixed(1));
    let good = SETTINGS.iter().map(|(name, good, ..)| (*name, *good));
    let settings: BTreeMap<_, _> = good.chain(other).collect();
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    let created = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{topic}: {created:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_in_which_something_could_be_lost_is_refused() {
    let name = "a_topic_in_which_something_could_be_lost_is_refused";
    let Some(broker) = Broker::start(name) else { return };
    made_by_another(&broker, "good.1", None).await;
    drop(broker.open("good").await);
    for (number, (name, _, bad, wanted)) in SETTINGS.into_iter().enumerate() {
        let (log, topic) = (format!("bad-{number}"), format!("bad-{number}.1"));
        made_by_another(&broker, &topic, Some((name, bad))).await;
        let refused = KafkaLog::open(&broker.options(&log)).await.err();
        let (of, found, wanted) = (Owner::Topic(topic), bad.to_owned(), wanted.to_owned());
        assert_eq!(refused, Some(OpenError::Setting { of, name, found, wanted }));
    }
    let three = Options { copies: 3, ..broker.options("good") };
    assert_eq!(KafkaLog::open(&three).await.err(), Some(OpenError::Copies { found: 1, wanted: 3 }));
    let four = Options { partitions: partitions(4), ..broker.options("good") };
    assert_eq!(KafkaLog::open(&four).await.err(), Some(OpenError::Partitions { found: 3, wanted: 4 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_forgets_offsets_is_refused_and_nothing_is_made_there() {
    let name = "a_broker_that_forgets_offsets_is_refused_and_nothing_is_made_there";
    let Some(broker) = Broker::start_with(name, &[("KAFKA_OFFSETS_MINUTES", "10080")]) else { return };
    let options = broker.options("ours");
    let (name, found, wanted) = ("offsets.retention.minutes", "10080".to_owned(), "527040 or more".to_owned());
    let refused = OpenError::Setting { of: Owner::Broker(1), name, found, wanted };
    assert_eq!(KafkaLog::open(&options).await.err(), Some(refused));
    assert_eq!(KafkaLog::newest_generation(&options).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_the_kill_of_the_broker() {
    const BATCH: u64 = 3;
    let name = "what_was_acknowledged_outlives_the_kill_of_the_broker";
    let Some(broker) = Broker::start(name) else { return };
    let log = Arc::new(broker.open("killed").await);
    log.append(Partition(1), (0..20).map(|n| record(n, 50)).collect()).await.unwrap();
    log.commit(Reader::Archive, Partition(1), 7).await.unwrap();
    log.release(Partition(1), 10, Timestamp(u64::MAX >> 1)).await.unwrap();
    assert_eq!(log.extent(Partition(1)).await, Ok(Extent { start: 10, end: 20 }));

    let (count, mut counted) = tokio::sync::watch::channel(0);
    let appender = log.clone();
    let appending = tokio::spawn(async move {
        let mut taken = Vec::new();
        loop {
            let first = taken.len() as u64;
            let batch = (first..first + BATCH).map(|n| record(n, 100)).collect();
            match appender.append(Partition(0), batch).await {
                Ok(answers) => taken.extend(answers),
                Err(error) => return (taken, error),
            }
            count.send_replace(taken.len());
        }
    });
    counted.wait_for(|count| *count >= 60).await.unwrap();
    broker.engine.kill();
    let killed = Instant::now();

    let (taken, error) = appending.await.unwrap();
    println!("{} were acknowledged, then after {:?}: {error}", taken.len(), killed.elapsed());
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    assert!(matches!(log.extent(Partition(0)).await, Err(ReadError::Unavailable(_))), "nobody answers");
    broker.engine.restart();

    let again = log.append(Partition(0), vec![record(1_000_000, 8)]).await.unwrap();
    let chunk = log.read(Partition(0), 0, usize::MAX).await.unwrap();
    let first_unsure = taken.len() as u64;
    let unsure = again[0].offset - first_unsure;
    assert!(unsure <= BATCH, "only the last batch may be there without an answer, once: {unsure}");
    for (read, n) in chunk.records.iter().zip(0..first_unsure + unsure) {
        assert_eq!((read.offset, &read.record), (n, &record(n, 100)), "in order and without holes");
        assert!(taken.get(n as usize).is_none_or(|taken| (taken.offset, taken.stamp) == (read.offset, read.stamp)));
    }
    assert_eq!(chunk.records.len() as u64, chunk.end);
    let (committed, extent) =
        (log.committed(Reader::Archive, Partition(1)).await.unwrap(), log.extent(Partition(1)).await.unwrap());
    println!("{unsure} more were there; committed 7 is {committed}, released 10 begins at {}", extent.start);
    assert!(committed <= 7 && extent.start <= 10 && extent.end == 20);
    let first = log.read(Partition(1), extent.start, 1).await.unwrap();
    assert_eq!(first.records[0].record, record(extent.start, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_timed_out_comes_later_or_never_and_never_twice() {
    let name = "an_append_that_timed_out_comes_later_or_never_and_never_twice";
    let Some(broker) = Broker::start(name) else { return };
    let log = broker.open("paused").await;
    log.append(Partition(0), vec![record(0, 50)]).await.unwrap();
    broker.engine.pause();
    let paused = Instant::now();
    let unknown = log.append(Partition(0), (1..4).map(|n| record(n, 50)).collect()).await;
    println!("after {:?}: {unknown:?}", paused.elapsed());
    broker.engine.proceed();
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");

    let again = log.append(Partition(0), vec![record(9, 50)]).await.unwrap();
    let chunk = log.read(Partition(0), 0, usize::MAX).await.unwrap();
    let read: Vec<_> = chunk.records.iter().map(|read| read.record.clone()).collect();
    println!("{} records, the one after it at {}", read.len(), again[0].offset);
    let allowed: [&[u64]; 3] = [&[0, 9], &[0, 1, 9], &[0, 9, 1]];
    let allowed = allowed.map(|numbers| numbers.iter().map(|n| record(*n, 50)).collect::<Vec<_>>());
    assert!(allowed.contains(&read), "after a failure nothing more of a batch is sent: {read:?}");
}
