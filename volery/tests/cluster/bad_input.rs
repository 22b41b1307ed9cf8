//! What bad input gets: a coded error or a numbered close, counted, with nobody else disturbed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use volery_door::frame::{Kind, Opcode};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{AccountStore as _, SigningKey};
use volery_wire::codec::Encoding;
use volery_wire::op::ServerOp;

use super::kit::device::text_of;
use super::kit::socket::{Came, Socket, frame};
use super::kit::{Device, NEVER, Server, now, wait_for};

fn errors(server: &Server, code: &str) -> u64 {
    server.metric(&format!("volery_errors_total{{code=\"{code}\"}}"))
}

pub(crate) fn closes(server: &Server, reason: &str) -> u64 {
    server.metric(&format!("volery_closes_total{{reason=\"{reason}\"}}"))
}

/// Two people who chat while `meanwhile` runs: they must not notice anything.
pub(crate) fn while_others_chat<T>(server: &Server, meanwhile: impl FnOnce() -> T) -> T {
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob").in_json());
    let done = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&done);
    let chat = ada.chat_with(bob.user);
    let before = ada.pages(&chat, 100).len();
    let chatting = std::thread::spawn(move || {
        let mut turns = 0;
        while !told.load(Ordering::Relaxed) || turns == 0 {
            let begun = now();
            let (to_bob, to_ada) = (format!("question {turns}"), format!("answer {turns}"));
            ada.say(bob.user, &to_bob);
            bob.until(&to_bob, |bob| {
                bob.held.get(&chat).is_some_and(|held| held.values().any(|m| text_of(m) == to_bob))
            });
            bob.say(ada.user, &to_ada);
            ada.until(&to_ada, |ada| {
                ada.held.get(&chat).is_some_and(|held| held.values().any(|m| text_of(m) == to_ada))
            });
            assert!(begun.elapsed() < Duration::from_secs(20), "a turn took {:?}", begun.elapsed());
            turns += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        let pages = ada.pages_of(&chat, before + 2 * turns);
        assert_eq!(pages.len(), before + 2 * turns, "nothing lost, nothing twice");
        assert_eq!(pages, bob.pages(&chat, 100).into_iter().map(|m| strip(m, &pages)).collect::<Vec<_>>());
    });
    let result = meanwhile();
    done.store(true, Ordering::Relaxed);
    chatting.join().expect("the others chat");
    result
}

/// Keys are shown to their owner alone: left out of the comparison.
fn strip(message: Value, pages: &[Value]) -> Value {
    pages
        .iter()
        .find(|other| other["id"] == message["id"] && other["text"] == message["text"])
        .cloned()
        .unwrap_or(message)
}

