//! The bare arm of `kafka_…_delivery_p99_over_bare`: from a producer to a consumer through the same broker.
//!
//! `bare-probe BROKERS TOPIC BYTES`: records of that many bytes, to the topic's partition 0. A line
//! `RATE MILLISECONDS` asks for a window; the answer is a line with the time of each record in µs, from the moment
//! at which it was meant to be produced.
//!
//! As fast as it can be: acknowledged by all copies as ours is, but sent at once; one thread that produces,
//! one that consumes and is woken by the broker's answer.

use std::error::Error;
use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use loadtest::clock;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Producer = ThreadedProducer<DefaultProducerContext>;

const PARTITION: i32 = 0;
/// As long as ours waits for a fetch.
const FETCH_MS: &str = "50";
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes of the time at the beginning of a record.
const STAMP: usize = 8;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, bytes] = arguments.as_slice() else { return Err("bare-probe BROKERS TOPIC BYTES".into()) };
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    let came = consume(&client, topic)?;
    let producer =
        client.clone().set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "0").create()?;
    let mut record = vec![0; bytes.parse::<usize>()?.max(STAMP)];
    // The first one opens connections.
    window(&producer, topic, &mut record, &came, (1, 1_000))?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (rate, millis) = line.split_once(' ').ok_or("RATE MILLISECONDS")?;
        let times = window(&producer, topic, &mut record, &came, (rate.parse()?, millis.parse()?))?;
        let times: Vec<String> = times.iter().map(u64::to_string).collect();
        println!("{}", times.join(" "));
    }
    Ok(())
}

/// Produces so many a second for so many milliseconds, whatever becomes of them; then waits for all.
fn window(
    producer: &Producer,
    topic: &str,
    record: &mut [u8],
    came: &Receiver<u64>,
    (rate, millis): (u64, u64),
) -> Outcome<Vec<u64>> {
    let (step, begin, count) = (1_000_000_000 / rate.max(1), clock::nanos(), rate * millis / 1_000);
    for number in 0..count {
        let meant = begin + number * step;
        std::thread::sleep(Duration::from_nanos(meant.saturating_sub(clock::nanos())));
        record[..STAMP].copy_from_slice(&meant.to_be_bytes());
        let sent = producer.send(BaseRecord::<(), [u8]>::to(topic).partition(PARTITION).payload(record));
        sent.map_err(|(error, _)| error)?;
    }
    (0..count).map(|_| Ok(came.recv_timeout(WITHIN)?)).collect()
}

/// How long each record took, in µs, as they come.
fn consume(client: &ClientConfig, topic: &str) -> Outcome<Receiver<u64>> {
    let mut config = client.clone();
    config.set("group.id", "bare-probe").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.set("fetch.wait.max.ms", FETCH_MS).create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, PARTITION, Offset::Beginning)?;
    consumer.assign(&place)?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || listen(&consumer, &sender));
    Ok(receiver)
}

/// Errors of connections are passed over: librdkafka mends them, and a record that does not come is missed.
fn listen(consumer: &BaseConsumer, came: &Sender<u64>) {
    loop {
        let Some(Ok(message)) = consumer.poll(None) else { continue };
        let stamp = message.payload().and_then(|payload| payload.first_chunk::<STAMP>());
        let Some(meant) = stamp.map(|stamp| u64::from_be_bytes(*stamp)) else { continue };
        if came.send(clock::since(meant).as_micros() as u64).is_err() {
            return;
        }
    }
}
