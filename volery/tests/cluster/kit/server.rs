//! `volery up` as a child process: free ports, a folder of its own, killed at the end whatever happens.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Device, http, wait_for};

/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse";
/// Where a server is now: a server that is started again has other ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) gateway: String,
    pub(crate) door: String,
}

/// See the module.
pub(crate) struct Server {
    dir: TempDir,
    flags: Vec<String>,
    runs: fn(&Path, &[String]) -> Command,
    child: Option<Child>,
    ready: String,
    addresses: Arc<Mutex<Addresses>>,
}

impl Server {
    /// A server that knows these users.
    pub(crate) fn start(users: &[&str]) -> Self {
        Self::start_with(users, &[])
    }

    /// A server with more flags.
    pub(crate) fn start_with(users: &[&str], flags: &[&str]) -> Self {
        Self::start_as(up, users, flags)
    }

    /// A server of the same roles, each listed, config among them: others may ask it.
    pub(crate) fn start_roles(users: &[&str]) -> Self {
        Self::start_as(roles, users, &["--history-listen", "127.0.0.1:0"])
    }

    fn start_as(runs: fn(&Path, &[String]) -> Command, users: &[&str], flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        import(dir.path(), users);
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut server = Self { dir, flags, runs, child: None, ready: String::new(), addresses: Arc::default() };
        server.start_again();
        server
    }

    /// Starts it on the data that is there, after it was ended.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let mut child =
            (self.runs)(&self.data(), &self.flags).stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let out = child.stdout.take().expect("piped");
        self.child = Some(child);
        self.ready = BufReader::new(out).lines().next().expect("a line before it ends").expect("readable");
        let secured = self.flags.iter().any(|flag| flag == "--doors-tls-cert");
        let address = |role: &str, schemes: [&str; 2]| {
            let place = self.place(role);
            let address = place.strip_prefix(schemes[usize::from(secured)]).and_then(|rest| rest.strip_prefix("://"));
            address.unwrap_or_else(|| panic!("{role} is at {place}")).trim_end_matches("/v1/ws").to_owned()
        };
        let (gateway, door) = (address("gateway", ["http", "https"]), address("messaging", ["ws", "wss"]));
        *self.addresses.lock().expect("unpoisoned") = Addresses { gateway, door };
    }

    /// The URL at which one of its roles is.
    pub(crate) fn place(&self, role: &str) -> String {
        let place = self.ready.split_whitespace().find_map(|word| word.strip_prefix(role)?.strip_prefix('='));
        place.unwrap_or_else(|| panic!("{role} is not in the ready line: {}", self.ready)).to_owned()
    }

    /// Starts it with other flags.
    pub(crate) fn start_again_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        self.start_again();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// SIGTERM; see [`Server::ended`].
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// A signal as `kill` takes it.
    pub(crate) fn signal(&self, signal: &str) {
        signal_to(self.child.as_ref().expect("it runs"), signal);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(self.child.take().expect("it ran"))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.lock().expect("unpoisoned").clone()
    }

    /// One request to the gateway.
    pub(crate) fn http(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> http::Answer {
        http::request(&self.addresses().gateway, method, path, token, body).expect("the gateway answers")
    }

    /// A new device of a user, logged in.
    pub(crate) fn device(&self, name: &str) -> Device {
        let body = json!({"user_name": name, "password": PASSWORD, "device_name": "test"});
        let tokens = self.http("POST", "/v1/login", None, Some(&body)).good();
        Device::new(Arc::clone(&self.addresses), &tokens)
    }

    /// A new device, connected and synced.
    pub(crate) fn synced(&self, name: &str) -> Device {
        let mut device = self.device(name);
        device.connect();
        device.sync();
        device
    }

    /// The value of a series of `/metrics`, with its labels as they stand there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let page = self.http("GET", "/metrics", None, None).body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not measured")).parse::<f64>().expect("a number") as u64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("----- the server's log -----\n{}-----", self.logged());
        }
    }
}

/// `volery up` on free ports.
pub(crate) fn up(data: &Path, flags: &[String]) -> Command {
    of_roles(&["up"], data, flags)
}

/// Every role by its name, on free ports.
fn roles(data: &Path, flags: &[String]) -> Command {
    of_roles(&["history", "account", "idgen", "config", "messaging", "gateway"], data, flags)
}

fn of_roles(roles: &[&str], data: &Path, flags: &[String]) -> Command {
    let mut command = volery(roles);
    command.arg("--data").arg(data).args(["--gateway-listen", "127.0.0.1:0", "--messaging-listen", "127.0.0.1:0"]);
    command.args(flags).stdin(Stdio::null());
    command
}

/// A signal as `kill` takes it.
pub(crate) fn signal_to(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
}

/// Waits until it has ended by itself.
pub(crate) fn ended(mut child: Child) -> ExitStatus {
    wait_for("the process ends", || child.try_wait().expect("a child"))
}

/// The binary, with nothing of this process' configuration.
pub(crate) fn volery(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volery"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VOLERY_")) {
        command.env_remove(name);
    }
    command.current_dir(std::env::temp_dir()).args(args);
    command
}

fn import(dir: &Path, users: &[&str]) {
    if users.is_empty() {
        return;
    }
    let file = dir.join("users.jsonl");
    let mut lines = File::create(&file).expect("a file");
    let hash = cheap_hash();
    for name in users {
        writeln!(lines, "{}", json!({"user_name": name, "password_hash": hash})).expect("written");
    }
    let data = dir.join("data");
    let Output { status, stdout, stderr } =
        volery(&["admin", "users", "import"]).arg(&file).arg("--data").arg(data).output().expect("it runs");
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success() && said.contains(&format!("{} users imported", users.len())), "{said}");
}

/// The hash of [`PASSWORD`] with the least that argon2id takes: log-ins cost nothing.
fn cheap_hash() -> String {
    let params = Params::new(8, 1, 1, None).expect("what argon2 takes at least");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).expect("a hash").to_string()
}
