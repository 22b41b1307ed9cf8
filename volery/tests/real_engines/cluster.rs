//! Two processes of every role, as `cluster/cluster up` makes them: in a folder and at ports of a test's own.

use std::net::TcpListener;
use std::process::Command;

use volery_testkit::engine::Engine;

use super::probes::Probes;
use super::{BINARY, OPEN};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/cluster");
/// As the cluster's configuration says.
pub(super) const PARTITIONS: f64 = 48.0;
/// Where a role's first process answers probes, above the cluster's first port; the second a hundred further.
const PROBES: [(&str, u16); 6] =
    [("gateway", 0), ("config", 20), ("history", 21), ("account", 22), ("idgen", 23), ("messaging", 24)];
/// First ports are tried from here on, below those of the engines of tests.
const FIRST: u16 = 10_000;
const STEP: u16 = 200;
const STEPS: u16 = 50;

/// See the module. Dropping it ends it.
pub(super) struct Cluster {
    engines: std::path::PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Cluster {
    /// On engines that were started together, all four.
    pub(super) fn up(one_of_them: &Engine) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cluster = Self { engines: one_of_them.home().to_owned(), folder, port: free_port() };
        cluster.does(&["up"]);
        cluster
    }

    /// What `cluster/cluster` is told.
    pub(super) fn does(&self, words: &[&str]) {
        assert!(self.command(words).status().expect("it runs").success(), "{words:?}");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SCRIPT);
        command.args(words).env("ENGINES_DIR", &self.engines).env("VOLERY", BINARY);
        command.env("CLUSTER_DIR", self.folder.path()).env("CLUSTER_PORT", self.port.to_string());
        command.envs(OPEN.iter().filter_map(|setting| variable(setting)));
        command
    }

    /// `http://…` of one of the gateways: 1 or 2.
    pub(super) fn gateway(&self, number: u16) -> String {
        self.url("gateway", number)
    }

    /// Of one of the processes of a role.
    pub(super) fn probes(&self, role: &str, number: u16) -> Probes {
        Probes::at(&self.url(role, number))
    }

    fn url(&self, role: &str, number: u16) -> String {
        let (_, above) = PROBES.iter().find(|(known, _)| *known == role).expect("a role");
        format!("http://127.0.0.1:{}", self.port + above + (number - 1) * 100)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A panic within a panic would hide the first.
        drop(self.command(&["down"]).status());
    }
}

/// A setting as a variable of the environment, which goes before the file.
fn variable(setting: &str) -> Option<(String, &str)> {
    let (key, value) = setting.split_once('=')?;
    Some((format!("VOLERY_{}", key.to_ascii_uppercase().replace('.', "_")), value))
}

/// The first of ports of which two processes of each role find theirs free.
fn free_port() -> u16 {
    let own = (std::process::id() % u32::from(STEPS)) as u16;
    let mut bases = (0..STEPS).map(|step| FIRST + STEP * ((own + step) % STEPS));
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    bases.find(|base| (0..25).chain(100..125).all(|above| free(base + above))).expect("free ports")
}
