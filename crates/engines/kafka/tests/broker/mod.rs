//! A broker of the test's own: free ports, a folder that goes with it, ended even if the test fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::Partitions;

/// How `engines/engines` ends where something is missing that cannot be had.
const MISSING: i32 = 2;

pub(crate) struct Broker {
    dir: TempDir,
    ports: [u16; 2],
}

pub(crate) fn partitions(count: u16) -> Partitions {
    Partitions::new(count).unwrap()
}

impl Broker {
    /// Nothing if Kafka cannot be had on this machine.
    pub(crate) fn start() -> Option<Self> {
        // Both are held while the other is chosen, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
        drop(free);
        let broker = Self { dir: tempfile::tempdir().unwrap(), ports };
        match broker.engines("up") {
            Some(0) => Some(broker),
            Some(MISSING) => None,
            other => panic!("the broker does not start: {other:?}"),
        }
    }

    pub(crate) fn up(&self) {
        self.must("start");
    }

    /// Ends it without a word of warning.
    pub(crate) fn kill(&self) {
        self.must("kill");
    }

    /// Stops it where it is, connections open.
    pub(crate) fn pause(&self) {
        self.must("pause");
    }

    /// Lets it go on after a pause.
    pub(crate) fn proceed(&self) {
        self.must("continue");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn options(&self, name: &str) -> Options {
        let (brokers, name) = (self.address(), name.to_owned());
        Options { brokers, name, generation: 1, partitions: partitions(3), copies: 1 }
    }

    pub(crate) async fn open(&self, name: &str) -> KafkaLog {
        let log = KafkaLog::open(&self.options(name)).await;
        log.unwrap_or_else(|error| panic!("{name} is not opened: {error}"))
    }

    fn must(&self, word: &str) {
        assert_eq!(self.engines(word), Some(0), "{word} fails");
    }

    /// How `engines/engines` ends.
    fn engines(&self, word: &str) -> Option<i32> {
        let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../engines/engines");
        let mut command = Command::new(tool);
        command.args([word, "kafka"]).env("ENGINES_DIR", self.dir.path()).env("REPLICAS", "1");
        command.env("KAFKA_PORT", self.ports[0].to_string());
        command.env("KAFKA_CONTROLLER_PORT", self.ports[1].to_string());
        command.status().unwrap().code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.engines("down");
    }
}
