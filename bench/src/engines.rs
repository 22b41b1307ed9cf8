//! Kafka and Cassandra of a run's own, through `engines/engines` of the source tree: started when a run
//! begins, ended and removed when it is over.
//!
//! Trap avoided: a run that was broken off leaves engines behind. Their folder is the same in every run, so the
//! next one ends them first.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadtest::failure::Failure;
use loadtest::server::Server;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::bench::Bench;

/// Engines below log and timeline.
pub(crate) const BOTH: &[&str] = &["kafka", "cassandra"];
/// The log's alone.
pub(crate) const KAFKA: &[&str] = &["kafka"];
/// The timeline's alone.
pub(crate) const CASSANDRA: &[&str] = &["cassandra"];

/// How `engines` ends where something is missing that cannot be had.
const MISSING: i32 = 2;
/// Ports of a set, the first of the first one, and how many sets there are.
const SET: u16 = 14;
const FIRST: u16 = 12_000;
const SETS: u16 = 200;
/// No engine of anybody else's has nodes there.
const HOST: &str = "127.210.0.11";

/// What may be in the environment for engines of somebody else's.
const SETTINGS: [&str; 3] = ["ENGINES_PORT", "REPLICAS", "CASSANDRA_HOST"];

/// See the module.
#[derive(Debug)]
pub(crate) struct Engines {
    program: PathBuf,
    folder: PathBuf,
    replicas: u16,
    port: u16,
    addresses: HashMap<String, String>,
    places: Cell<u32>,
}

/// A topic and a keyspace that nobody else has.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The topic's name, without the log generation.
    pub(crate) topic: String,
    /// The keyspace.
    pub(crate) keyspace: String,
}

impl Engines {
    /// Starts `names`, in so many nodes each: 1 or 3.
    ///
    /// # Errors
    /// The program is not there, something is missing, or an engine does not start.
    pub(crate) fn start(bench: &Bench, names: &[&str], replicas: u16) -> Result<Self, Failure> {
        let folder = bench.data.join("engines");
        let (program, port) = (bench.programs.engines.clone(), free_set()?);
        let mut engines = Self { program, folder, replicas, port, addresses: HashMap::new(), places: Cell::new(0) };
        engines.remove()?;
        std::fs::create_dir_all(&engines.folder)?;
        eprintln!("  starts {} ({replicas} each)", names.join(", "));
        engines.run(&[&["up"], names].concat(), std::io::stderr().into())?;
        engines.addresses = engines.ask(&[&["env"], names].concat())?;
        engines.know(names)?;
        Ok(engines)
    }

    /// An engine without an address would be replaced by an embedded one, and the figure would be of that.
    fn know(&self, names: &[&str]) -> Result<(), Failure> {
        let told = |name: &&&str| match **name {
            "kafka" => !self.brokers().is_empty(),
            _ => !self.nodes().is_empty(),
        };
        match names.iter().find(|name| !told(name)) {
            Some(name) => Err(Failure(format!("{} does not say where {name} is", self.program.display()))),
            None => Ok(()),
        }
    }

    /// `kafka`'s brokers; empty if it was not started.
    pub(crate) fn brokers(&self) -> &str {
        self.address("KAFKA_BROKERS")
    }

    /// `cassandra`'s nodes; empty if it was not started.
    pub(crate) fn nodes(&self) -> &str {
        self.address("CASSANDRA_NODES")
    }

    fn address(&self, key: &str) -> &str {
        self.addresses.get(key).map_or("", String::as_str)
    }

    /// A new one.
    pub(crate) fn place(&self) -> Place {
        let number = self.places.replace(self.places.get() + 1);
        Place { topic: format!("bench-{number}"), keyspace: format!("bench_{number}") }
    }

    /// A server with so many users, on what was started; what was not is embedded.
    ///
    /// # Errors
    /// As [`Bench::server`].
    pub(crate) fn server(&self, bench: &Bench, users: usize, place: &Place) -> Result<Server, Failure> {
        bench.server_with(users, self.settings(place))
    }

    /// What a process is told of where these engines are.
    pub(crate) fn settings(&self, place: &Place) -> Vec<String> {
        let mut settings = Vec::new();
        if !self.brokers().is_empty() {
            settings.extend([
                "log.engine=kafka".to_owned(),
                format!("log.kafka_brokers={}", self.brokers()),
                format!("log.kafka_topic={}", place.topic),
                format!("log.kafka_copies={}", self.replicas),
            ]);
        }
        if !self.nodes().is_empty() {
            settings.extend([
                "timeline.engine=cassandra".to_owned(),
                format!("timeline.cql_nodes={}", self.nodes()),
                format!("timeline.cql_keyspace={}", place.keyspace),
                format!("timeline.cql_copies={}", self.replicas),
            ]);
        }
        settings
    }

    /// A topic for a bare program, as durable as a server's: the brokers' own settings say that.
    ///
    /// # Errors
    /// Kafka's.
    pub(crate) async fn topic(&self, partitions: i32) -> Result<String, Failure> {
        let name = self.place().topic;
        let mut config = ClientConfig::new();
        let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", self.brokers()).create()?;
        let copies = TopicReplication::Fixed(i32::from(self.replicas));
        let topic = NewTopic::new(&name, partitions, copies);
        let made = admin.create_topics([&topic], &AdminOptions::new()).await?;
        match made.into_iter().find_map(Result::err) {
            Some((name, code)) => Err(Failure(format!("the topic {name} was not made: {code}"))),
            None => Ok(name),
        }
    }

    /// Ends what runs of this folder, and begins anew.
    fn remove(&self) -> Result<(), Failure> {
        if self.folder.exists() {
            self.run(&["down"], Stdio::null())?;
            std::fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    fn run(&self, words: &[&str], told: Stdio) -> Result<(), Failure> {
        let status = self.command(words).stdout(told).status();
        match status.map_err(|error| missing(&self.program, &error))? {
            status if status.success() => Ok(()),
            status if status.code() == Some(MISSING) => {
                Err(Failure("the engines cannot be had here: see above for what is missing".to_owned()))
            }
            _ => Err(Failure(format!("{} {} failed: see above", self.program.display(), words.join(" ")))),
        }
    }

    /// `KEY=value`, line by line.
    fn ask(&self, words: &[&str]) -> Result<HashMap<String, String>, Failure> {
        let output = self.command(words).output().map_err(|error| missing(&self.program, &error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// What an engine was started with holds until it is down, so only `up` says it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env("ENGINES_DIR", &self.folder);
        for name in SETTINGS {
            command.env_remove(name);
        }
        if words.first() == Some(&"up") {
            command.env("ENGINES_PORT", self.port.to_string()).env("REPLICAS", self.replicas.to_string());
            command.env("CASSANDRA_HOST", HOST);
        }
        command
    }
}

impl Drop for Engines {
    /// What is left behind is ended by the next run.
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

fn missing(program: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}; run this from the source tree, or name it by --engines", program.display()))
}

/// The first port of a set in which nothing listens.
fn free_set() -> Result<u16, Failure> {
    let free = |base: &u16| (*base..base + SET).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let mut bases = (0..SETS).map(|set| FIRST + SET * set);
    bases.find(free).ok_or_else(|| Failure(format!("no {SET} ports in a row are free from {FIRST} on")))
}
