//! A Cassandra node that the tests of a program share, and timelines on it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![allow(dead_code, reason = "each program of tests uses a part")]

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use volery_cassandra::{CassandraTimeline, Options};
use volery_testkit::engine::Engine;

/// Held by the tests of a program that run at once; the last of them ends it.
static SHARED: Mutex<Weak<Node>> = Mutex::new(Weak::new());

pub(crate) struct Node {
    pub(crate) engine: Engine,
}

impl Node {
    /// Nothing if Cassandra cannot be had on this machine, which was said.
    pub(crate) fn shared(test: &str) -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = shared.upgrade() {
            return Some(node);
        }
        let node = Arc::new(Self { engine: Engine::start(test, "cassandra")? });
        *shared = Arc::downgrade(&node);
        Some(node)
    }

    fn address(&self) -> String {
        self.engine.address("CASSANDRA_NODES")
    }

    /// Patient: a busy machine is no outage.
    pub(crate) fn options(&self, keyspace: &str) -> Options {
        let (keyspace, request_timeout) = (keyspace.to_owned(), Duration::from_secs(20));
        Options { keyspace, copies: 1, request_timeout, ..Options::new(vec![self.address()]) }
    }

    pub(crate) async fn open(&self, keyspace: &str) -> CassandraTimeline {
        let timeline = CassandraTimeline::open(&self.options(keyspace)).await;
        timeline.unwrap_or_else(|error| panic!("{keyspace} is not opened: {error}"))
    }

    /// For what an operator does.
    pub(crate) async fn operator(&self) -> Session {
        SessionBuilder::new().known_node(self.address()).build().await.unwrap()
    }
}
