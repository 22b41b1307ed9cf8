//! The log's conformance suite against a real broker, started and stopped by `engines/engines`.

mod broker;

use std::sync::Arc;

use broker::{Broker, partitions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::time::Instant;
use volery_kafka::{KafkaLog, OpenError};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_in_which_something_could_be_lost_is_refused() {
    let name = "a_topic_in_which_something_could_be_lost_is_refused";
    let Some(broker) = Broker::start(name) else { return };
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().unwrap();
    let topics = [("defaults.1", 3), ("few.1", 2)];
    let topics = topics.map(|(name, partitions)| NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
    let created = admin.create_topics(&topics, &AdminOptions::new()).await.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");

    let refused = KafkaLog::open(&broker.options("defaults")).await.err();
    let (found, wanted) = ("604800000".to_owned(), "-1".to_owned());
    assert_eq!(refused, Some(OpenError::Setting { name: "retention.ms", found, wanted }));
    let refused = KafkaLog::open(&broker.options("few")).await.err();
    assert_eq!(refused, Some(OpenError::Partitions { found: 2, wanted: 3 }));

    drop(broker.open("ours").await);
    let other = volery_kafka::Options { partitions: partitions(4), ..broker.options("ours") };
    assert_eq!(KafkaLog::open(&other).await.err(), Some(OpenError::Partitions { found: 3, wanted: 4 }));
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
