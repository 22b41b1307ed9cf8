//! A log that lost records, while a server runs and while it does not: its topic is made anew under its name, its broker
//! is put back to an older state, records are deleted that nobody has read. All of it is noticed and said, nothing is
//! acknowledged into it or nobody is told `synced`, and the right log, or a new generation, makes all well.

use std::path::Path;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use volery_kafka::{KafkaLog, Options};
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::slot::Partitions;
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::kit::backups::cp;
use super::kit::server::volery;
use super::kit::{Device, NEVER, Server, wait_for};
use super::outage::until_healed;
use super::{alone, flags, on_kafka, runtime};

/// As a server makes it by default.
pub(super) const PARTITIONS: u16 = 16;

fn partitions() -> Partitions {
    Partitions::new(PARTITIONS).expect("partitions")
}

/// A generation of the log as a server makes it by default.
pub(super) fn options(kafka: &Engine, generation: u16) -> Options {
    let (brokers, name) = (kafka.address("KAFKA_BROKERS"), "volery-inbox".to_owned());
    Options { brokers, name, generation, partitions: partitions(), copies: 1 }
}

/// The partition of somebody's stream.
pub(super) fn partition_of(device: &Device) -> i32 {
    partitions().of(Recipient::User(UserId::new(device.user).expect("an id"))).0.into()
}

/// Whoever may write to the topic may write what is none of ours.
pub(super) fn a_stranger_writes(kafka: &Engine, generation: u16, partition: i32) {
    let options = options(kafka, generation);
    let topic = options.topic();
    runtime().block_on(async {
        let producer: FutureProducer = client(&options).create().expect("a client");
        let record = FutureRecord::to(&topic).partition(partition).key("whose").payload("no event");
        producer.send(record, NEVER).await.expect("it is taken");
    });
}

fn client(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers);
    config
}

fn ends(options: &Options, partitions: impl Iterator<Item = i32>) -> Vec<i64> {
    let asking: BaseConsumer = client(options).create().expect("a client");
    let end = |partition| asking.fetch_watermarks(&options.topic(), partition, NEVER).expect("an end").1;
    partitions.map(end).collect()
}

/// Longer than marks are gathered.
const QUIET: Duration = Duration::from_secs(2);

/// Waits until what follows from what was said is appended, too: echoes and marks.
fn is_quiet(kafka: &Engine, generation: u16) {
    let all = || ends(&options(kafka, generation), 0..PARTITIONS.into());
    wait_for("nothing more is appended", || {
        let before = all();
        std::thread::sleep(QUIET);
        (all() == before).then_some(())
    });
}

/// Deletes all that is in a partition.
fn everything_is_deleted(kafka: &Engine, generation: u16, partition: i32) {
    let options = options(kafka, generation);
    let (topic, config) = (options.topic(), client(&options));
    let end = ends(&options, std::iter::once(partition))[0];
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&topic, partition, Offset::Offset(end)).expect("an offset");
    runtime().block_on(async {
        let admin: AdminClient<DefaultClientContext> = config.create().expect("a client");
        admin.delete_records(&below, &AdminOptions::new()).await.expect("deleted");
    });
}

/// Deletes a generation's topic and makes it again, as it was and empty.
fn make_anew(kafka: &Engine, generation: u16) {
    let options = options(kafka, generation);
    runtime().block_on(async {
        let admin: AdminClient<DefaultClientContext> = client(&options).create().expect("a client");
        let deleted = admin.delete_topics(&[&options.topic()], &AdminOptions::new()).await.expect("an answer");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        // Until it is gone for all brokers it can be made, but not led.
        let mut made = KafkaLog::open(&options).await;
        for _ in 0..20 {
            if made.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            made = KafkaLog::open(&options).await;
        }
        drop(made.unwrap_or_else(|error| panic!("it is not made anew: {error}")));
    });
}

/// Ada talks to Bob, on a server of which the log alone is elsewhere.
pub(super) struct Talk {
    pub(super) server: Server,
    settings: Vec<String>,
    ada: Device,
    bob: Device,
    chat: String,
    /// How many texts.
    said: usize,
}

impl Talk {
    /// Ten things are said, heard and archived.
    pub(super) fn begin(kafka: &Engine) -> Self {
        let settings = on_kafka(kafka);
        let server = Server::start_with(&["ada", "bob"], &flags(&settings));
        let (ada, bob) = (server.synced("ada"), server.synced("bob"));
        let chat = ada.chat_with(bob.user);
        let mut talk = Self { server, settings, ada, bob, chat, said: 0 };
        (0..10).for_each(|_| talk.says());
        talk.is_whole();
        talk
    }

    fn says(&mut self) {
        self.said += 1;
        self.ada.say(self.bob.user, &self.said.to_string());
    }

    /// Everything that was said is held, and on the pages.
    fn is_whole(&mut self) {
        let (chat, said) = (&self.chat, self.said);
        self.bob.until("all of it", |bob| bob.texts(chat).len() == said);
        self.bob.settle();
        assert_eq!(self.ada.pages_of(chat, said).len(), said);
    }

    pub(super) fn server_stops(&mut self) {
        self.server.terminate();
        assert!(self.server.ended().success());
    }

    /// Both come back, to the end of what was said; how often they were told to start anew.
    fn both_come_back(&mut self) -> usize {
        let mut resets = 0;
        for device in [&mut self.bob, &mut self.ada] {
            device.connect();
            device.sync();
            resets += device.heard.iter().filter(|heard| heard.op == ServerOp::Reset).count();
        }
        self.said += self.ada.unconfirmed.len();
        while self.ada.retry() {
            self.ada.settle();
        }
        self.says();
        self.is_whole();
        resets
    }

