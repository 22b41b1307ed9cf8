//! A role in a process of its own, at an address that stays over a restart.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A running role; dropping it ends it.
pub(crate) struct Role {
    name: &'static str,
    settings: Vec<String>,
    child: Child,
    url: String,
    probes: String,
}

impl Role {
    /// Starts it at free ports.
    pub(crate) fn start(name: &'static str, engines: &[String]) -> Self {
        let mut settings = engines.to_vec();
        settings.extend([format!("{name}.listen=127.0.0.1:0"), format!("{name}.probes=127.0.0.1:0")]);
        let (child, url, probes) = spawn(name, &settings);
        let address = url.trim_start_matches("http://");
        settings.push(format!("{name}.listen={address}"));
        Self { name, settings, child, url, probes }
    }

    /// `http://…`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `host:port` of health and metrics.
    pub(crate) fn probes(&self) -> &str {
        &self.probes
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Starts it again, at the same address.
    pub(crate) fn restart(&mut self) {
        (self.child, _, self.probes) = spawn(self.name, &self.settings);
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its process, its URL and where its probes are, once it is ready.
fn spawn(name: &str, settings: &[String]) -> (Child, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volery"));
    command.arg(name).args(settings.iter().flat_map(|setting| ["--set", setting])).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let said = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).expect("it is ready");
    let (url, probes) = (said(&format!("{name}=")), said("probes=http://"));
    (child, url.to_owned(), probes.to_owned())
}
