//! What a device is told of its user's stream: echoes, sync, resume, reset, gap; one session a device.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use volery_wire::op::ServerOp;

use super::kit::device::text_of;
use super::kit::socket::{Came, Socket};
use super::kit::{Device, NEVER, Server, now, wait_for};

fn ops(device: &Device, op: ServerOp) -> usize {
    device.heard.iter().filter(|heard| heard.op == op).count()
}

/// After a reset a session is told of its own sends as well; one that comes back with its position is not.
fn back(mut device: Device) -> Device {
    device.settle();
    device.connect();
    device.sync();
    device
}

/// A message arrives with this text.
fn hears(device: &mut Device, text: &str) -> Value {
    device.wait(text, |heard| heard.op == ServerOp::Message && text_of(&heard.body) == text).body
}

#[test]
fn everybody_else_hears_of_a_send_once() {
    let server = Server::start(&["ada", "bob"]);
    let (mut phone, mut laptop) = (back(server.synced("ada")), server.synced("ada").in_json());
    let mut bob = back(server.synced("bob"));
    let chat = phone.chat_with(bob.user);
    let (id, source) = phone.say(bob.user, "hello");
    let (echo, message) = (hears(&mut laptop, "hello"), hears(&mut bob, "hello"));
    for heard in [&echo, &message] {
        assert_eq!((heard["id"].clone(), heard["source"].clone()), (json!(id.to_string()), json!(source.to_string())));
        assert!(heard.get("position").is_some(), "{heard}");
    }
    let key = json!({"device": phone.device.to_string(), "session": phone.session.to_string(), "number": 1});
    assert_eq!((echo.get("key"), message.get("key")), (Some(&key), None), "keys are their owner's alone");
    bob.say(phone.user, "and an answer");
    hears(&mut phone, "and an answer");
    hears(&mut laptop, "and an answer");
    for device in [&mut phone, &mut laptop, &mut bob] {
        device.settle();
        assert_eq!(device.texts(&chat), ["hello", "and an answer"]);
    }
    assert_eq!(ops(&phone, ServerOp::Message), 1, "the session that sent it has its ack");
    assert_eq!(ops(&laptop, ServerOp::Message), 2);
    assert_eq!(ops(&bob, ServerOp::Message), 1);
}

#[test]
fn notes_to_oneself_reach_the_other_devices() {
    let server = Server::start(&["ada"]);
    let (mut phone, mut laptop) = (server.synced("ada"), server.synced("ada"));
    phone.say(phone.user, "milk");
    hears(&mut laptop, "milk");
    laptop.settle();
    phone.settle();
    let chat = phone.chat_with(phone.user);
    assert_eq!((phone.texts(&chat), laptop.texts(&chat)), (vec!["milk".to_owned()], vec!["milk".to_owned()]));
    assert_eq!(phone.pages_of(&chat, 1).len(), 1);
    // A message is on its page a moment before its chat is in the list.
    let listed = wait_for("the chat in the list", || phone.chat(&chat));
    assert_eq!(listed["unread"], 0, "own messages are never unread");
}

#[test]
fn an_absence_is_filled_from_the_position_on() {
    let mut server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let mut said = Vec::new();
    let mut absence = |server: &mut Server, bob: &mut Device, restart: bool| {
        bob.settle();
        bob.drop_socket();
        let before = bob.held.clone();
        for n in 0..30 {
            said.push(format!("{restart} {n}"));
            ada.say(bob.user, &said[said.len() - 1]);
        }
        if restart {
            server.kill();
            server.start_again();
            ada.connect();
            ada.sync();
        }
        bob.connect();
        bob.sync();
        assert_eq!(ops(bob, ServerOp::Reset), 0, "its position is good");
        assert_eq!(ops(bob, ServerOp::Message), 30, "what it missed and nothing else");
        let synced = bob.heard.iter().position(|heard| heard.op == ServerOp::Synced).expect("synced");
        let last = bob.heard.iter().rposition(|heard| heard.op == ServerOp::Message).expect("a message");
        assert!(last < synced, "synced is said when everything that was there has been sent");
        assert!(before.get(&chat).is_none_or(|held| held.keys().all(|id| bob.held[&chat].contains_key(id))));
        assert_eq!(bob.texts(&chat), said, "nothing missing, nothing twice, in order");
    };
    absence(&mut server, &mut bob, false);
    absence(&mut server, &mut bob, true);
    absence(&mut server, &mut bob, false);
}