    /// Where they were.
    pub(super) fn goes_on(&mut self) {
        assert_eq!(self.both_come_back(), 0, "positions are as good as they were");
        until_healed(&self.server);
    }

    fn archive_stops(&self) {
        let stopped = || self.server.metric("volery_readers_stopped{reader=\"archive\"}");
        wait_for("archive's stop", || (stopped() > 0).then_some(()));
        let parts = self.server.http("GET", "/healthz", None, None).json()["parts"].clone();
        assert_eq!(parts["archive"]["state"], "degraded", "{parts}");
        assert!(self.server.logged().contains("archive has stopped"));
    }

    /// That it is another log: nobody goes on with it.
    fn is_noticed(&mut self) {
        let Self { server, ada, bob, chat, .. } = self;
        wait_for("the loss is said", || (server.metric("volery_log_replaced_partitions") > 0).then_some(()));
        let parts = server.http("GET", "/healthz", None, None).json()["parts"].clone();
        assert_eq!(parts["log_generation"]["state"], "degraded", "{parts}");
        wait_for("a welcome", || ada.try_connect().then_some(()));
        let request = ada.send(bob.user, "lost?");
        let answer = ada.answer(request);
        assert_eq!(answer.op, ServerOp::Error, "nothing is acknowledged: {answer:?}");
        wait_for("a welcome", || bob.try_connect().then_some(()));
        bob.settle();
        assert!(!bob.heard.iter().any(|heard| matches!(heard.op, ServerOp::Synced | ServerOp::Reset)), "{bob}");
        assert_eq!(bob.pages_of(chat, self.said).len(), self.said, "what was archived can be read");
        self.archive_stops();
    }

    fn a_new_generation_begins(&mut self) {
        self.server_stops();
        let mut begin = volery(&["admin", "log-generation", "--begin", "--data"]);
        let begun = begin.arg(self.server.data()).args(flags(&self.settings)).output().expect("it runs");
        assert!(begun.status.success(), "{}", String::from_utf8_lossy(&[begun.stdout, begun.stderr].concat()));
        self.server.start_again();
        assert_eq!(self.both_come_back(), 2, "each starts anew");
        until_healed(&self.server);
    }
}

#[test]
fn a_topic_made_anew_is_noticed_under_a_server_and_at_its_start() {
    let _alone = alone();
    let name = "a_topic_made_anew_is_noticed_under_a_server_and_at_its_start";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let mut talk = Talk::begin(&kafka);
    make_anew(&kafka, 1);
    talk.is_noticed();
    talk.a_new_generation_begins();
    talk.server_stops();
    make_anew(&kafka, 2);
    talk.server.start_again();
    talk.is_noticed();
    talk.a_new_generation_begins();
}

/// What a broker holds is this from now on.
fn holds(kafka: &Engine, copy: &Path) {
    let data = kafka.folder().join("data");
    std::fs::remove_dir_all(&data).expect("it was there");
    cp(copy, &data).expect("put back");
}

fn copied(kafka: &Engine, to: &Path) {
    cp(&kafka.folder().join("data"), to).expect("copied");
}

#[test]
fn a_broker_put_back_to_an_older_state_is_noticed_and_so_are_records_that_nobody_read() {
    let _alone = alone();
    let name = "a_broker_put_back_to_an_older_state_is_noticed_and_so_are_records_that_nobody_read";
    let Some(kafka) = Engine::start(name, "kafka") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [older, newer] = ["older", "newer"].map(|name| folder.path().join(name));
    let mut talk = Talk::begin(&kafka);
    kafka.stop();
    copied(&kafka, &older);
    kafka.restart();
    until_healed(&talk.server);
    talk.says();
    talk.is_whole();

    // A broker that lost its tail. What is appended to that log meanwhile would not be in the right one.
    is_quiet(&kafka, 1);
    kafka.kill();
    copied(&kafka, &newer);
    holds(&kafka, &older);
    kafka.restart();
    talk.is_noticed();
    // The right log is still somewhere.
    talk.server_stops();
    kafka.stop();
    holds(&kafka, &newer);
    kafka.restart();
    talk.server.start_again();
    talk.goes_on();

    // A log out of a backup.
    talk.server_stops();
    kafka.stop();
    holds(&kafka, &older);
    kafka.restart();
    talk.server.start_again();
    talk.is_noticed();
    talk.a_new_generation_begins();

    records_that_nobody_read_are_deleted(&kafka, &mut talk);
    talk.a_new_generation_begins();
}

/// What readers that stand still had asked for is answered by then, with nothing: a fetch waits 50 ms.
const ANSWERED_BY: Duration = Duration::from_secs(1);

/// Under readers that stand still: when they go on, what they ask for is out of range.
fn records_that_nobody_read_are_deleted(kafka: &Engine, talk: &mut Talk) {
    let partition = partition_of(&talk.bob);
    talk.server.signal("-STOP");
    std::thread::sleep(ANSWERED_BY);
    a_stranger_writes(kafka, 2, partition);
    everything_is_deleted(kafka, 2, partition);
    talk.server.signal("-CONT");
    talk.archive_stops();
    assert!(talk.server.logged().contains("those between are in neither"));
    // What is sent from now on would stand where archive never comes.
    let replaced = || talk.server.metric("volery_log_replaced_partitions") > 0;
    wait_for("the hole is said", || replaced().then_some(()));
    let Talk { ada, bob, .. } = talk;
    wait_for("a welcome", || ada.try_connect().then_some(()));
    let request = ada.send(bob.user, "behind the hole");
    let answer = ada.answer(request);
    assert_eq!(answer.op, ServerOp::Error, "nothing is acknowledged: {answer:?}");
}
