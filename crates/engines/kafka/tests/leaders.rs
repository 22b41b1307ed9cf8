//! Three brokers, of which one stands still, comes back and is lost: how far a partition goes is told by whoever leads
//! by then, and so is what is appended.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::time::Instant;
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::log::Log;
use volery_testkit::engine::Engine;
use volery_testkit::log::record;

/// Each broker leads some of them.
const PARTITIONS: u16 = 6;
/// A broker is taken for dead after 9 s without a word, three later if it led the controllers; then leaders are elected.
/// On a busy machine that takes its time.
const ELECTED_WITHIN: Duration = Duration::from_secs(60);

async fn open(kafka: &Engine) -> KafkaLog {
    let (brokers, name) = (kafka.address("KAFKA_BROKERS"), "leaders".to_owned());
    let partitions = Partitions::new(PARTITIONS).unwrap();
    KafkaLog::open(&Options { brokers, name, generation: 1, partitions, copies: 3 }).await.unwrap()
}

/// Waits until every partition says that it goes so far. More may be there: what timed out may have been done.
async fn all_reach(log: &KafkaLog, end: u64) {
    let begun = Instant::now();
    for partition in (0..PARTITIONS).map(Partition) {
        loop {
            let told = log.extent(partition).await.map(|extent| extent.end);
            if told.as_ref().is_ok_and(|told| *told >= end) {
                break;
            }
            assert!(begun.elapsed() < ELECTED_WITHIN, "partition {partition}: {told:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    println!("all partitions reach {end}, known after {:?}", begun.elapsed());
}

/// Appends a record to every partition, as often as it takes.
async fn append_to_all(log: &KafkaLog) {
    let begun = Instant::now();
    for partition in (0..PARTITIONS).map(Partition) {
        while let Err(error) = log.append(partition, vec![record(1, 10)]).await {
            assert!(begun.elapsed() < ELECTED_WITHIN, "partition {partition}: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Waits until every copy holds what its leader holds: a fault that comes before that leaves nobody to lead.
fn all_are_in_sync(kafka: &Engine, topic: &str) {
    let addresses = kafka.address("KAFKA_BROKERS");
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", addresses).create().unwrap();
    let begun = Instant::now();
    let in_sync = || {
        let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let partitions = metadata.topics().first()?.partitions();
        (partitions.len() == usize::from(PARTITIONS) && partitions.iter().all(|one| one.isr().len() == 3)).then_some(())
    };
    while in_sync().is_none() {
        assert!(begun.elapsed() < ELECTED_WITHIN, "copies are not in sync");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_by_whoever_leads_by_then() {
    let Some(kafka) = Engine::start_three("ends_are_told_by_whoever_leads_by_then", "kafka") else { return };
    let log = open(&kafka).await;
    append_to_all(&log).await;
    all_reach(&log, 1).await;

    kafka.pause_one(2);
    all_reach(&log, 1).await;
    append_to_all(&log).await;
    // Until it hears of its successors it tells of one record and no more.
    kafka.proceed_one(2);
    all_reach(&log, 2).await;
    tokio::task::block_in_place(|| all_are_in_sync(&kafka, "leaders.1"));

    kafka.kill_one(1);
    all_reach(&log, 2).await;
    append_to_all(&log).await;
    all_reach(&log, 3).await;
}
