//! A broker of the test's own: free ports, a folder that goes with it, ended even if the test fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::Partitions;

pub(crate) struct Broker {
    dir: TempDir,
    ports: [u16; 2],
}

pub(crate) fn partitions(count: u16) -> Partitions {
    Partitions::new(count).unwrap()
}

impl Broker {
    /// Nothing if the machine has no Java or no Maven.
    pub(crate) fn start() -> Option<Self> {
        let there = |tool: &str| Command::new(tool).arg("-version").stderr(Stdio::null()).output().is_ok();
        if !there("java") || !there("mvn") {
            return None;
        }
        // Both are held while the other is chosen, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
        drop(free);
        let broker = Self { dir: tempfile::tempdir().unwrap(), ports };
        broker.up();
        Some(broker)
    }

    pub(crate) fn up(&self) {
        assert!(self.script("up"), "the broker does not start");
    }

    /// Ends it without a word of warning.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
        assert!(self.script("down"), "the broker does not end");
    }

    /// Stops it where it is, connections open; `-CONT` lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
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

    fn script(&self, word: &str) -> bool {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../engines/kafka.sh");
        let mut command = Command::new(script);
        command.arg(word).env("KAFKA_DIR", self.dir.path());
        command.env("KAFKA_PORT", self.ports[0].to_string());
        command.env("KAFKA_CONTROLLER", self.ports[1].to_string());
        command.status().unwrap().success()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script("down");
    }
}