/// A frame that is answered by this code; the session goes on.
fn answered(server: &Server, device: &mut Device, what: &str, bytes: &[u8], code: &str) {
    let (before, heard) = (errors(server, code), device.heard.len());
    device.socket().send(bytes);
    device.until(what, |device| device.heard[heard..].iter().any(|heard| heard.op == ServerOp::Error));
    let error = device.heard[heard..].iter().find(|heard| heard.op == ServerOp::Error).cloned().expect("an error");
    assert_eq!(error.code(), code, "{what}: {error:?}");
    assert!(error.body["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: a sentence");
    assert_eq!(errors(server, code), before + 1, "{what} is counted");
    device.settle();
}

/// A deeply nested value in a field that nobody knows.
fn nested_json(depth: usize) -> Vec<u8> {
    format!("[\"ping\",7,{{\"x\":{}{}}}]", "[".repeat(depth), "]".repeat(depth)).into_bytes()
}

#[test]
fn broken_frames_are_answered_with_a_code() {
    let server = Server::start(&["ada", "bob", "eve"]);
    let mut eve = server.synced("eve");
    while_others_chat(&server, || {
        let packed: &[(&str, &[u8], &str)] = &[
            ("nothing", b"", "bad_frame"),
            ("no MessagePack", b"\xc1", "bad_frame"),
            ("an array that ends early", b"\x93\x0e", "bad_frame"),
            ("a map", b"\x81\xa1a\x01", "bad_frame"),
            ("an array of two", b"\x92\x0e\x07", "bad_frame"),
            ("an array of 2^32 - 1", b"\xdd\xff\xff\xff\xff\x0e", "bad_frame"),
            ("a body that claims 2^32 - 1 entries", b"\x93\x0e\x07\xdf\xff\xff\xff\xff", "bad_frame"),
            ("more behind it", b"\x93\x0e\x07\x80\x00", "bad_frame"),
            ("a negative request", b"\x93\x0e\xff\x80", "bad_frame"),
            ("an unknown operation", b"\x93\x60\x07\x80", "unknown_operation"),
            ("text that is no UTF-8", b"\x93\x03\x07\x83\xa2to\x01\xa6number\x01\xa4text\xa2\xc3\x28", "invalid_utf8"),
        ];
        for (what, bytes, code) in packed {
            answered(&server, &mut eve, what, bytes, code);
        }
        let deep = [b"\x93\x0e\x07\x81\xa1x".as_slice(), &[0x91; 60_000], b"\x80"].concat();
        answered(&server, &mut eve, "60,000 arrays in each other", &deep, "bad_frame");
        eve = eve.in_json();
        let texts: &[(&str, &[u8], &str)] = &[
            ("nothing", b"", "bad_frame"),
            ("no JSON", b"hello", "bad_frame"),
            ("an object", b"{\"op\":\"ping\"}", "bad_frame"),
            ("an array of two", b"[\"ping\",7]", "bad_frame"),
            ("more behind it", b"[\"ping\",7,{}]]", "bad_frame"),
            ("a request that is no number", b"[\"ping\",\"seven\",{}]", "bad_frame"),
            ("an unknown operation", b"[\"shout\",7,{}]", "unknown_operation"),
            (
                "a field of the wrong type",
                b"[\"send\",7,{\"to\":\"1\",\"number\":\"one\",\"since_welcome\":0,\"text\":\"x\"}]",
                "bad_request",
            ),
            ("a text that is missing", b"[\"send\",7,{\"to\":\"1\",\"number\":1,\"since_welcome\":0}]", "bad_request"),
            ("a send that is not dated", b"[\"send\",7,{\"to\":\"1\",\"number\":1,\"text\":\"x\"}]", "bad_request"),
            ("a body that is no map", b"[\"send\",7,[1,2]]", "bad_request"),
            (
                "an id of 2^63",
                b"[\"send\",7,{\"to\":\"9223372036854775808\",\"number\":1,\"since_welcome\":0,\"text\":\"x\"}]",
                "bad_request",
            ),
            (
                "an id below zero",
                b"[\"send\",7,{\"to\":-1,\"number\":1,\"since_welcome\":0,\"text\":\"x\"}]",
                "bad_request",
            ),
            (
                "a number of 2^32",
                b"[\"send\",7,{\"to\":\"1\",\"number\":4294967296,\"since_welcome\":0,\"text\":\"x\"}]",
                "bad_request",
            ),
            (
                "a number of 0",
                b"[\"send\",7,{\"to\":\"1\",\"number\":0,\"since_welcome\":0,\"text\":\"x\"}]",
                "bad_request",
            ),
            (
                "half a millisecond",
                b"[\"send\",7,{\"to\":\"1\",\"number\":1,\"since_welcome\":0.5,\"text\":\"x\"}]",
                "bad_request",
            ),
            ("a chat that is none", b"[\"history\",7,{\"chat\":\"direct:x:y\"}]", "bad_request"),
            ("bytes that are no base64", b"[\"resume\",7,{\"position\":\"%%%\"}]", "bad_request"),
        ];
        for (what, bytes, code) in texts {
            answered(&server, &mut eve, what, bytes, code);
        }
        answered(&server, &mut eve, "nested too deep", &nested_json(17), "bad_frame");
        answered(&server, &mut eve, "30,000 brackets", &nested_json(30_000), "bad_frame");
        eve.socket().send(&nested_json(10));
        eve.settle();
    });
}

#[test]
fn bad_requests_are_answered_with_a_code() {
    let server = Server::start(&["ada", "bob", "eve", "mallory"]);
    let mut eve = server.synced("eve").in_json();
    let mut other = server.synced("mallory");
    let (to, own) = (other.user.to_string(), eve.chat_with(other.user));
    let session = eve.session;
    while_others_chat(&server, || {
        let refused = |eve: &mut Device, what: &str, operation: &str, body: Value, code: &str, field: Option<&str>| {
            let before = errors(&server, code);
            let error = eve.call(operation, body);
            assert_eq!(error.code(), code, "{what}: {error:?}");
            assert_eq!(error.body.get("field").and_then(Value::as_str), field, "{what}: {error:?}");
            assert_eq!(errors(&server, code), before + 1, "{what} is counted");
        };
        let send = |number: u32, text: &str| json!({"to": to, "number": number, "text": text});
        let long = "é".repeat(4_096);
        assert_eq!(eve.call("send", send(1, &long)).op, ServerOp::Ack, "8 KiB are good");
        refused(&mut eve, "8 KiB and a byte", "send", send(2, &format!("{long}x")), "too_large", Some("text"));
        refused(&mut eve, "an empty text", "send", send(3, ""), "empty_text", Some("text"));
        refused(&mut eve, "a number twice", "send", send(1, "again"), "seq_reused", None);
        let nobody = json!({"to": "1", "number": 10, "text": "x"});
        refused(&mut eve, "nobody", "send", nobody, "unknown_recipient", Some("to"));
        let zero = json!({"to": "0", "number": 11, "text": "x"});
        refused(&mut eve, "to 0", "send", zero, "unknown_recipient", Some("to"));
        let hello = eve.hello();
        refused(&mut eve, "a second hello", "hello", hello, "hello_again", None);
        let mut retry = send(1, &long);
        retry["retry_of"] = json!(session.to_string());
        refused(&mut eve, "a retry of what this session took", "send", retry.clone(), "invalid_retry", None);
        retry["retry_of"] = json!((session + 1_000).to_string());
        refused(&mut eve, "a retry of a later session", "send", retry, "invalid_retry", None);
        let change = |number: u32| json!({"to": to, "number": number, "id": "5"});
        refused(&mut eve, "an edit without a text", "edit", change(20), "bad_request", Some("text"));
        refused(&mut eve, "a reaction without an emoji", "react", change(21), "bad_request", Some("emoji"));
        let mut emoji = change(22);
        emoji["emoji"] = json!("x".repeat(65));
        refused(&mut eve, "an emoji of 65 bytes", "react", emoji, "bad_request", Some("emoji"));
        let history = |more: Value| {
            let mut body = json!({"chat": own});
            body.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            body
        };
        refused(
            &mut eve,
            "a cursor made up",
            "history",
            history(json!({"cursor": "AAAA"})),
            "invalid_cursor",
            Some("cursor"),
        );
        refused(
            &mut eve,
            "a chat cursor made up",
            "chats",
            json!({"cursor": "AAAA"}),
            "invalid_cursor",
            Some("cursor"),
        );
        let both = history(json!({"before": "5", "after": "5"}));
        refused(&mut eve, "before and after", "history", both, "bad_request", Some("after"));
        refused(&mut eve, "a page of none", "history", history(json!({"limit": 0})), "bad_request", Some("limit"));
        refused(&mut eve, "a page of 101", "history", history(json!({"limit": 101})), "bad_request", Some("limit"));
        refused(
            &mut eve,
            "somebody else's chat",
            "history",
            json!({"chat": "direct:1:2"}),
            "unknown_chat",
            Some("chat"),
        );
        refused(
            &mut eve,
            "a position made up",
            "resume",
            json!({"position": "AAAA"}),
            "invalid_position",
            Some("position"),
        );
        refused(&mut eve, "frames never sent", "received", json!({"n": 1_000}), "bad_request", Some("n"));
        refused(&mut eve, "a forged refresh", "refresh", json!({"token": "x.y.z"}), "invalid_token", Some("token"));
        let foreign = json!({"token": other.token});
        refused(&mut eve, "another device's token", "refresh", foreign, "invalid_token", Some("token"));
        assert_eq!(eve.call("refresh", json!({"token": eve.token})).op, ServerOp::Done);
        assert_eq!(eve.call("send", send(30, "numbers may skip")).op, ServerOp::Ack);
        let note = json!({"to": eve.user.to_string(), "number": 31, "text": "a note to myself"});
        assert_eq!(eve.call("send", note).op, ServerOp::Ack);
    });
    other.until("what was accepted", |other| other.texts(&own).len() == 2);
    other.settle();
    assert_eq!(other.texts(&own).len(), 2, "and nothing that was refused");
}

#[test]
fn a_key_with_other_content_is_answered_so() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let chat = ada.chat_with(bob.user);
    let (id, _) = ada.say(bob.user, "the original");
    let first = ada.session;
    ada.settle();
    ada.connect();
    let retry =
        |text: &str| json!({"to": bob.user.to_string(), "number": 1, "retry_of": first.to_string(), "text": text});
    let answers =
        |ada: &Device| ada.heard.iter().filter(|heard| heard.op == ServerOp::Answer).cloned().collect::<Vec<_>>();
    ada.ask("send", retry("the original"));
    ada.until("the same again", |ada| answers(ada).len() == 1);
    assert_eq!(answers(&ada)[0].number("id"), id, "the first id");
    ada.ask("send", retry("something else"));
    ada.until("something else", |ada| answers(ada).len() == 2);
    assert_eq!(answers(&ada)[1].body["error"], "key_reused");
    let elsewhere =
        json!({"to": ada.user.to_string(), "number": 1, "retry_of": first.to_string(), "text": "the original"});
    ada.ask("send", elsewhere);
    ada.until("to another recipient", |ada| answers(ada).len() == 3);
    assert_eq!(answers(&ada)[2].body["error"], "key_reused");
    ada.ask("send", retry("the original"));
    let early = ada.call("send", json!({"to": bob.user.to_string(), "number": 1, "text": "too early"}));
    assert_eq!((early.code(), &early.body["retryable"]), ("retries_first", &json!(true)));
    ada.until("the original, once more", |ada| answers(ada).len() == 4);
    ada.settle();
    bob.settle();
    assert_eq!(bob.texts(&chat), ["the original"]);
    assert_eq!(bob.pages_of(&chat, 1).len(), 1);
    assert!(ada.pages(&ada.chat_with(ada.user), 10).is_empty(), "nothing of it was taken");
    assert_eq!(errors(&server, "retries_first"), 1);
}

