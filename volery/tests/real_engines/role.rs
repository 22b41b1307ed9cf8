//! Roles in a process of their own, at free ports.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::BINARY;

/// Where roles, and several in one process, listen.
const LISTEN: &[&str] = &[
    "history.listen",
    "accounts.listen",
    "idgen.listen",
    "config.listen",
    "messaging.listen",
    "gateway.listen",
    "history.probes",
    "accounts.probes",
    "idgen.probes",
    "config.probes",
    "messaging.probes",
];

/// A running process of one role or more; dropping it ends it.
pub(crate) struct Role {
    child: Child,
    ready: String,
}

impl Role {
    pub(crate) fn start(names: &[&'static str], settings: &[String]) -> Self {
        let free = LISTEN.iter().map(|key| format!("{key}=127.0.0.1:0"));
        let mut command = Command::new(BINARY);
        command.args(names).stdout(Stdio::piped());
        for setting in settings.iter().cloned().chain(free) {
            command.args(["--set", &setting]);
        }
        let mut role = Self { child: command.spawn().expect("the binary"), ready: String::new() };
        let output = role.child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut role.ready).expect("a line");
        assert!(role.ready.starts_with("ready "), "{names:?} did not start: {:?}", role.ready);
        role
    }

    /// Where one of its roles is: `http://…`, `https://…` or `ws://…`.
    pub(crate) fn url(&self, name: &str) -> &str {
        let mut words = self.ready.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("it is ready")
    }

    /// A signal as `kill` takes it.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
