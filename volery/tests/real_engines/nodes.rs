//! Three Cassandra nodes, as a cluster has them. Under a load one stands still, then one is killed and comes back, then
//! all stand still. What goes on and what does not, who says so and how it heals is looked at; what became of the load
//! is judged by the checker.

use volery_testkit::engine::Engine;

use super::kit::server::PASSWORD;
use super::kit::{Device, Server, wait_for};
use super::outage::{page, until_degraded, until_healed};
use super::patient::{comes_back, gets_through, hears, reads};
use super::{OPEN, alone, chat_at_while, flags, on_cassandra, person, users_of_load};

/// Those of the load, four pairs.
const LOAD: usize = 8;
/// Messages a second of the load.
const FEW: u64 = 20;

/// Everything, and who looks at it: Ada writes to Bob, who reads pages.
struct Stage {
    // Ends before the engine does.
    server: Server,
    cassandra: Engine,
    ada: Device,
    bob: Device,
    chat: String,
    said: Vec<&'static str>,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        let cassandra = Engine::start_three(test, "cassandra")?;
        let settings = [on_cassandra(&cassandra), OPEN.map(str::to_owned).to_vec()].concat();
        let names: Vec<String> = (0..LOAD).map(|number| person(number, PASSWORD).user_name).collect();
        let users: Vec<&str> = names.iter().map(String::as_str).chain(["ada", "bob"]).collect();
        let server = Server::start_with(&users, &flags(&settings));
        let (ada, bob) = (server.synced("ada"), server.synced("bob"));
        let chat = ada.chat_with(bob.user);
        Some(Self { server, cassandra, ada, bob, chat, said: Vec::new() })
    }

    fn said_and_heard(&mut self, text: &'static str) {
        gets_through(&mut self.ada, self.bob.user, text);
        hears(&mut self.bob, &self.chat, text);
        self.said.push(text);
    }

    /// What is said meanwhile is archived and read meanwhile, by the other two, and health has nothing to say in the end.
    fn nothing_is_missing(&mut self, text: &'static str) {
        self.said_and_heard(text);
        self.is_read();
        until_healed(&self.server);
    }

    fn is_read(&mut self) {
        reads(&mut self.bob, &self.server, &self.chat, &self.said);
    }

    fn one_stands_still(&mut self) {
        self.cassandra.pause_one(2);
        self.nothing_is_missing("one node stands still");
        self.cassandra.proceed_one(2);
        self.is_read();
    }

    fn one_is_killed(&mut self) {
        self.cassandra.kill_one(3);
        self.nothing_is_missing("one node is dead");
        self.cassandra.restart_one(3);
        self.is_read();
    }

    fn all_stand_still(&mut self) {
        self.cassandra.pause();
        self.said_and_heard("all nodes stand still");
        comes_back(&mut self.bob);
        assert_eq!(page(&mut self.bob, &self.chat).code(), "history_unavailable");
        until_degraded(&self.server, &["timeline", "archive"]);
        let waits = || self.server.metric("volery_reader_waits_seconds{reader=\"archive\"}");
        wait_for("how long archive waits", || (waits() > 0).then_some(()));
        assert!(self.server.metric("volery_errors_total{code=\"history_unavailable\"}") > 0);
        self.cassandra.proceed();
        self.is_read();
        until_healed(&self.server);
    }
}

#[test]
fn promises_hold_while_one_of_three_cassandra_nodes_is_away_and_when_all_stood_still() {
    let _alone = alone();
    let name = "promises_hold_while_one_of_three_cassandra_nodes_is_away_and_when_all_stood_still";
    let Some(mut stage) = Stage::new(name) else { return };
    let gateway = format!("http://{}", stage.server.addresses().gateway);
    let users = users_of_load(&stage.server.data(), (0..LOAD).map(|number| person(number, PASSWORD)));
    chat_at_while(&gateway, &users, FEW, || {
        stage.one_stands_still();
        stage.one_is_killed();
        stage.all_stand_still();
    });
}
