//! A real engine of a test's own: its own folder and ports, gone with the test even if that fails.
//! What starts and stops it is `engines/engines`, as for people.
//!
//! Trap avoided: two tests that start engines at once must not choose the same ports. Each process looks
//! for free ones from a place of its own, below those that the kernel gives to clients.

#![expect(clippy::panic, reason = "a test whose engine does not start or stop has failed")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::skip::skipped;

/// How `engines/engines` ends where something is missing that cannot be had.
const MISSING: i32 = 2;
/// Ports of one set.
const SET: u16 = 16;
/// The first port of the first set, and how many sets there are.
const FIRST: u16 = 20_000;
const SETS: u16 = 750;

/// A running engine.
pub struct Engine {
    name: &'static str,
    /// Of all that were started together.
    dir: Arc<TempDir>,
    variables: Vec<(&'static str, String)>,
}

impl Engine {
    /// Starts an engine: `kafka`, `cassandra`, `redis`, `postgres`. Where it cannot be had, the test named
    /// `test` is skipped, aloud, and there is none.
    ///
    /// # Panics
    /// If it does not start; and where `CI` is set, if it cannot be had.
    #[must_use]
    pub fn start(test: &str, name: &'static str) -> Option<Self> {
        Self::start_with(test, name, &[])
    }

    /// The same with settings that `engines/engines` takes from its environment.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn start_with(test: &str, name: &'static str, settings: &[(&'static str, &str)]) -> Option<Self> {
        Self::start_nodes(test, [name], "1", settings).map(|[engine]| engine)
    }

    /// Several different ones at once, as `engines up` starts them for people.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn start_all<const N: usize>(test: &str, names: [&'static str; N]) -> Option<[Self; N]> {
        Self::start_nodes(test, names, "1", &[])
    }

    /// The same with three nodes; `kafka` or `cassandra`. One of them is named by its number, from 1 on.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn start_three(test: &str, name: &'static str) -> Option<Self> {
        Self::start_nodes(test, [name], "3", &[]).map(|[engine]| engine)
    }

    fn start_nodes<const N: usize>(
        test: &str,
        names: [&'static str; N],
        replicas: &str,
        settings: &[(&'static str, &str)],
    ) -> Option<[Self; N]> {
        let base = free_set();
        // Cassandra's ports are the same on all nodes, so each set of nodes has addresses of its own.
        let host = format!("127.{}.{}.11", 1 + base / SET / 250, base / SET % 250);
        let mut variables =
            vec![("ENGINES_PORT", base.to_string()), ("CASSANDRA_HOST", host), ("REPLICAS", replicas.to_owned())];
        variables.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder for {names:?}: {error}"));
        let dir = Arc::new(dir);
        // They are there before they run: one that does not start takes the others along.
        let engines = names.map(|name| Self { name, dir: Arc::clone(&dir), variables: variables.clone() });
        match command(&dir, &variables, &[&["up"][..], &names].concat()).status() {
            Ok(status) if status.success() => Some(engines),
            Ok(status) if status.code() == Some(MISSING) => {
                skipped(test, &format!("{} cannot be had", names.join(", ")));
                None
            }
            other => panic!("{names:?}: not started: {other:?}"),
        }
    }

    /// Where everything is of all that were started together: `ENGINES_DIR`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// Where its only node has its configuration, its log and, in `data`, what it holds.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.home().join(self.name).join("1of1")
    }

    /// Where it is, under this key of `engines env`.
    ///
    /// # Panics
    /// If there is no such key.
    #[must_use]
    pub fn address(&self, key: &str) -> String {
        let output = self.command(&["env"]).output().map(|output| output.stdout).unwrap_or_default();
        let lines = String::from_utf8_lossy(&output).into_owned();
        let value = lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map_or_else(|| panic!("{} has no {key}: {lines}", self.name), str::to_owned)
    }

    /// Ends it in order: what it holds can be copied then. [`Engine::restart`] brings it back.
    pub fn stop(&self) {
        self.must(&["stop", self.name]);
    }

    /// Ends it, all its nodes, without a word of warning.
    pub fn kill(&self) {
        self.must(&["kill", self.name]);
    }

    /// Brings it back after a kill.
    pub fn restart(&self) {
        self.must(&["start", self.name]);
    }

    /// Stops it where it is, connections open.
    pub fn pause(&self) {
        self.must(&["pause", self.name]);
    }

    /// Lets it go on after a pause.
    pub fn proceed(&self) {
        self.must(&["continue", self.name]);
    }

    /// Ends one node without a word of warning.
    pub fn kill_one(&self, number: u8) {
        self.must(&["kill", self.name, &number.to_string()]);
    }

    /// Brings one node back after a kill.
    pub fn restart_one(&self, number: u8) {
        self.must(&["start", self.name, &number.to_string()]);
    }

    /// Stops one node where it is, connections open.
    pub fn pause_one(&self, number: u8) {
        self.must(&["pause", self.name, &number.to_string()]);
    }

    /// Lets one node go on after a pause.
    pub fn proceed_one(&self, number: u8) {
        self.must(&["continue", self.name, &number.to_string()]);
    }

    fn must(&self, words: &[&str]) {
        let status = self.command(words).status();
        assert!(status.as_ref().is_ok_and(|status| status.success()), "{words:?}: {status:?}");
    }

    fn command(&self, words: &[&str]) -> Command {
        command(&self.dir, &self.variables, words)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody wants what it holds, so nothing is waited for; it may not run any more. A panic within a panic would
        // hide the first.
        drop(self.command(&["kill", self.name]).status());
    }
}

fn command(dir: &TempDir, variables: &[(&'static str, String)], words: &[&str]) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../engines/engines"));
    command.args(words).env("ENGINES_DIR", dir.path()).envs(variables.iter().cloned());
    command
}

/// The first port of a set in which nothing listens.
fn free_set() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % u32::from(SETS)) as u16;
    let sets = (0..SETS).map(|_| NEXT.fetch_add(1, Ordering::Relaxed)).map(|next| (own + next) % SETS);
    let mut bases = sets.map(|set| FIRST + SET * set);
    let free = |base: &u16| (*base..base + SET).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    bases.find(free).unwrap_or_else(|| panic!("no {SET} ports in a row are free"))
}
