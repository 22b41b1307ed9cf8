//! Three brokers and three Cassandra nodes, as a cluster has them. Under a load one machine with one of each stands
//! still, then too many do, then one is lost, then all brokers die. What goes on and what does not, who says so and
//! how it heals is looked at in every act, and what became of the load is judged by the checker.
//!
//! One partition has two copies instead of three, so that a single broker's absence brings it below its minimum while
//! all others go on. And one record in the log is of nobody who knows us.

use std::fs;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::slot::{Partition, Partitions};
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::fewer::has_copies_at_alone;
use super::kit::server::PASSWORD;
use super::kit::{Device, NEVER, Server, now, wait_for};
use super::outage::{RETRY, health, holds, page, until_degraded, until_healed};
use super::{OPEN, alone, chat_at_while, flags, on_cassandra, on_kafka};

const TOPIC: &str = "volery-inbox.1";
const PARTITIONS: u16 = 8;
/// Has copies at the brokers 1 and 2 alone.
const LAME: Partition = Partition(3);
/// Those of the load, four pairs; of the others some are looked for by where their streams lie.
const LOAD: usize = 8;
const OTHERS: usize = 96;
/// Messages a second of the load: what was meant to be said while nothing is taken is said afterwards, all of it.
const FEW: u64 = 20;
/// A broker is taken for dead after 9 s without a word (`broker.session.timeout.ms`), whether it died or stands still.
const ELECTED_WITHIN: Duration = Duration::from_secs(20);
/// A page is there within this whatever one Cassandra node does: another is asked after a second.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// For so long the load must flow as before. Without one of its eight people an eighth would be missing.
const LOOKED_AT_FOR: Duration = Duration::from_secs(5);
/// Whoever comes is told all within this, whoever led their partition: a question is asked again after a look at who
/// leads now.
const SYNCED_WITHIN: Duration = Duration::from_secs(6);
/// Connections that a held node left hanging are given up after five seconds; until then a page may still fail.
const LEFT_WITHIN: Duration = Duration::from_secs(6);
/// Longer than any call waits.
const STILL_FOR: Duration = Duration::from_secs(8);

