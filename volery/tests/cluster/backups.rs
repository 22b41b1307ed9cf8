//! Timelines and logs out of backups: the one replays by itself, the other is noticed and never believed.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use volery_wire::op::ServerOp;

use super::kit::server::volery;
use super::kit::{Device, Server, wait_for};

/// Stops it in order, so that its files may be copied.
fn stop(server: &mut Server) {
    server.terminate();
    assert!(server.ended().success());
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs").success());
}

/// What `name` of the data folder was, put back.
fn restore(server: &Server, name: &str, backup: &Path) {
    std::fs::remove_dir_all(server.data().join(name)).expect("it was there");
    copy(&backup.join(name), &server.data().join(name));
}

fn say(from: &mut Device, to: u64, texts: std::ops::Range<u32>) {
    for n in texts {
        from.say(to, &n.to_string());
    }
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

fn resets(device: &Device) -> usize {
    device.heard.iter().filter(|heard| heard.op == ServerOp::Reset).count()
}

fn part(server: &Server, name: &str) -> Value {
    server.http("GET", "/healthz", None, None).json()["parts"][name].clone()
}

fn log_generation(server: &Server, more: &[&str]) -> (bool, String) {
    let mut command = volery(&["admin", "log-generation", "--data"]);
    let Output { status, stdout, stderr } = command.arg(server.data()).args(more).output().expect("it runs");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Two who have said twenty things, of which there is a copy, and twenty more, of which there is none.
fn forty_said(name: &str, backup: &Path) -> (Server, Device, Device) {
    let mut server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    say(&mut ada, bob.user, 0..20);
    let chat = ada.chat_with(bob.user);
    ada.pages_of(&chat, 20);
    stop(&mut server);
    copy(&server.data().join(name), backup);
    server.start_again();
    for device in [&mut ada, &mut bob] {
        device.connect();
        device.sync();
    }
    say(&mut ada, bob.user, 20..40);
    bob.until("all of it", |bob| bob.texts(&chat).len() == 40);
    bob.settle();
    ada.pages_of(&chat, 40);
    stop(&mut server);
    (server, ada, bob)
}

#[test]
fn a_timeline_from_a_backup_replays_by_itself() {
    let backup = tempfile::tempdir().expect("a folder");
    let (mut server, mut ada, mut bob) = forty_said("timeline", backup.path());
    restore(&server, "timeline", backup.path());
    server.start_again();
    let chat = ada.chat_with(bob.user);
    ada.connect();
    ada.sync();
    let pages = ada.pages_of(&chat, 40);
    assert_eq!(pages.iter().map(super::kit::device::text_of).collect::<Vec<_>>(), texts(0..40));
    bob.connect();
    bob.sync();
    assert_eq!((resets(&bob), bob.texts(&chat)), (0, texts(0..40)), "his position is as good as it was");
    assert_eq!(part(&server, "archive")["state"], "ready");
    stop(&mut server);
    let (fits, said) = log_generation(&server, &[]);
    assert!(fits && said.contains("fits what was archived"), "{said}");
    let (begun, said) = log_generation(&server, &["--begin"]);
    assert!(!begun && said.contains("nothing to replace"), "a log that is whole is not thrown away: {said}");
}

#[test]
fn a_log_from_a_backup_is_noticed_and_a_new_one_begins() {
    let backup = tempfile::tempdir().expect("a folder");
    let (mut server, mut ada, mut bob) = forty_said("log", backup.path());
    let chat = ada.chat_with(bob.user);
    restore(&server, "log", backup.path());
    server.start_again();

    wait_for("the readers' stop", || (server.metric("volery_readers_stopped{reader=\"archive\"}") > 0).then_some(()));
    for name in ["log_generation", "archive"] {
        assert_eq!(part(&server, name)["state"], "degraded", "{name}");
    }
    assert!(server.metric("volery_log_replaced_partitions") > 0);
    assert!(server.logged().contains("the log is not the one that was known"));
    ada.connect();
    let request = ada.send(bob.user, "into a log that nobody reads");
    assert_eq!(ada.answer(request).code(), "log_unavailable");
    bob.connect();
    bob.settle();
    let told = |heard: &super::kit::device::Heard| matches!(heard.op, ServerOp::Synced | ServerOp::Reset);
    assert!(!bob.heard.iter().any(told), "he is not told that he holds everything: {bob}");
    assert_eq!(bob.pages_of(&chat, 40).len(), 40, "what was archived can be read");
    let (fits, said) = log_generation(&server, &["--begin"]);
    assert!(!fits && said.contains("is in use"), "not under a server that runs: {said}");
    stop(&mut server);

    let (fits, said) = log_generation(&server, &[]);
    assert!(!fits && said.contains("was archived, and the log ends at"), "{said}");
    let (begun, said) = log_generation(&server, &["--begin"]);
    assert!(begun && said.contains("generation 2 begins"), "{said}");
    server.start_again();
    for device in [&mut bob, &mut ada] {
        device.connect();
        device.sync();
        assert_eq!((resets(device), device.texts(&chat)), (1, texts(0..40)), "it starts anew, from pages");
    }
    while ada.retry() {
        ada.settle();
    }
    say(&mut ada, bob.user, 41..43);
    bob.until("what was said since", |bob| bob.texts(&chat).len() == 43);
    server.kill();
    server.start_again();
    bob.connect();
    bob.sync();
    assert_eq!(resets(&bob), 0, "positions of the new log are good");
    assert_eq!(bob.pages_of(&chat, 43).len(), 43);
    for name in ["log_generation", "archive", "fanout"] {
        assert_eq!(part(&server, name)["state"], "ready", "{name}");
    }
}
