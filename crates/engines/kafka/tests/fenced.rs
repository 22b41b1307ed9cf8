//! A broker that is fenced again and again: for seconds at a time the cluster has none, and says so to whoever asks. A
//! client that believes it is left without anybody to ask; whoever has a log open goes on by itself all the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::log::{Log, Reader};
use volery_testkit::engine::Engine;
use volery_testkit::log::record;

const P: Partition = Partition(0);
/// Each has clients of every kind.
const LOGS: usize = 8;
/// Fenced after the one, back after the other.
const FENCED: [(&str, &str); 2] = [("KAFKA_SESSION_MS", "2000"), ("KAFKA_HEARTBEAT_MS", "6000")];
const FENCED_FOR: Duration = Duration::from_secs(15);
/// Some of it fenced.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Everything that a log is for; what could not be done.
async fn works(log: &KafkaLog) -> Result<(), String> {
    let appended = log.append(P, vec![record(1, 10)]).await.map_err(|error| format!("append: {error}"))?;
    let end = log.extent(P).await.map_err(|error| format!("extent: {error}"))?.end;
    assert!(end > appended[0].offset);
    log.read(P, 0, 1).await.map_err(|error| format!("read: {error}"))?;
    log.beyond(P, end - 1).await.map_err(|error| format!("beyond: {error}"))?;
    log.commit(Reader::Archive, P, end).await.map_err(|error| format!("commit: {error}"))?;
    log.committed(Reader::Archive, P).await.map(drop).map_err(|error| format!("committed: {error}"))
}

/// As owners and sessions do: they ask again and again, whatever they are told.
async fn asks(log: Arc<KafkaLog>) {
    loop {
        drop(works(&log).await);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn works_again(number: usize, log: &KafkaLog) {
    let begun = Instant::now();
    while let Err(error) = works(log).await {
        assert!(begun.elapsed() < BACK_WITHIN, "log {number} does not come back: {error}");
        println!("{:?} log {number} {error}", begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    println!("log {number} works after {:?}", begun.elapsed());
}

async fn open(kafka: &Engine) -> Arc<KafkaLog> {
    let (brokers, name) = (kafka.address("KAFKA_BROKERS"), "fenced".to_owned());
    let options = Options { brokers, name, generation: 1, partitions: Partitions::new(3).unwrap(), copies: 1 };
    let begun = Instant::now();
    loop {
        match KafkaLog::open(&options).await {
            Ok(log) => return Arc::new(log),
            Err(error) => assert!(begun.elapsed() < BACK_WITHIN, "it is not opened: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_log_goes_on_after_its_only_broker_was_fenced() {
    let name = "every_log_goes_on_after_its_only_broker_was_fenced";
    let Some(kafka) = Engine::start_with(name, "kafka", &FENCED) else { return };
    let logs = join_all((0..LOGS).map(|_| open(&kafka))).await;
    let mut asking: JoinSet<()> = logs.iter().map(|log| asks(Arc::clone(log))).collect();
    sleep(FENCED_FOR).await;
    asking.shutdown().await;
    works_again(LOGS, &*open(&kafka).await).await;
    join_all(logs.iter().enumerate().map(|(number, log)| works_again(number, log))).await;
}