#[test]
fn frames_against_the_rules_close_with_a_number() {
    let server = Server::start(&["ada", "bob", "eve"]);
    let mut eve = server.synced("eve");
    let large = |length: usize| frame(Opcode::Data(Kind::Binary), &vec![0xc1; length]);
    let cases: Vec<(&str, Encoding, Vec<u8>, u16, &str)> = vec![
        ("unmasked", Encoding::MessagePack, b"\x82\x04\x93\x0e\x07\x80".to_vec(), 1002, "protocol_error"),
        ("a reserved bit", Encoding::MessagePack, b"\xc2\x80\0\0\0\0".to_vec(), 1002, "protocol_error"),
        ("an unknown opcode", Encoding::MessagePack, b"\x83\x80\0\0\0\0".to_vec(), 1002, "protocol_error"),
        ("a ping in pieces", Encoding::MessagePack, b"\x09\x80\0\0\0\0".to_vec(), 1002, "protocol_error"),
        ("a continuation of nothing", Encoding::MessagePack, b"\x80\x80\0\0\0\0".to_vec(), 1002, "protocol_error"),
        ("a close of one byte", Encoding::MessagePack, frame(Opcode::Close, b"x"), 1002, "protocol_error"),
        ("64 KiB and a byte", Encoding::MessagePack, large(65_537), 1009, "too_large"),
        (
            "2^62 bytes announced",
            Encoding::MessagePack,
            b"\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            1009,
            "too_large",
        ),
        ("text for binary", Encoding::MessagePack, frame(Opcode::Data(Kind::Text), b"[]"), 1003, "bad_data"),
        ("binary for text", Encoding::Json, frame(Opcode::Data(Kind::Binary), b"[]"), 1003, "bad_data"),
        ("broken UTF-8", Encoding::Json, frame(Opcode::Data(Kind::Text), b"[\"\xc3\x28\"]"), 1007, "invalid_utf8"),
    ];
    while_others_chat(&server, || {
        for (what, encoding, bytes, number, reason) in cases {
            for greeted in [true, false] {
                let before = closes(&server, reason);
                eve.encoding = encoding;
                let mut alone = None;
                if greeted {
                    eve.connect();
                    eve.socket().send_raw(&bytes);
                } else {
                    let socket = alone.insert(eve.open().expect("the door is open"));
                    socket.send_raw(&bytes);
                }
                let closed = alone.as_mut().map_or_else(|| eve.closed(), Socket::closed);
                assert_eq!(closed, (number, reason.to_owned()), "{what}, after hello: {greeted}");
                wait_for(&format!("{what} is counted"), || (closes(&server, reason) == before + 1).then_some(()));
            }
        }
        eve.encoding = Encoding::MessagePack;
        eve.connect();
        eve.socket().send_raw(&large(65_536));
        eve.wait("a frame of 64 KiB is read, and is none", |heard| heard.op == ServerOp::Error && heard.n == 0);
        eve.settle();
        for _ in 0..150 {
            eve.socket().send(b"\xc1");
        }
        assert_eq!(eve.closed(), (4007, "too_many_errors".to_owned()));
        wait_for("it is counted", || (closes(&server, "too_many_errors") == 1).then_some(()));
    });
}

