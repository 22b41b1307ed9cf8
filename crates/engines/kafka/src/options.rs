//! Where the cluster is, what the topic is called, and how each kind of client is set up.
//!
//! The trap: a librdkafka client answers requests of one broker in order, so a fetch that waits for
//! records holds up every question behind it. Clients that fetch are asked nothing else.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaResult;
use volery_kernel::slot::Partitions;

/// A record's largest size, names and values of its headers included.
pub(crate) const RECORD_MOST: usize = 1 << 20;

/// Largest request of the producer and largest batch that the topic must take: a record, its frame,
/// and the small ones that the producer may have put before it.
pub(crate) const BATCH_MOST: usize = 2 << 20;

/// Bytes of the newest records of all partitions, from which readers at the end are served.
pub(crate) const TAILS: usize = 64 << 20;

/// Requests of an idempotent producer that may be under way at once, by librdkafka: with one a partition, none waits.
const PARTITIONS_EACH: usize = 5;

/// Producers of a log: so many appends to different partitions of one broker are made durable at once. Each costs
/// two threads and one a broker; above 80 partitions some wait for each other when all are busy.
const PRODUCERS: std::ops::RangeInclusive<usize> = 8..=16;

/// KiB that each of them holds at most: 32 MiB of the most that there are.
const PRODUCER_KIB: usize = (32 << 10) / *PRODUCERS.end();

/// How many producers append to so many partitions.
pub(crate) fn producers(partitions: Partitions) -> usize {
    let partitions = usize::from(partitions.count());
    partitions.div_ceil(PARTITIONS_EACH).clamp(*PRODUCERS.start(), *PRODUCERS.end()).min(partitions)
}

/// Consumers at the ends of partitions. Each costs two threads, one a broker, and 4 MiB at most.
const FOLLOWERS: u16 = 4;

/// How many consumers follow so many partitions.
pub(crate) fn followers(partitions: Partitions) -> u16 {
    FOLLOWERS.min(partitions.count())
}

/// Every question to the cluster ends by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// A broker that leaves a request unanswered for so long is left, and who leads is asked of another one. librdkafka
/// would wait a minute for a broker that stands still with its connections open.
const SILENCE: Duration = Duration::from_secs(3);

/// The same of an append, which has that long altogether.
const APPENDED_WITHIN: Duration = Duration::from_secs(4);

/// Which log this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to find the cluster: `host:port`, separated by commas.
    pub brokers: String,
    /// The topic is this name, a dot and the generation.
    pub name: String,
    /// From 1.
    pub generation: u16,
    /// How many partitions the topic has, or gets.
    pub partitions: Partitions,
    /// How many copies a new topic gets; one that is there must have as many. With one, each message is flushed;
    /// with more, two must have it.
    pub copies: u16,
}

impl Options {
    /// The topic of this generation.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("{}.{}", self.name, self.generation)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "volery");
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("socket.timeout.ms", millis(SILENCE)).set("socket.connection.setup.timeout.ms", millis(SILENCE));
        config
    }

    /// Appends: answers only when all copies in sync have it; retries by itself without doubling or
    /// reordering, and gives up after 4 s.
    pub(crate) fn producer<C, T>(&self, context: C) -> KafkaResult<T>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        self.appending().create_with_context(context)
    }

    fn appending(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("message.timeout.ms", millis(APPENDED_WITHIN)).set("socket.timeout.ms", millis(APPENDED_WITHIN));
        // As long as it takes to hand over what has waited for the request before: it travels in one.
        config.set("linger.ms", "0.2").set("batch.size", (BATCH_MOST / 4).to_string());
        config
            .set("message.max.bytes", BATCH_MOST.to_string())
            .set("queue.buffering.max.kbytes", PRODUCER_KIB.to_string());
        config
    }

    /// Questions and the topic's administration.
    pub(crate) fn plain<T: FromClientConfig>(&self) -> KafkaResult<T> {
        self.client().create()
    }

    /// Reads or commits as `group`, with nobody joining it: partitions are assigned by hand and an offset
    /// that is not there is an error, never a jump. A fetch waits for records as long as `patience`, and
    /// holds up the client's next one as long; shorter than [`SILENCE`] by a second or more. Holds about 4 MiB of
    /// records.
    pub(crate) fn consumer<T: FromClientConfig>(&self, group: &str, patience: Duration) -> KafkaResult<T> {
        let mut config = self.client();
        config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "error");
        config.set("check.crcs", "true").set("isolation.level", "read_uncommitted");
        config.set("fetch.wait.max.ms", millis(patience));
        config.set("fetch.queue.backoff.ms", "10").set("fetch.error.backoff.ms", "50");
        config.set("fetch.message.max.bytes", RECORD_MOST.to_string());
        config.set("queued.min.messages", "1000").set("queued.max.messages.kbytes", "4096");
        config.create()
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

/// Connects and learns where the topic's partitions are. A client that is asked for one without it finds
/// out only when its own clock, of a second, comes round. Waits, so long at most.
pub(crate) fn warm<C: ClientContext>(client: &Client<C>, topic: &str, within: Duration) -> KafkaResult<()> {
    client.fetch_metadata(Some(topic), within).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_is_in_all_copies_in_sync_and_a_retry_of_it_is_none() {
        let (brokers, name) = ("127.0.0.1:1".to_owned(), "inbox".to_owned());
        let options = Options { brokers, name, generation: 1, partitions: Partitions::new(1).unwrap(), copies: 3 };
        let native = options.appending().create_native_config().unwrap();
        let set = |key| native.get(key).unwrap();
        // As librdkafka has it: all of those in sync are -1.
        assert_eq!((set("acks").as_str(), set("enable.idempotence").as_str()), ("-1", "true"));
        assert_eq!(set("message.timeout.ms"), "4000");
    }
}
