//! A log without room: sends are refused, everything else goes on, and so do sends when there is room.

use serde_json::json;
use volery_wire::op::ServerOp;

use super::kit::Server;
use super::kit::device::text_of;

/// The least that the configuration takes: one segment of 64 KiB in each of two partitions.
const TINY: &[&str] = &["--log-partitions", "2", "--log-segment-bytes", "64KiB", "--log-max-bytes", "128KiB"];
const ROOM: &[&str] = &["--log-partitions", "2", "--log-segment-bytes", "64KiB", "--log-max-bytes", "64MiB"];

#[test]
fn a_full_log_refuses_sends_keeps_what_it_took_and_goes_on() {
    let mut server = Server::start_with(&["ada", "bob"], TINY);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let mut said = Vec::new();
    let refused = loop {
        let text = format!("{} {}", said.len(), "z".repeat(3_000));
        let request = ada.send(bob.user, &text);
        let answer = ada.answer(request);
        if answer.op != ServerOp::Ack {
            break answer;
        }
        said.push(text);
        assert!(said.len() < 200, "128 KiB are full by now");
    };
    assert_eq!((refused.code(), &refused.body["retryable"]), ("log_full", &json!(true)));
    assert!(said.len() > 5, "there was room for some: {}", said.len());
    let later = ada.send(bob.user, "a later one would overtake it");
    assert_eq!(ada.answer(later).code(), "log_full");
    assert!(server.metric("volery_errors_total{code=\"log_full\"}") >= 2);
    let pages = bob.pages_of(&chat, said.len());
    assert_eq!(pages.iter().map(text_of).collect::<Vec<_>>(), said, "pages are served, with all that was acknowledged");
    ada.settle();
    assert_eq!(server.http("GET", "/v1/me", Some(&ada.token), None).status, 200);

    server.kill();
    server.start_again_with(ROOM);
    ada.connect();
    while ada.retry() {
        ada.until("each retry is answered", |ada| !ada.unconfirmed.first().is_some_and(|send| send.is_under_way()));
    }
    ada.say(bob.user, "there is room again");
    said.extend([
        format!("{} {}", said.len(), "z".repeat(3_000)),
        "a later one would overtake it".into(),
        "there is room again".into(),
    ]);
    bob.connect();
    bob.sync();
    bob.until("all of it", |bob| bob.texts(&chat).len() == said.len());
    assert_eq!(bob.texts(&chat), said);
    assert_eq!(bob.pages_of(&chat, said.len()).iter().map(text_of).collect::<Vec<_>>(), said);
}
