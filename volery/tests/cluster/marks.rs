//! Marks: what follows from receiving and reading, for the other side and for one's own devices.

use serde_json::{Value, json};
use volery_wire::op::ServerOp;

use super::kit::device::{Heard, number};
use super::kit::{Device, Server, wait_for};

fn read(device: &mut Device, chat: &str, source: u64, id: u64) -> u64 {
    device.ask("mark", json!({"chat": chat, "source": source.to_string(), "id": id.to_string()}))
}

fn is_mark(heard: &Heard, kind: &str, reader: u64, source: u64) -> bool {
    let body = &heard.body;
    heard.op == ServerOp::Marked
        && body["kind"] == kind
        && number(&body["reader"]) == reader
        && heard.number("source") == source
}

fn row(device: &mut Device, chat: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for("the chat list", || device.chat(chat).filter(|row| is(row)))
}

#[test]
fn delivered_follows_received_and_read_follows_mark() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let mut tablet = server.synced("bob");
    (bob.confirms, tablet.confirms) = (false, false);
    let chat = ada.chat_with(bob.user);
    ada.say(bob.user, "one");
    let (reader, (id, source)) = (bob.user, ada.say(bob.user, "two"));
    bob.until("both", |bob| bob.texts(&chat).len() == 2);
    ada.settle();
    assert!(ada.heard.iter().all(|heard| heard.op != ServerOp::Marked), "nothing is confirmed yet");
    bob.confirm();
    let delivered = ada.wait("delivered", |heard| is_mark(heard, "delivered", reader, source));
    assert_eq!(delivered.number("id"), id);
    assert!(ada.heard.iter().all(|heard| heard.body["kind"] != "read"), "received is not read");
    read(&mut bob, &chat, source, id);
    ada.wait("read", |heard| is_mark(heard, "read", reader, source));
    bob.wait("one's own mark comes back", |heard| is_mark(heard, "read", reader, source));
    tablet.wait("and on the other device", |heard| is_mark(heard, "read", reader, source));
    let held = json!({"source": source.to_string(), "id": id.to_string()});
    let of_ada = row(&mut ada, &chat, |row| row["peer_read"] == held);
    assert_eq!((&of_ada["peer_delivered"], &of_ada["unread"]), (&held, &json!(0)));
    let of_bob = row(&mut bob, &chat, |row| row["read"] == held);
    assert_eq!(of_bob["unread"], 0);
}

#[test]
fn unread_counts_are_exact() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let sent: Vec<_> = (0..120).map(|n| ada.say(bob.user, &format!("{n}"))).collect();
    bob.until("all", |bob| bob.texts(&chat).len() == 120);
    bob.say(ada.user, "own messages do not count");
    bob.pages_of(&chat, 121);
    assert_eq!(
        row(&mut bob, &chat, |row| row["newest"]["text"] == "own messages do not count")["unread"],
        100,
        "more than 99"
    );
    for unread in [99, 98, 7, 1, 0] {
        let (id, source) = sent[119 - unread];
        read(&mut bob, &chat, source, id);
        let row = row(&mut bob, &chat, |row| number(&row["read"]["source"]) == source);
        assert_eq!(row["unread"], unread);
    }
    let (id, source) = sent[0];
    read(&mut bob, &chat, source, id);
    let (_, newest) = ada.say(bob.user, "one more");
    let row = row(&mut bob, &chat, |row| number(&row["newest_incoming"]) == newest);
    assert_eq!((&row["unread"], number(&row["read"]["source"])), (&json!(1), sent[119].1), "marks never go back");
}

#[test]
fn a_send_says_how_far_the_chat_was_shown() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let (id, source) = ada.say(bob.user, "question");
    bob.until("the question", |bob| bob.texts(&chat).len() == 1);
    let (number, shown) = (bob.next_number(), json!({"source": source.to_string(), "id": id.to_string()}));
    bob.call("send", json!({"to": ada.user.to_string(), "number": number, "text": "answer", "shown": shown}));
    let mine = row(&mut bob, &chat, |row| row["read"] == shown);
    assert_eq!(mine["unread"], 0);
    row(&mut ada, &chat, |row| row["peer_read"] == shown && row["unread"] == 1);
}

#[test]
fn marks_wait_for_synced_and_stay_behind_the_stream() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let (id, source) = ada.say(bob.user, "here");
    bob.until("it", |bob| bob.texts(&chat).len() == 1);
    let request = read(&mut bob, &chat, source + 1_000, id);
    assert_eq!(bob.answer(request).code(), "mark_ahead");
    let shown = json!({"source": (source + 1_000).to_string(), "id": id.to_string()});
    let number = bob.next_number();
    let refused = bob.call("send", json!({"to": ada.user.to_string(), "number": number, "text": "x", "shown": shown}));
    assert_eq!(
        (refused.code(), &refused.body["field"], &refused.body["number"]),
        ("mark_ahead", &json!("shown"), &json!(1))
    );
    let mut tablet = server.device("bob");
    tablet.connect();
    tablet.wait("a new device is not synced", |heard| heard.op == ServerOp::Reset);
    let request = read(&mut tablet, &chat, source, id);
    let early = tablet.answer(request);
    assert_eq!((early.code(), &early.body["retryable"]), ("not_synced", &json!(true)));
    tablet.sync();
    read(&mut tablet, &chat, source, id);
    ada.wait("read", |heard| is_mark(heard, "read", bob.user, source));
    let foreign = read(&mut ada, "direct:1:2", 1, 1);
    assert_eq!(ada.answer(foreign).code(), "unknown_chat");
}
