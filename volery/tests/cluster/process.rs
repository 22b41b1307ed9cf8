//! The process itself: signals, exit codes, configuration, help.

use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};

use super::kit::server::{ended, signal_to, up, volery};
use super::kit::socket::Came;
use super::kit::{NEVER, Server, now};

/// Longer than anybody here waits: who ends meanwhile has ended in order, not by its deadline.
const IN_ORDER: [&str; 2] = ["--shutdown-deadline-ms", "600000"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn sigterm_tells_sessions_and_ends_in_order() {
    let mut server = Server::start_with(&["ada", "bob"], &IN_ORDER);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let greeting = ada.open().expect("a socket without a hello");
    let (id, _) = ada.say(bob.user, "before");
    server.terminate();
    assert_eq!(ada.closed(), (1001, "going_away".to_owned()));
    assert_eq!(bob.closed(), (1001, "going_away".to_owned()));
    let status = server.ended();
    assert_eq!(status.code(), Some(0), "{}", server.logged());
    drop(greeting);
    server.start_again();
    bob.connect();
    bob.sync();
    let chat = ada.chat_with(bob.user);
    assert_eq!(bob.pages_of(&chat, 1)[0]["id"].as_str(), Some(id.to_string().as_str()));
}

#[test]
fn sigterm_ends_a_role_that_waits_for_another() {
    let nowhere = ["history", "accounts", "config"].map(|section| format!("{section}.nodes=http://127.0.0.1:1"));
    let listen = ["gateway.listen=127.0.0.1:0".to_owned()];
    let settings = nowhere.iter().chain(&listen).flat_map(|setting| ["--set", setting]);
    let mut gateway =
        volery(&["gateway"]).args(settings).args(IN_ORDER).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(gateway.stderr.take().expect("its log")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("waiting for the first answer")), "it waits for config");
    signal_to(&gateway, "-TERM");
    assert_eq!(ended(gateway).code(), Some(0));
}

#[test]
fn sigterm_waits_for_nobody_who_does_not_listen() {
    let mut server = Server::start_with(&["ada"], &["--shutdown-deadline-ms", "3000"]);
    let mut silent = server.synced("ada");
    let begun = now();
    server.terminate();
    assert_eq!(server.ended().code(), Some(0), "{}", server.logged());
    assert!(begun.elapsed().as_secs() < 25, "{:?}", begun.elapsed());
    let mut last = silent.socket().next(now() + NEVER);
    while let Came::Frame(_) = last {
        last = silent.socket().next(now() + NEVER);
    }
    assert_eq!(last, Came::Closed(1001, "going_away".to_owned()));
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let server = Server::start(&["ada"]);
    let second = up(&server.data(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    let said = said(&second);
    assert!(said.contains("is in use by another volery"), "{said}");
    server.synced("ada").settle();
}

#[test]
fn all_mistakes_are_listed_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("volery.toml");
    std::fs::write(&file, "[gateway]\nlisten = \"nowhere\"\n[mesaging]\nthreads = 2\n").expect("written");
    for command in [&["up"][..], &["config", "check"]] {
        let output = volery(command)
            .arg("--config")
            .arg(&file)
            .args(["--log-partitions", "0", "--set", "no.such=1"])
            .env("VOLERY_TELEMETRY_FORMAT", "poem")
            .output()
            .expect("it runs");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for mistake in ["gateway.listen", "mesaging", "log.partitions", "no.such", "telemetry.format"] {
            assert!(said.contains(mistake), "{command:?} does not name {mistake}: {said}");
        }
    }
    let good = volery(&["config", "check"]).output().expect("it runs");
    assert!(good.status.success(), "{}", said(&good));
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "",
        "up",
        "history",
        "gateway",
        "config",
        "config check",
        "config show",
        "admin",
        "admin users",
        "admin users import",
        "admin users show",
        "admin nodes",
        "admin drain",
        "admin undrain",
        "admin move",
        "admin lag",
        "admin settings",
        "admin settings set",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = volery(&args).output().expect("it runs");
        let said = said(&output);
        assert!(output.status.success() && said.contains("Usage: volery"), "{command}: {said}");
    }
    let unknown = volery(&["fly"]).output().expect("it runs");
    assert_eq!(unknown.status.code(), Some(2));
    let version = volery(&["--version"]).output().expect("it runs");
    assert!(said(&version).starts_with("volery "));
}

#[test]
fn a_role_alone_is_told_everything_that_it_lacks() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = volery(&["account", "gateway", "--data"]).arg(dir.path().join("data")).output().expect("it runs");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for key in ["log.engine", "accounts.database", "history.nodes", "idgen.nodes", "config.nodes"] {
        assert!(said.contains(&format!("\n  {key}: ")), "{key} is not named: {said}");
    }
    assert!(!said.contains("accounts.nodes"), "it runs there: {said}");
    assert!(!dir.path().join("data").exists(), "nothing was opened");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let server = Server::start(&[]);
    let dir = tempfile::tempdir().expect("a folder");
    let addresses = server.addresses();
    let flags = [
        ("--gateway-listen", "--messaging-listen", &addresses.gateway),
        ("--messaging-listen", "--gateway-listen", &addresses.door),
    ];
    for (flag, other, address) in flags {
        let output = volery(&["up", "--data"]).arg(dir.path()).args([flag, address, other, "127.0.0.1:0"]).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(address.as_str()), "{}", said(&output));
    }
}

#[test]
fn bad_lines_of_an_import_are_named_and_left_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("users.jsonl");
    std::fs::write(&file, "{\"user_name\": \"ada\"}\nnot json\n").expect("written");
    let output = volery(&["admin", "users", "import"]).arg(&file).arg("--data").arg(dir.path().join("data")).output();
    let output = output.expect("it runs");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("line 1") && said.contains("line 2") && said.contains("0 users imported from 2 lines"),
        "{said}"
    );
}
