//! Three brokers, as a cluster has them. Under a load one stands still, then all are killed. What goes on and what does
//! not, who says so and how it heals is looked at; what became of the load is judged by the checker.
//!
//! One partition has two copies instead of three, so that a single broker's absence brings it below its minimum while
//! all others go on. Nothing is measured: of two things one must come before the other.

use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::slot::{Partition, Partitions};
use volery_testkit::engine::Engine;

use super::copies::{all_are_in_sync, are_at_alone};
use super::kit::server::PASSWORD;
use super::kit::{Device, Server, wait_for};
use super::outage::{RETRY, health, until_degraded, until_healed};
use super::patient::{comes_back, gets_through, hears, reads, until_confirmed};
use super::{OPEN, alone, chat_at_while, flags, on_kafka, person, users_of_load};

const TOPIC: &str = "volery-inbox.1";
const PARTITIONS: u16 = 8;
/// Those of the load, four pairs.
const LOAD: usize = 8;
/// Of these four are looked for by where their streams lie: one alone, and three elsewhere.
const OTHERS: usize = 12;
/// Messages a second of the load: what was meant to be said while nothing is taken is said afterwards, all of it.
const FEW: u64 = 20;

fn partition_of(device: &Device) -> Partition {
    let partitions = Partitions::new(PARTITIONS).expect("partitions");
    partitions.of(Recipient::User(UserId::new(device.user).expect("an id")))
}

/// Everything, and who looks at it. Ada writes to Bob, Cyd to Xan, whose partition is the lame one.
struct Stage {
    // Ends before the engine does.
    server: Server,
    kafka: Engine,
    ada: Device,
    bob: Device,
    cyd: Device,
    xan: Device,
    lame: Partition,
    /// Of Ada and Bob, and what was said there.
    chat: String,
    said: Vec<&'static str>,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        let kafka = Engine::start_three(test, "kafka")?;
        let settings = [on_kafka(&kafka), OPEN.map(str::to_owned).to_vec()].concat();
        let settings = [settings, vec![format!("log.partitions={PARTITIONS}")]].concat();
        let names: Vec<String> = (0..LOAD + OTHERS).map(|number| person(number, PASSWORD).user_name).collect();
        let users: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = Server::start_with(&users, &flags(&settings));
        let mut others: Vec<_> = users[LOAD..].iter().map(|name| server.device(name)).collect();
        let mut xan = others.remove(0);
        let lame = partition_of(&xan);
        // Broker 2 leads it.
        are_at_alone(&kafka, TOPIC, lame, &[2, 1]);
        let mut elsewhere = others.into_iter().filter(|device| partition_of(device) != lame);
        let [mut ada, mut bob, mut cyd] =
            std::array::from_fn(|_| elsewhere.next().expect("three of eleven are in other partitions"));
        for device in [&mut ada, &mut bob, &mut cyd, &mut xan] {
            device.connect();
            device.sync();
        }
        let chat = ada.chat_with(bob.user);
        Some(Self { server, kafka, ada, bob, cyd, xan, lame, chat, said: Vec::new() })
    }

    /// Ada says it to Bob, however often that takes, and he hears it.
    fn said_and_heard(&mut self, text: &'static str) {
        gets_through(&mut self.ada, self.bob.user, text);
        hears(&mut self.bob, &self.chat, text);
        self.said.push(text);
    }

    /// Waits until a part of health says that the lame partition takes nothing.
    fn until_named(&self, part: &str) {
        let lame = format!("partition {}", self.lame);
        wait_for(&format!("{part} names {lame}"), || {
            let (status, parts) = health(&self.server);
            assert_eq!(status, 200, "{parts}");
            parts[part]["reason"].as_str()?.contains(&lame).then_some(())
        });
    }

    fn a_broker_stands_still(&mut self) {
        self.kafka.pause_one(2);
        comes_back(&mut self.cyd);
        let request = self.cyd.send(self.xan.user, "to the lame");
        assert_eq!(self.cyd.answer(request).code(), "outcome_unknown");
        assert_eq!(self.cyd.closed().0, RETRY);
        // Once others lead what it led.
        self.said_and_heard("one broker stands still");
        self.one_partition_takes_nothing();
        self.kafka.proceed_one(2);
        for (device, text) in [(&mut self.cyd, "to the lame"), (&mut self.xan, "from the lame")] {
            until_confirmed(device, text);
        }
        let chat = self.xan.chat_with(self.cyd.user);
        hears(&mut self.xan, &chat, "to the lame");
        self.heals();
    }

    /// The lame partition has one copy left. What is for it waits, and is said; all others go on meanwhile.
    fn one_partition_takes_nothing(&mut self) {
        self.until_named("log");
        self.asks_for_an_echo_and_an_answer();
        self.until_named("fanout");
        self.until_named("archive");
        let waits = || self.server.metric("volery_reader_waits_seconds{reader=\"fanout\"}");
        wait_for("how long fan-out waits", || (waits() > 0).then_some(()));
        assert!(self.server.metric("volery_log_refused_total") > 0);

        self.said_and_heard("the others go on");
        comes_back(&mut self.cyd);
        assert!(self.cyd.retry());
        assert_eq!(self.cyd.closed().0, RETRY, "it was refused before that, and after");
        ["log", "fanout", "archive"].iter().for_each(|part| self.until_named(part));
    }

    /// Xan says something to Cyd, and retries it without having heard an answer: the answer, and the echo for his other
    /// devices, are for his own partition.
    fn asks_for_an_echo_and_an_answer(&mut self) {
        comes_back(&mut self.xan);
        self.xan.send(self.cyd.user, "from the lame");
        self.xan.drop_socket();
        comes_back(&mut self.xan);
        assert!(self.xan.retry(), "it is not known what became of it");
    }

    fn all_are_killed(&mut self) {
        self.kafka.kill();
        comes_back(&mut self.ada);
        let request = self.ada.send(self.bob.user, "all are dead");
        assert_eq!(self.ada.answer(request).code(), "outcome_unknown");
        until_degraded(&self.server, &["log"]);
        self.kafka.restart();
        until_confirmed(&mut self.ada, "all are dead");
        hears(&mut self.bob, &self.chat, "all are dead");
        self.said.push("all are dead");
        self.heals();
    }

    /// All is as before: with the next fault a broker less is no broker too few.
    fn heals(&mut self) {
        until_healed(&self.server);
        reads(&mut self.bob, &self.server, &self.chat, &self.said);
        all_are_in_sync(&self.kafka, TOPIC);
    }
}

#[test]
fn promises_hold_while_one_of_three_brokers_stands_still_and_when_all_were_killed() {
    let _alone = alone();
    let name = "promises_hold_while_one_of_three_brokers_stands_still_and_when_all_were_killed";
    let Some(mut stage) = Stage::new(name) else { return };
    let gateway = format!("http://{}", stage.server.addresses().gateway);
    let users = users_of_load(&stage.server.data(), (0..LOAD).map(|number| person(number, PASSWORD)));
    chat_at_while(&gateway, &users, FEW, || {
        stage.a_broker_stands_still();
        stage.all_are_killed();
    });
}
