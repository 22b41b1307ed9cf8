//! The server under test: a folder of its own, users imported by a process before it, started,
//! watched from outside, stopped.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use volery_client::shell::http_client;
use volery_tls::Trust;

use crate::account::{Account, log_in_at};
use crate::failure::Failure;
use crate::gateways::Gateways;

/// Everybody's password.
const PASSWORD: &str = "load test";
/// Limits that would be in the way: one machine here stands for many.
const SETTINGS: &[&str] = &[
    "gateway.listen=127.0.0.1:0",
    "messaging.listen=127.0.0.1:0",
    "messaging.sends_per_second=1000000",
    "messaging.sends_burst=1000000",
    "accounts.logins_per_minute=1000000",
    "telemetry.filter=warn",
    "accounts.logins_per_minute_address=1000000",
];

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program `volery`.
    pub binary: PathBuf,
    /// What it is to be: `up`, or the roles that it has.
    pub roles: Vec<&'static str>,
    /// Where the server's folder is made; the system's place for temporary files if `None`.
    pub data: Option<PathBuf>,
    /// `KEY=VALUE`, after those that open the limits which would be in the way.
    pub settings: Vec<String>,
    /// Users imported before the start, by a process of its own; see [`Server::people`].
    pub users: usize,
    /// Whom the run's devices believe, where the settings make it speak TLS.
    pub trust: Trust,
}

impl Setup {
    /// `users` users; the binary beside this program; a temporary folder.
    #[must_use]
    pub fn new(users: usize) -> Self {
        let (binary, roles, trust) = (beside(), vec!["up"], Trust::machine());
        Self { binary, roles, data: None, settings: Vec::new(), users, trust }
    }
}

/// A running server; dropping it ends it, and removes its folder.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ready: String,
    setup: Setup,
    folder: tempfile::TempDir,
}

/// How to log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The name.
    pub user_name: String,
    /// The password.
    pub password: String,
}

impl Server {
    /// Imports the users into a new folder, then starts the server on it.
    ///
    /// # Errors
    /// A sentence: the binary is missing, the import failed, or the server did not become ready.
    pub fn start(setup: &Setup) -> Result<Self, Failure> {
        let folder = setup.data.as_deref().map_or_else(tempfile::tempdir, |dir| {
            std::fs::create_dir_all(dir)?;
            tempfile::tempdir_in(dir)
        })?;
        import(setup, folder.path())?;
        let (child, ready) = spawn(setup, folder.path())?;
        Ok(Self { child, ready, setup: setup.clone(), folder })
    }