#[test]
fn a_new_device_is_reset_and_reads_pages() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    for n in 0..70 {
        ada.say(bob.user, &format!("{n}"));
    }
    bob.pages_of(&chat, 70);
    let mut tablet = server.device("bob");
    tablet.connect();
    tablet.sync();
    assert_eq!(ops(&tablet, ServerOp::Reset), 1, "without a position");
    let expected: Vec<_> = (0..70).map(|n| n.to_string()).collect();
    tablet.until("the rest comes as events", |tablet| tablet.texts(&chat).len() >= 70);
    assert_eq!(tablet.texts(&chat), expected);
    tablet.settle();
    tablet.drop_socket();
    ada.say(bob.user, "70");
    tablet.connect();
    tablet.sync();
    assert_eq!((ops(&tablet, ServerOp::Reset), ops(&tablet, ServerOp::Message)), (0, 1), "now it has one");
}

#[test]
fn positions_of_another_log_reset_and_garbage_is_refused() {
    let (here, elsewhere) = (Server::start(&["ada", "bob"]), Server::start(&["ada", "bob"]));
    let mut far = elsewhere.synced("ada");
    let mut bob = elsewhere.synced("bob");
    for n in 0..20 {
        bob.say(far.user, &format!("there {n}"));
    }
    far.until("positions", |far| ops(far, ServerOp::Message) == 20);
    far.settle();
    let mut ada = here.synced("ada");
    ada.settle();
    let (own, there) = (ada.position.clone(), far.position.clone().expect("a position"));
    ada.position = Some(there);
    ada.connect();
    ada.sync();
    assert_eq!(ops(&ada, ServerOp::Reset), 1, "another log's position, well-formed");
    for garbage in ["AAAA", "", "////"] {
        let mut stranger = here.device("ada");
        stranger.position = Some(json!(garbage));
        if garbage == "////" {
            stranger.position = Some(json!("_____w"));
        }
        assert_eq!(stranger.greet().code(), "invalid_position");
        // The socket is still there for a better hello.
        stranger.position = None;
        let request = stranger.ask("hello", stranger.hello());
        assert_eq!(stranger.answer(request).op, ServerOp::Welcome);
    }
    let refused = ada.call("resume", json!({"position": "AAAA"}));
    assert_eq!(refused.code(), "invalid_position");
    ada.position = own;
    ada.connect();
    ada.sync();
}

#[test]
fn a_slow_reader_costs_a_window_and_misses_nothing() {
    let server = Server::start(&["ada", "bob", "eve"]);
    let (mut ada, mut eve) = (server.synced("ada"), server.synced("eve"));
    let mut bob = server.synced("bob");
    bob.confirms = false;
    bob.settle();
    let chat = ada.chat_with(bob.user);
    let text = |n: usize| format!("{n} {}", "x".repeat(2_000));
    for n in 0..80 {
        ada.say(bob.user, &text(n));
    }
    bob.until("the window is full", |bob| ops(bob, ServerOp::Message) >= 30);
    bob.settle();
    let sent = ops(&bob, ServerOp::Message);
    assert!((30..=34).contains(&sent), "about 64 KiB of 2 KiB each, not {sent}");
    assert_eq!(ops(&bob, ServerOp::Gap), 0, "not before it drains");
    ada.say(eve.user, "others go on");
    hears(&mut eve, "others go on");
    let gaps = server.metric("volery_gaps_total");
    assert_eq!(server.metric("volery_stalled_sessions"), 1);
    bob.confirms = true;
    bob.confirm();
    bob.wait("gap", |heard| heard.op == ServerOp::Gap);
    bob.until("everything", |bob| bob.texts(&chat).len() == 80);
    let last = bob.heard.len();
    bob.confirm();
    bob.until("synced again", |bob| {
        let gap = bob.heard.iter().rposition(|heard| heard.op == ServerOp::Gap);
        bob.heard.iter().rposition(|heard| heard.op == ServerOp::Synced) > gap
    });
    assert!(bob.heard.len() >= last);
    assert_eq!(bob.texts(&chat), (0..80).map(text).collect::<Vec<_>>());
    assert_eq!(ops(&bob, ServerOp::Message), 80, "nothing twice");
    assert!(server.metric("volery_gaps_total") > gaps);
    assert_eq!(server.metric("volery_stalled_sessions"), 0);
}

