//! TLS at both doors: a chat over it with the real clients, a certificate that is replaced in the middle, and
//! who is not let in.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use volery_client::intent::Act;
use volery_client::shell::{AccountError, Client, http_client};
use volery_kernel::id::UserId;
use volery_testkit::skip::skipped;
use volery_tls::Trust;

use super::kit::authority::Authority;
use super::kit::server::{PASSWORD, up, volery};
use super::kit::{NEVER, Server, now};

/// A server whose certificate an authority has signed.
struct Secured {
    server: Server,
    files: TempDir,
    homes: TempDir,
}

impl Secured {
    fn start(authority: &Authority, users: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let [cert, key] = authority.signs(files.path());
        let flags = ["--doors-tls-cert", text(&cert), "--doors-tls-key", text(&key)];
        let server = Server::start_with(users, &flags);
        Self { server, files, homes: tempfile::tempdir().expect("a folder") }
    }

    fn gateway(&self) -> String {
        format!("https://{}", self.server.addresses().gateway)
    }

    /// A device that is logged in and started.
    async fn client(&self, device: &str, name: &str, authority: &Authority) -> Result<Client, AccountError> {
        let trust = Trust::file(authority.ca()).expect("an authority");
        let home = self.homes.path().join(device);
        let mut client = Client::open(home, &self.gateway(), trust, name, Some(PASSWORD)).await?;
        client.start().expect("kept");
        Ok(client)
    }

    /// What `/healthz` says of the certificate, to who believes this authority.
    async fn health(&self, authority: &Authority) -> Option<Value> {
        let trust = Trust::file(authority.ca()).expect("an authority");
        let http = http_client(&self.gateway(), &trust).expect("a client").build().expect("a client");
        let answer = http.get(format!("{}/healthz", self.gateway())).send().await.ok()?;
        let report: Value = answer.json().await.expect("JSON");
        assert_eq!(report["ready"], true, "{report}");
        Some(report["parts"]["certificate"].clone())
    }