#[test]
fn nothing_happens_before_a_good_hello() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let mut socket = ada.open().expect("the door is open");
    socket.send(&ada.encode("ping", 1, json!({})));
    let Came::Frame(answer) = socket.next(now() + NEVER) else { panic!("an answer") };
    assert!(String::from_utf8_lossy(&answer).contains("not_ready"));
    socket.send(b"\xc1");
    let Came::Frame(answer) = socket.next(now() + NEVER) else { panic!("an answer") };
    assert!(String::from_utf8_lossy(&answer).contains("bad_frame"));
    socket.cut();
    assert_eq!((errors(&server, "not_ready"), errors(&server, "bad_frame")), (1, 1));
    let good = ada.token.clone();
    let forged = good.rsplit_once('.').map(|(signed, _)| format!("{signed}.{}", "A".repeat(86))).expect("a JWT");
    let none = format!("{}.{}.", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", good.split('.').nth(1).expect("a body"));
    let ended = signed(&server, &ada, -2);
    let tokens = [
        ("a text", "hello".to_owned()),
        ("nothing", String::new()),
        ("a forged signature", forged),
        ("no signature", none),
        ("too long a text", "x".repeat(5_000)),
        ("another device's token", bob.token.clone()),
        ("an expired token", ended),
    ];
    for (what, token) in tokens {
        let before = (errors(&server, "invalid_token"), closes(&server, "invalid_token"));
        ada.token = token;
        assert_eq!(ada.greet().code(), "invalid_token", "{what}");
        assert_eq!(ada.closed(), (4001, "invalid_token".to_owned()), "{what}");
        let counted = || (errors(&server, "invalid_token"), closes(&server, "invalid_token"));
        wait_for(what, || (counted() == (before.0 + 1, before.1 + 1)).then_some(()));
    }
    ada.token = signed(&server, &ada, 3);
    ada.connect();
    ada.say(bob.user, "while it lasts");
    assert_eq!(ada.closed(), (4001, "invalid_token".to_owned()), "the session ends with its token");
    ada.token = signed(&server, &ada, 2);
    ada.connect();
    assert_eq!(ada.call("refresh", json!({"token": good})).op, ServerOp::Done);
    let until = now() + Duration::from_secs(3);
    while now() < until {
        ada.pump(until);
    }
    ada.say(bob.user, "and goes on with a new one");
    bob.settle();
}

/// A token of the service's own key, for this device, that ends in so many seconds.
fn signed(server: &Server, device: &Device, seconds: i64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let keys = runtime.block_on(async {
        let store = volery_sql::SqliteStore::open(&server.data().join("accounts.db")).await.expect("the store");
        let unused = SigningKey { kid: "unused".into(), secret: [0; 32], created: Timestamp(0) };
        store.signing_keys(unused).await.expect("keys")
    });
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let key = EncodingKey::from_ed_der(&[prefix.as_slice(), &keys[0].secret].concat());
    let at = wall() + seconds;
    let claims = json!({
        "iss": "volery", "aud": "volery", "sub": device.user.to_string(), "device": device.device.to_string(),
        "iat": at - 60, "exp": at,
    });
    let header = Header { kid: Some(keys[0].kid.clone()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, &key).expect("a token")
}

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a token's end is a time of the wall's clock")]
fn wall() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a time")
}