#[test]
fn a_client_that_never_reads_disturbs_nobody_and_misses_nothing() {
    let server = Server::start(&["ada", "bob", "eve"]);
    let (mut ada, mut eve) = (server.synced("ada"), server.synced("eve"));
    let mut bob = server.synced("bob");
    let chat = ada.chat_with(bob.user);
    bob.settle();
    for n in 0..150 {
        ada.say(bob.user, &format!("{n} {}", "y".repeat(4_000)));
    }
    let (id, _) = ada.say(eve.user, "still there");
    assert_eq!(hears(&mut eve, "still there")["id"], id.to_string());
    bob.until("it reads at last", |bob| bob.texts(&chat).len() == 150);
    assert_eq!(ops(&bob, ServerOp::Message), 150);
}

#[test]
fn a_newer_session_replaces_the_older() {
    let server = Server::start(&["ada", "bob"]);
    let mut ada = server.synced("ada");
    let mut other = server.synced("ada");
    let mut older = Socket::open(&server.addresses().door, ada.encoding).expect("a second socket");
    let hello = ada.encode("hello", 1, ada.hello());
    std::mem::swap(ada.socket(), &mut older);
    ada.socket().send(&hello);
    assert_eq!(older.closed(), (4003, "replaced".to_owned()));
    ada.wait("the newer is welcome", |heard| heard.op == ServerOp::Welcome && heard.number("session") > 0);
    ada.settle();
    other.settle();
    assert_eq!(older.next(now() + NEVER), Came::Ended);
    assert_eq!(server.metric("volery_closes_total{reason=\"replaced\"}"), 1);
    assert_eq!(server.metric("volery_sessions"), 2);
}

#[test]
fn pages_over_http_are_those_of_the_socket() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob").in_json());
    let (chat, bob_is) = (ada.chat_with(bob.user), bob.user);
    // Two who have not heard of each other yet may take ids of one millisecond in either order.
    let mut said = BTreeMap::new();
    for n in 0..120 {
        let (from, to) = if n % 3 == 0 { (&mut bob, ada.user) } else { (&mut ada, bob_is) };
        let text = n.to_string();
        said.insert(from.say(to, &text).0, text);
    }
    let of_ada = ada.pages_of(&chat, 120);
    assert_eq!(of_ada.iter().map(text_of).collect::<Vec<_>>(), said.values().collect::<Vec<_>>());
    assert_eq!(of_ada, ada.pages_over_http(&chat));
    assert_eq!(bob.pages_of(&chat, 120), bob.pages_over_http(&chat));
    assert_eq!(ada.http("GET", "/v1/chats").good()["chats"], json!(ada.chats()));
    assert_eq!(bob.http("GET", "/v1/chats").good()["chats"], json!(bob.chats()));
}

/// Everybody's records stand in one partition; the last ones before the log's end never concern Eve.
#[test]
fn synced_is_said_whoever_the_last_records_concern() {
    let server = Server::start_with(&["ada", "bob", "eve"], &["--log-partitions", "1"]);
    let (mut ada, bob, mut eve) = (server.synced("ada"), server.device("bob"), server.synced("eve"));
    for round in 0..20 {
        for n in 0..10 {
            ada.send(bob.user, &format!("{round}.{n}"));
        }
        eve.connect();
        eve.sync();
        ada.settle();
    }
    assert_eq!(ops(&eve, ServerOp::Message), 0);
}
