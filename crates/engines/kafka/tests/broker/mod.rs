//! A broker of the test's own, and logs on it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use volery_kafka::{KafkaLog, Options};
use volery_kernel::slot::Partitions;
use volery_testkit::engine::Engine;

pub(crate) struct Broker {
    pub(crate) engine: Engine,
}

pub(crate) fn partitions(count: u16) -> Partitions {
    Partitions::new(count).unwrap()
}

impl Broker {
    /// Nothing if Kafka cannot be had on this machine, which was said.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[])
    }

    /// The same with settings of `engines/engines`.
    pub(crate) fn start_with(test: &str, settings: &[(&'static str, &str)]) -> Option<Self> {
        Engine::start_with(test, "kafka", settings).map(|engine| Self { engine })
    }

    pub(crate) fn address(&self) -> String {
        self.engine.address("KAFKA_BROKERS")
    }

    pub(crate) fn options(&self, name: &str) -> Options {
        let (brokers, name) = (self.address(), name.to_owned());
        Options { brokers, name, generation: 1, partitions: partitions(3), copies: 1 }
    }

    pub(crate) async fn open(&self, name: &str) -> KafkaLog {
        let log = KafkaLog::open(&self.options(name)).await;
        log.unwrap_or_else(|error| panic!("{name} is not opened: {error}"))
    }
}
