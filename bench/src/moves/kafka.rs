//! Messaging nodes in processes of their own on Kafka, moved as operators do it. Node 0 is in the process that has
//! all roles, which is what lets timeline and SQL be embedded: they are not what is measured.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use loadtest::failure::Failure;
use loadtest::server::{Server, Setup};

use super::cluster::{Cluster, PARTITIONS};
use crate::bench::Bench;
use crate::engines::Engines;

const ROLES: [&str; 6] = ["history", "account", "idgen", "config", "messaging", "gateway"];
/// Keys of places where a role listens that clients do not see.
const DOORS: [&str; 9] = [
    "history.listen",
    "accounts.listen",
    "idgen.listen",
    "config.listen",
    "history.probes",
    "accounts.probes",
    "idgen.probes",
    "config.probes",
    "messaging.probes",
];

/// See the module. Dropping it ends its processes.
pub(crate) struct OnKafka {
    binary: std::path::PathBuf,
    first: Server,
    others: Vec<Process>,
    _folder: tempfile::TempDir,
}

/// A messaging node.
struct Process {
    child: Child,
    address: String,
    settings: Vec<String>,
}

impl OnKafka {
    /// So many nodes, and so many people.
    ///
    /// # Errors
    /// Why a process did not start.
    pub(crate) fn start(bench: &Bench, engines: &Engines, nodes: usize, people: usize) -> Result<Self, Failure> {
        let (folder, binary, place) = (bench.folder()?, bench.programs.server.clone(), engines.place());
        let mut shared = engines.settings(&place);
        shared.push(format!("log.partitions={PARTITIONS}"));
        shared.extend(["messaging.sends_per_second=1000000", "messaging.sends_burst=1000000"].map(str::to_owned));
        shared.extend(DOORS.map(|key| format!("{key}=127.0.0.1:0")));
        let settings = [shared.as_slice(), &["messaging.name=node-0".to_owned()]].concat();
        let data = Some(folder.path().to_owned());
        let setup = Setup { binary: binary.clone(), roles: ROLES.to_vec(), data, settings, ..Setup::new(people) };
        let first = Server::start(&setup)?;
        let asked = [("history", "history"), ("account", "accounts"), ("idgen", "idgen"), ("config", "config")];
        shared.extend(asked.map(|(role, section)| format!("{section}.nodes={}", first.url(role))));
        let mut cluster = Self { binary, first, others: Vec::new(), _folder: folder };
        for number in 1..nodes {
            let own = [format!("messaging.name=node-{number}"), "messaging.listen=127.0.0.1:0".to_owned()];
            let process = Process::start(&cluster.binary, [shared.as_slice(), &own].concat())?;
            cluster.others.push(process);
        }
        Ok(cluster)
    }

    /// `kill -9` of a node that is not the first.
    ///
    /// # Errors
    /// It has ended by itself.
    pub(crate) fn kill(&mut self, node: usize) -> Result<(), Failure> {
        Ok(self.others[node - 1].end()?)
    }

    /// Starts it again, at its address.
    ///
    /// # Errors
    /// Why it did not start.
    pub(crate) fn restart(&mut self, node: usize) -> Result<(), Failure> {
        let Process { address, settings, .. } = &self.others[node - 1];
        let authority = address.split('/').nth(2).unwrap_or_default();
        let at = [settings.as_slice(), &[format!("messaging.listen={authority}")]].concat();
        self.others[node - 1] = Process::start(&self.binary, at)?;
        Ok(())
    }

    fn admin(&self, words: &[&str]) -> Result<(), Failure> {
        let config = format!("config.nodes={}", self.first.url("config"));
        let mut command = Command::new(&self.binary);
        let output = command.arg("admin").args(words).args(["--set", &config]).env("USER", "bench").output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure(format!("volery admin {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr))))
    }
}

impl Cluster for OnKafka {
    fn gateway(&self) -> &str {
        self.first.gateway()
    }

    fn address(&self, node: usize) -> &str {
        match node.checked_sub(1) {
            None => self.first.url("messaging"),
            Some(other) => &self.others[other].address,
        }
    }

    fn give(&mut self, partition: u16, node: usize) -> Result<(), Failure> {
        self.admin(&["move", &partition.to_string(), &format!("node-{node}")])
    }

    fn drain(&mut self, node: usize) -> Result<(), Failure> {
        self.admin(&["drain", "--no-wait", &format!("node-{node}")])
    }

    fn undrain(&mut self, node: usize) -> Result<(), Failure> {
        self.admin(&["undrain", &format!("node-{node}")])
    }

    fn pids(&self) -> Vec<u32> {
        std::iter::once(self.first.pid()).chain(self.others.iter().map(|process| process.child.id())).collect()
    }
}

impl Process {
    fn start(binary: &Path, settings: Vec<String>) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.arg("messaging").args(settings.iter().flat_map(|setting| ["--set", setting])).stdout(Stdio::piped());
        let mut process = Self { child: command.spawn()?, address: String::new(), settings };
        let mut line = String::new();
        if let Some(output) = process.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("messaging="));
        process.address = address.ok_or_else(|| Failure(format!("a node is not ready: {line:?}")))?.to_owned();
        Ok(process)
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.end();
    }
}
