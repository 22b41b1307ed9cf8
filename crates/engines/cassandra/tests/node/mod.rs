//! A Cassandra node of the test's own: free ports, a folder that goes with it, ended even if the test fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]
#![expect(dead_code, reason = "each program of tests uses a part")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use tempfile::TempDir;
use volery_cassandra::{CassandraTimeline, Options};

/// How `engines/engines` ends where something is missing that cannot be had.
const MISSING: i32 = 2;

/// Held by the tests of a program that run at once; the last of them ends it.
static SHARED: Mutex<Weak<Node>> = Mutex::new(Weak::new());

pub(crate) struct Node {
    dir: TempDir,
    ports: [u16; 3],
}

impl Node {
    /// Nothing if Cassandra cannot be had on this machine.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = shared.upgrade() {
            return Some(node);
        }
        let node = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&node);
        Some(node)
    }

    fn start() -> Option<Self> {
        // All are held while the others are chosen, so that they differ.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|socket| socket.local_addr().unwrap().port());
        drop(free);
        let node = Self { dir: tempfile::tempdir().unwrap(), ports };
        match node.engines("up") {
            Some(0) => Some(node),
            Some(MISSING) => None,
            other => panic!("the node does not start: {other:?}"),
        }
    }

    /// Stops it where it is, connections open.
    pub(crate) fn pause(&self) {
        self.must("pause");
    }

    /// Lets it go on after a pause.
    pub(crate) fn proceed(&self) {
        self.must("continue");
    }

    pub(crate) fn kill(&self) {
        self.must("kill");
    }

    pub(crate) fn up(&self) {
        self.must("start");
    }

    /// Patient: a busy machine is no outage.
    pub(crate) fn options(&self, keyspace: &str) -> Options {
        let nodes = vec![format!("127.0.0.1:{}", self.ports[0])];
        let (keyspace, request_timeout) = (keyspace.to_owned(), Duration::from_secs(20));
        Options { keyspace, copies: 1, request_timeout, ..Options::new(nodes) }
    }

    pub(crate) async fn open(&self, keyspace: &str) -> CassandraTimeline {
        let timeline = CassandraTimeline::open(&self.options(keyspace)).await;
        timeline.unwrap_or_else(|error| panic!("{keyspace} is not opened: {error}"))
    }

    /// For what an operator does.
    pub(crate) async fn operator(&self) -> Session {
        SessionBuilder::new().known_node(format!("127.0.0.1:{}", self.ports[0])).build().await.unwrap()
    }

    fn must(&self, word: &str) {
        assert_eq!(self.engines(word), Some(0), "{word} fails");
    }

    /// How `engines/engines` ends.
    fn engines(&self, word: &str) -> Option<i32> {
        let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../engines/engines");
        let mut command = Command::new(tool);
        command.args([word, "cassandra"]).env("ENGINES_DIR", self.dir.path()).env("REPLICAS", "1");
        command.env("CASSANDRA_HOST", "127.0.0.1").env("CASSANDRA_PORT", self.ports[0].to_string());
        command.env("CASSANDRA_STORAGE_PORT", self.ports[1].to_string());
        command.env("CASSANDRA_JMX_PORT", self.ports[2].to_string());
        command.status().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.engines("down");
    }
}
