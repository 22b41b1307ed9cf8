//! The copies of a topic's partitions: where they are, and whether they hold what their leader holds.
//!
//! A copy is taken from a partition as an operator's `kafka-reassign-partitions` does: by the request alone, byte by
//! byte (`AlterPartitionReassignments`, version 0), since librdkafka does not know it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataPartition;
use volery_kernel::slot::Partition;
use volery_testkit::engine::Engine;

use super::kit::{NEVER, wait_for};

const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
/// Length, correlation and tags of the answer, how long it was throttled; then its error.
const BEFORE_ERROR: usize = 4 + 4 + 1 + 4;

/// Waits until the partition's copies are at these brokers and nowhere else.
pub(super) fn are_at_alone(kafka: &Engine, topic: &str, partition: Partition, brokers: &[i32]) {
    let addresses = kafka.address("KAFKA_BROKERS");
    let first = addresses.split(',').next().expect("a broker");
    let mut stream = TcpStream::connect(first).expect("it listens");
    stream.set_read_timeout(Some(NEVER)).expect("a time-out");
    stream.write_all(&request(topic, partition, brokers)).expect("it takes a request");
    let mut answer = [0; BEFORE_ERROR + 2];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[BEFORE_ERROR..], [0, 0], "Kafka's error code");
    until_all(kafka, topic, |one| {
        is_in_sync(one) && (one.id() != i32::from(partition.0) || one.replicas().len() == brokers.len())
    });
}

/// Waits until every copy holds what its leader holds: a fault that comes before that leaves nobody to lead.
pub(super) fn all_are_in_sync(kafka: &Engine, topic: &str) {
    until_all(kafka, topic, is_in_sync);
}

fn is_in_sync(partition: &MetadataPartition) -> bool {
    partition.isr().len() == partition.replicas().len()
}

fn until_all(kafka: &Engine, topic: &str, is: impl Fn(&MetadataPartition) -> bool) {
    let addresses = kafka.address("KAFKA_BROKERS");
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &addresses).create().expect("a client");
    wait_for("copies of all partitions", || {
        let metadata = client.fetch_metadata(Some(topic), NEVER).ok()?;
        let partitions = metadata.topics().first()?.partitions();
        (!partitions.is_empty() && partitions.iter().all(&is)).then_some(())
    });
}

/// Lengths of names and lists are one too large, as in all of Kafka's newer messages; each part ends with no tags.
fn request(topic: &str, partition: Partition, brokers: &[i32]) -> Vec<u8> {
    let tags = [0];
    let header = [&ALTER_PARTITION_REASSIGNMENTS.to_be_bytes()[..], &[0, 0], &[0; 4], &[0xff, 0xff], &tags].concat();
    let timeout = 10_000_i32.to_be_bytes();
    let replicas: Vec<u8> = brokers.iter().flat_map(|broker| broker.to_be_bytes()).collect();
    let partition = [&i32::from(partition.0).to_be_bytes()[..], &[one_more(brokers.len())], &replicas, &tags].concat();
    let topic = [&[one_more(topic.len())][..], topic.as_bytes(), &[one_more(1)], &partition, &tags].concat();
    let body = [&header[..], &timeout, &[one_more(1)], &topic, &tags].concat();
    let length = i32::try_from(body.len()).expect("a short request");
    [&length.to_be_bytes()[..], &body].concat()
}

fn one_more(length: usize) -> u8 {
    u8::try_from(length + 1).ok().filter(|length| *length < 128).expect("a single byte")
}
