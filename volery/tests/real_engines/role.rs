//! Roles in a process of their own, at addresses that stay over a restart.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Keys under which a role, or several in one process, listen.
const LISTEN: &[(&str, &str)] = &[
    ("history", "history.listen"),
    ("account", "accounts.listen"),
    ("idgen", "idgen.listen"),
    ("config", "config.listen"),
    ("messaging", "messaging.listen"),
    ("gateway", "gateway.listen"),
];
const PROBES: &[&str] = &["history.probes", "accounts.probes", "idgen.probes", "config.probes", "messaging.probes"];

/// A running process of one role or more; dropping it ends it.
pub(crate) struct Role {
    names: Vec<&'static str>,
    settings: Vec<String>,
    child: Child,
    ready: String,
}

impl Role {
    /// Starts it at free ports.
    pub(crate) fn start(names: &[&'static str], settings: &[String]) -> Self {
        let free = LISTEN.iter().map(|(_, key)| *key).chain(PROBES.iter().copied());
        let mut settings = settings.to_vec();
        settings.extend(free.map(|key| format!("{key}=127.0.0.1:0")));
        let (child, ready) = spawn(names, &settings);
        let mut role = Self { names: names.to_vec(), settings, child, ready };
        let kept: Vec<_> = names.iter().map(|name| format!("{}={}", key_of(name), role.address(name))).collect();
        role.settings.extend(kept);
        role
    }

    /// Where one of its roles is: `http://…`, `https://…` or `ws://…`.
    pub(crate) fn url(&self, name: &str) -> &str {
        let mut words = self.ready.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("it is ready")
    }

    fn address(&self, name: &str) -> &str {
        let (_, rest) = self.url(name).split_once("://").expect("a URL");
        rest.split('/').next().expect("an address")
    }

    /// Whether it is one of its roles.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Stops it where it is, connections open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after a pause.
    pub(crate) fn proceed(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    }

    /// Starts it again, at the same addresses.
    pub(crate) fn restart(&mut self) {
        (self.child, self.ready) = spawn(&self.names, &self.settings);
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key_of(name: &str) -> &'static str {
    LISTEN.iter().find(|(known, _)| *known == name).map(|(_, key)| *key).expect("a role")
}

/// Its process and its ready line.
fn spawn(names: &[&str], settings: &[String]) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volery"));
    command.args(names).args(settings.iter().flat_map(|setting| ["--set", setting])).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("ready "), "{names:?} did not start: {line:?}");
    (child, line)
}