    /// Stops the server in order (`TERM`) and starts it anew on the same folder, at new ports.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.restart_after(|_| Ok(()))
    }

    /// The same, and in between something is done with the folder, which nobody has open then.
    ///
    /// # Errors
    /// As [`Server::start`], and what was done says; the server is down after that.
    pub fn restart_after(&mut self, between: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
        self.end();
        between(self.folder.path())?;
        (self.child, self.ready) = spawn(&self.setup, self.folder.path())?;
        Ok(())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://…`, or `https://…` if the settings say so.
    #[must_use]
    pub fn gateway(&self) -> &str {
        self.url("gateway")
    }

    /// Where one of its roles is, as it said itself; empty if it has no such role.
    #[must_use]
    pub fn url(&self, role: &str) -> &str {
        url(&self.ready, role).unwrap_or_default()
    }

    /// Logs imported users in, each on a new device.
    ///
    /// # Errors
    /// As [`log_in_at`].
    pub async fn log_in(&self, users: std::ops::Range<usize>) -> Result<Vec<Account>, Failure> {
        log_in_at(&Gateways::at(self.gateway(), &self.setup.trust)?, &Self::people(users)).await
    }

    /// What it was started with beside the defaults.
    pub fn settings(&self) -> impl Iterator<Item = &str> {
        SETTINGS.iter().copied().chain(self.setup.settings.iter().map(String::as_str))
    }

    /// The imported users of these numbers.
    #[must_use]
    pub fn people(users: std::ops::Range<usize>) -> Vec<Person> {
        let person = |number| Person { user_name: user_name(number), password: PASSWORD.to_owned() };
        users.map(person).collect()
    }

    /// What `volery admin users import` takes, for users of these numbers.
    ///
    /// # Errors
    /// Never with the parameters of this module.
    pub fn import_lines(users: std::ops::Range<usize>) -> Result<String, Failure> {
        let hash = cheap_hash()?;
        let mut lines = String::new();
        for number in users {
            writeln!(lines, r#"{{"user_name":"{}","password_hash":"{hash}"}}"#, user_name(number))?;
        }
        Ok(lines)
    }

    fn end(&mut self) {
        // After a restart that failed there is nobody left to signal.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // SAFETY: a signal to a child that was not waited for yet, so its number is still its own.
        let asked = i32::try_from(self.child.id()).is_ok_and(|pid| unsafe { libc::kill(pid, libc::SIGTERM) } == 0);
        if !asked {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// All of `/metrics`, as text.
    ///
    /// # Errors
    /// The request's.
    pub async fn metrics(&self) -> Result<String, Failure> {
        let http = http_client(self.gateway(), &self.setup.trust)?.build()?;
        Ok(http.get(format!("{}/metrics", self.gateway())).send().await?.text().await?)
    }

    /// One number out of `/metrics`; `series` is the name with its labels.
    ///
    /// # Errors
    /// The request's, or that there is no such series.
    pub async fn metric(&self, series: &str) -> Result<u64, Failure> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        value.map(|value| value as u64).ok_or_else(|| Failure(format!("/metrics has no {series}")))
    }

    /// Waits until a counter has reached a number.
    ///
    /// # Errors
    /// How far it is after `within`.
    pub async fn reaches(&self, series: &str, least: u64, within: Duration) -> Result<(), Failure> {
        let begun = crate::clock::nanos();
        loop {
            let now = self.metric(series).await?;
            if now >= least {
                return Ok(());
            }
            if crate::clock::since(begun) > within {
                return Err(Failure(format!("{series} is {now}, not {least}, after {within:?}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Server {
    /// Orderly if that works, else at once; the folder goes after it.
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(setup: &Setup, folder: &Path) -> Result<(Child, String), Failure> {
    let mut command = Command::new(&setup.binary);
    command.args(&setup.roles).arg("--data").arg(folder).stdout(Stdio::piped());
    for setting in SETTINGS.iter().copied().chain(setup.settings.iter().map(String::as_str)) {
        command.args(["--set", setting]);
    }
    let mut child = command.spawn().map_err(|error| missing(&setup.binary, &error))?;
    match ready(&mut child) {
        Ok(ready) => Ok((child, ready)),
        Err(failure) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(failure)
        }
    }
}

fn missing(binary: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}; build it (cargo build --release -p volery) or name it by --server", binary.display()))
}

/// The name of a user.
fn user_name(number: usize) -> String {
    format!("load_{number}")
}

fn import(setup: &Setup, folder: &Path) -> Result<(), Failure> {
    let file = folder.join("users.jsonl");
    std::fs::write(&file, Server::import_lines(0..setup.users)?)?;
    let mut command = Command::new(&setup.binary);
    command.args(["admin", "users", "import"]).arg(&file).arg("--data").arg(folder);
    command.args(setup.settings.iter().flat_map(|setting| ["--set", setting]));
    let output = command.output().map_err(|error| missing(&setup.binary, &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure(format!("the import failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Hashing is not what is measured: the cheapest parameters that argon2 has.
fn cheap_hash() -> Result<String, Failure> {
    let fault = |error: &dyn std::fmt::Display| Failure(error.to_string());
    let params = Params::new(8, 1, 1, None).map_err(|error| fault(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).map_err(|error| fault(&error))?;
    Ok(hash.to_string())
}

/// Reads `ready gateway=… messaging=…`.
fn ready(child: &mut Child) -> Result<String, Failure> {
    let stdout = child.stdout.take().ok_or(Failure("no output".to_owned()))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if url(&line, "gateway").is_none() {
        return Err(Failure(format!("the server is not ready: {line:?}")));
    }
    Ok(line)
}

/// Where a role is, by the line that says where all are.
fn url<'l>(ready: &'l str, role: &str) -> Option<&'l str> {
    ready.split_whitespace().find_map(|word| word.strip_prefix(role)?.strip_prefix('='))
}

/// The server's binary beside this one.
#[must_use]
pub fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("volery")
}