fn partitions() -> Partitions {
    Partitions::new(PARTITIONS).expect("partitions")
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn partition_of(device: &Device) -> Partition {
    partitions().of(Recipient::User(UserId::new(device.user).expect("an id")))
}

/// Everything, and who looks at it. Ada writes to Bob, Cyd to Xan, whose partition is the lame one.
struct Stage {
    // Ends before the engines do.
    server: Server,
    kafka: Engine,
    cassandra: Engine,
    ada: Device,
    bob: Device,
    cyd: Device,
    xan: Device,
    /// One of each partition.
    each: Vec<Device>,
    /// Of Ada and Bob, and what was said there.
    chat: String,
    said: Vec<&'static str>,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        let [kafka, cassandra] = std::thread::scope(|scope| {
            ["kafka", "cassandra"]
                .map(|name| scope.spawn(move || Engine::start_three(test, name)))
                .map(|engine| engine.join().expect("no panic"))
        });
        let (kafka, cassandra) = (kafka?, cassandra?);
        let settings = [on_kafka(&kafka), on_cassandra(&cassandra), OPEN.map(str::to_owned).to_vec()].concat();
        let settings = [settings, vec![format!("log.partitions={PARTITIONS}")]].concat();
        let names: Vec<String> = (0..LOAD + OTHERS).map(|number| format!("person_{number}")).collect();
        let users: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = Server::start_with(&users, &flags(&settings));
        has_copies_at_alone(&kafka, TOPIC, LAME, &[2, 1]);
        let mut others: Vec<_> = users[LOAD..].iter().map(|name| server.device(name)).collect();
        let mut take = |partition| {
            let found = others.iter().position(|device| partition_of(device) == partition);
            others.swap_remove(found.expect("some of 96 are in each of eight partitions"))
        };
        let each = partitions().iter().map(&mut take).collect();
        let xan = take(LAME);
        let mut good = others.into_iter().filter(|device| partition_of(device) != LAME);
        let [ada, bob, cyd] = std::array::from_fn(|_| good.next().expect("most are elsewhere"));
        let chat = ada.chat_with(bob.user);
        let mut stage = Self { server, kafka, cassandra, ada, bob, cyd, xan, each, chat, said: Vec::new() };
        for device in [&mut stage.ada, &mut stage.bob, &mut stage.cyd, &mut stage.xan] {
            device.connect();
            device.sync();
        }
        Some(stage)
    }

    /// The users of the load, as it wants them.
    fn users(&self) -> std::path::PathBuf {
        let file = self.server.data().join("load.jsonl");
        let line = |number| format!(r#"{{"user_name":"person_{number}","password":"{PASSWORD}"}}"#);
        fs::write(&file, (0..LOAD).map(line).collect::<Vec<_>>().join("\n")).expect("written");
        file
    }

    /// Ada says it to Bob, however often that takes, and he hears it. How long it took.
    fn said_and_heard(&mut self, text: &'static str) -> Duration {
        let begun = now();
        gets_through(&mut self.ada, self.bob.user, text);
        hears_in_the_end(&mut self.bob, &self.chat, text);
        self.said.push(text);
        now() - begun
    }

    /// Bob reads a page. How long it took.
    fn reads(&mut self) -> Duration {
        comes_back(&mut self.bob);
        let begun = now();
        let answer = page(&mut self.bob, &self.chat);
        assert_eq!(answer.op, ServerOp::Page, "{answer:?}: {:?}", health(&self.server));
        now() - begun
    }

    /// Bob reads pages one after the other until then.
    fn reads_until(&mut self, then: Instant) {
        while now() < then {
            let took = self.reads();
            assert!(took < READ_WITHIN, "a page took {took:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Someone of each partition comes in and is told all.
    fn everybody_comes_in(&mut self) {
        for device in &mut self.each {
            let begun = now();
            device.connect();
            device.sync();
            let took = now() - begun;
            println!("someone of partition {} was synced after {took:?}", partition_of(device));
            assert!(took < SYNCED_WITHIN, "someone of partition {} was synced after {took:?}", partition_of(device));
            device.drop_socket();
        }
    }

    /// Waits until pages have come without a break for as long as a connection may be left hanging.
    fn reads_for_a_while(&mut self) {
        let (deadline, mut since) = (now() + NEVER, now());
        while now() < since + LEFT_WITHIN {
            comes_back(&mut self.bob);
            let answer = page(&mut self.bob, &self.chat);
            if answer.op != ServerOp::Page {
                assert!(now() < deadline, "{answer:?}: {:?}", health(&self.server));
                since = now();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn heals(&mut self) {
        until_healed(&self.server);
        for device in [&mut self.ada, &mut self.bob, &mut self.cyd, &mut self.xan] {
            comes_back(device);
        }
        holds(&mut self.bob, &self.chat, &self.said);
    }

    /// Waits until the load flows as before, up to the timeline: clients come back up to half a minute after an
    /// outage and say then what was meant to be said in it.
    fn flows_again(&self) {
        let archived = |what: &str| self.server.metric(&format!("volery_stage_seconds_{what}{{stage=\"archived\"}}"));
        let deadline = now() + 4 * NEVER;
        loop {
            let (messages, seconds) = (archived("count"), archived("sum"));
            std::thread::sleep(LOOKED_AT_FOR);
            let (messages, seconds) = (archived("count") - messages, archived("sum") - seconds);
            let meant = FEW * LOOKED_AT_FOR.as_secs();
            if messages.abs_diff(meant) * 12 <= meant && seconds <= messages {
                return;
            }
            assert!(now() < deadline, "{messages} messages in {LOOKED_AT_FOR:?}, {seconds} s late all together");
        }
    }

    /// Whoever may write to the topic may write what is none of ours.
    fn a_stranger_writes_into_the_log(&mut self) {
        let partition = i32::from(partition_of(&self.bob).0);
        let brokers = self.kafka.address("KAFKA_BROKERS");
        on_a_runtime(async {
            let producer: FutureProducer =
                ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
            let record = FutureRecord::to(TOPIC).partition(partition).key("whose").payload("no event");
            producer.send(record, NEVER).await.expect("it is taken");
        });
        self.said_and_heard("after what nobody understands");
        let aside = || self.server.metric("volery_set_aside_total");
        wait_for("the record is set aside", || (aside() == 1).then_some(()));
        self.heals();
    }

    /// The broker and the node are left dead.
    fn a_machine_is_lost(&mut self) {
        self.kafka.kill_one(3);
        self.cassandra.kill_one(3);
        let then = now() + STILL_FOR / 4;
        self.reads_until(then);
        let took = self.said_and_heard("one machine is lost");
        println!("with one broker killed a message went through after {took:?}");
        assert!(took < ELECTED_WITHIN, "{took:?}");
        self.everybody_comes_in();
        until_healed(&self.server);
    }

    fn a_machine_stands_still(&mut self) {
        self.kafka.pause_one(2);
        self.cassandra.pause_one(2);
        let then = now() + STILL_FOR / 2;
        self.reads_until(then);
        let took = self.said_and_heard("one machine stands still");
        println!("with one broker held a message went through after {took:?}");
        assert!(took < ELECTED_WITHIN, "{took:?}");
        self.everybody_comes_in();
        self.one_partition_takes_nothing();
        self.kafka.proceed_one(2);
        self.cassandra.proceed_one(2);
        gets_through(&mut self.cyd, self.xan.user, "to the lame");
        let chat = self.xan.chat_with(self.cyd.user);
        hears_in_the_end(&mut self.xan, &chat, "to the lame");
        self.heals();
    }

    /// The lame partition has one copy left; all others go on.
    fn one_partition_takes_nothing(&mut self) {
        comes_back(&mut self.cyd);
        let request = self.cyd.send(self.xan.user, "to the lame");
        assert_eq!(self.cyd.answer(request).code(), "outcome_unknown");
        assert_eq!(self.cyd.closed().0, RETRY);
        let is_said = |server: &Server| {
            let (status, parts) = health(server);
            assert_eq!(status, 200, "{parts}");
            parts["log"]["reason"].as_str().is_some_and(|reason| reason.starts_with(&format!("partition {LAME} ")))
        };
        wait_for("the partition is named", || is_said(&self.server).then_some(()));
        let took = self.said_and_heard("the others go on");
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert!(is_said(&self.server), "what others take heals nothing");
    }

    fn too_many_stand_still(&mut self) {
        [1, 2].iter().for_each(|broker| self.kafka.pause_one(*broker));
        self.cassandra.pause();
        let until = now() + STILL_FOR;
        comes_back(&mut self.ada);
        let request = self.ada.send(self.bob.user, "too many stand still");
        assert_eq!(self.ada.answer(request).code(), "outcome_unknown");
        assert_eq!(self.ada.closed().0, RETRY);
        comes_back(&mut self.bob);
        assert_eq!(page(&mut self.bob, &self.chat).code(), "history_unavailable");
        until_degraded(&self.server, &["log", "timeline"]);
        std::thread::sleep(until.saturating_duration_since(now()));
        [1, 2].iter().for_each(|broker| self.kafka.proceed_one(*broker));
        self.cassandra.proceed();
        self.is_taken_up_again("too many stand still");
        self.reads_for_a_while();
    }

    fn all_brokers_die(&mut self) {
        [1, 2].iter().for_each(|broker| self.kafka.kill_one(*broker));
        comes_back(&mut self.ada);
        let request = self.ada.send(self.bob.user, "all are dead");
        assert_eq!(self.ada.answer(request).code(), "outcome_unknown");
        until_degraded(&self.server, &["log"]);
        self.kafka.restart();
        self.is_taken_up_again("all are dead");
    }

    /// What Ada has said goes through, once something can.
    fn is_taken_up_again(&mut self, text: &'static str) {
        let begun = now();
        until_confirmed(&mut self.ada, text);
        hears_in_the_end(&mut self.bob, &self.chat, text);
        println!("{text}: it went through {:?} after all were back", now() - begun);
        self.said.push(text);
        self.heals();
    }
}

fn comes_back(device: &mut Device) {
    device.pump(now());
    if !device.is_connected() {
        wait_for("a welcome", || device.try_connect().then_some(()));
    }
}

fn gets_through(device: &mut Device, to: u64, text: &str) {
    if !device.unconfirmed.iter().any(|send| send.text == text) {
        comes_back(device);
        device.send(to, text);
    }
    until_confirmed(device, text);
}

/// Waits until a send is confirmed, and retries it whenever its socket was closed.
fn until_confirmed(device: &mut Device, text: &str) {
    let deadline = now() + NEVER;
    while device.unconfirmed.iter().any(|send| send.text == text) {
        assert!(now() < deadline, "{text}: not within {NEVER:?}: {device}");
        comes_back(device);
        device.retry();
        device.pump(now() + Duration::from_millis(100));
    }
}

fn hears_in_the_end(device: &mut Device, chat: &str, text: &str) {
    let deadline = now() + NEVER;
    while !device.texts(chat).iter().any(|held| held == text) {
        assert!(now() < deadline, "{text}: not heard within {NEVER:?}: {device}");
        comes_back(device);
        device.pump(now() + Duration::from_millis(100));
    }
}

#[test]
#[ignore = "four minutes and 6 GiB; it has not passed three times in a row yet: run it by name"]
fn promises_hold_while_some_of_three_brokers_and_three_cassandra_nodes_are_away() {
    let _alone = alone();
    let name = "promises_hold_while_some_of_three_brokers_and_three_cassandra_nodes_are_away";
    let Some(mut stage) = Stage::new(name) else { return };
    let (gateway, users) = (format!("http://{}", stage.server.addresses().gateway), stage.users());
    let kept = chat_at_while(&gateway, &users, FEW, || {
        stage.a_stranger_writes_into_the_log();
        stage.a_machine_stands_still();
        stage.too_many_stand_still();
        stage.a_machine_is_lost();
        stage.all_brokers_die();
        stage.cassandra.restart_one(3);
        stage.heals();
        stage.flows_again();
    });
    assert!(kept);
}