    async fn until_health(&self, authority: &Authority, what: &str, so: impl Fn(&Value) -> bool) {
        let deadline = now() + NEVER;
        loop {
            let health = self.health(authority).await;
            if health.as_ref().is_some_and(&so) {
                return;
            }
            assert!(now() < deadline, "never: {what}: {health:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn me(client: &Client) -> UserId {
    client.device().view().me()
}

fn shown(client: &Client) -> Vec<String> {
    let chats = client.device().view().chats();
    chats.iter().flat_map(|chat| chat.timeline.lines().map(|line| line.text.clone())).collect()
}

/// One says it, and both show it.
async fn chat(from: &mut Client, to: &mut Client, text: &str) {
    let act = Act::Say { text: text.to_owned(), reply_to: None };
    from.intend(me(to), act).expect("kept").expect("room");
    let everywhere = async {
        while !(shown(from).iter().any(|line| line == text) && shown(to).iter().any(|line| line == text)) {
            tokio::select! {
                turn = from.turn() => drop(turn.expect("kept")),
                turn = to.turn() => drop(turn.expect("kept")),
            }
        }
    };
    let came = tokio::time::timeout(NEVER, everywhere).await;
    came.unwrap_or_else(|_| panic!("{text} is not shown: {:?} {:?}", from.trouble(), to.trouble()));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn a_chat_goes_on_while_the_certificate_is_replaced() {
    let (old, new) = (Authority::new(), Authority::new());
    let secured = Secured::start(&old, &["ada", "bob"]);
    runtime().block_on(async {
        let mut ada = secured.client("ada", "ada", &old).await.expect("logged in");
        let mut bob = secured.client("bob", "bob", &old).await.expect("logged in");
        chat(&mut ada, &mut bob, "by TLS").await;

        fs::write(secured.files.path().join("key.pem"), "nothing").expect("written");
        let refused = |health: &Value| health["reason"].as_str().is_some_and(|why| why.contains("key.pem"));
        secured.until_health(&old, "a bad replacement is told", refused).await;
        chat(&mut bob, &mut ada, "the old one goes on").await;

        new.signs(secured.files.path());
        secured.until_health(&new, "the new one is shown", |health| health["state"] == "ready").await;
        chat(&mut ada, &mut bob, "over sockets that stand").await;
        assert!(secured.health(&old).await.is_none(), "nobody who believes the old one alone comes in");
        let mut bob = secured.client("bob's other", "bob", &new).await.expect("logged in");
        chat(&mut bob, &mut ada, "over a new one").await;

        let refused = secured.client("eve", "ada", &old).await.map(drop).expect_err("who it is cannot be known");
        assert!(refused.to_string().contains("invalid peer certificate"), "{refused}");
    });
    let ends = secured.server.logged();
    assert!(ends.contains("new files are not taken") && ends.contains("a new certificate is shown"), "{ends}");
}

#[test]
fn the_terminal_client_follows_a_gateway_to_its_node() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, &["ada", "bob"]);
    let chats = |home: &str, ca: &[&str]| {
        let home = secured.homes.path().join(home);
        let mut chat = volery(&["chat", "--plain", "--gateway", &secured.gateway(), "--user", "ada"]);
        chat.args(["--state", text(&home)]).args(ca).env("VOLERY_PASSWORD", PASSWORD).env_remove("SSL_CERT_FILE");
        chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut chat = chat.spawn().expect("it runs");
        // It may have ended already, and says why.
        let _ = chat.stdin.take().expect("piped").write_all(b"@bob from a terminal\n");
        let done = chat.wait_with_output().expect("it ends");
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (went_well, said) = chats("at home", &["--ca", text(authority.ca())]);
    assert!(went_well && said.contains("from a terminal"), "{said}");
    let (went_well, said) = chats("deceived", &["--ca", text(Authority::new().ca())]);
    assert!(!went_well && said.contains("invalid peer certificate"), "{said}");
    let (went_well, said) = chats("lost", &["--ca", "/nowhere/ca.pem"]);
    assert!(!went_well && said.contains("/nowhere/ca.pem"), "{said}");
}

#[test]
fn the_client_written_from_the_document_passes_by_tls() {
    let name = "the_client_written_from_the_document_passes_by_tls";
    if !Command::new("python3").args(["-c", "import ssl"]).status().is_ok_and(|status| status.success()) {
        return skipped(name, "there is no python3 that speaks TLS");
    }
    let authority = Authority::new();
    let secured = Secured::start(&authority, &[]);
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-client/check.py");
    let done = Command::new("python3").arg(check).arg(secured.gateway()).arg(authority.ca()).output();
    let done = done.expect("python3 runs");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
}

#[test]
fn who_comes_unencrypted_is_told_at_both_doors() {
    let secured = Secured::start(&Authority::new(), &["ada"]);
    let addresses = secured.server.addresses();
    let answer = |address: &str| {
        let mut tcp = TcpStream::connect(address).expect("it listens");
        tcp.set_read_timeout(Some(NEVER)).expect("a time-out");
        tcp.write_all(b"GET /v1/ws HTTP/1.1\r\nHost: volery.test\r\n\r\n").expect("written");
        let mut answer = Vec::new();
        // What was not read of a request may end the connection the hard way.
        let _ = tcp.read_to_end(&mut answer);
        answer
    };
    let door = answer(&addresses.door);
    assert!(String::from_utf8_lossy(&door).contains("wss://"), "{}", String::from_utf8_lossy(&door));
    assert_eq!(answer(&addresses.gateway).first(), Some(&21), "an alert of TLS");
}

#[test]
fn files_of_no_use_are_all_named_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, key] = Authority::new().signs(folder.path());
    let data = folder.path().join("data");
    let refused = |cert: &Path, key: &Path| {
        let flags = ["--doors-tls-cert", text(cert), "--doors-tls-key", text(key)].map(str::to_owned);
        let output = up(&data, &flags).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let check = volery(&["config", "check"]).args(&flags).output().expect("it runs");
        assert_eq!(check.status.code(), Some(1), "the check of the configuration knows it too");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(Path::new("/nowhere/cert.pem"), Path::new("/nowhere/key.pem"));
    assert!(said.contains("/nowhere/cert.pem") && said.contains("/nowhere/key.pem"), "{said}");
    let said = refused(&key, &cert);
    assert!(said.contains("holds no certificate") && said.contains("cert.pem cannot be read"), "{said}");
    Authority::new().signs(folder.path());
    let [_, other] = Authority::new().signs(&{
        let beside = folder.path().join("beside");
        fs::create_dir(&beside).expect("a folder");
        beside
    });
    let said = refused(&cert, &other);
    assert!(said.contains("doors.tls_*: the certificate cannot be used"), "{said}");
    assert!(!data.exists(), "nothing was opened");
}
