//! The bytes of one event of each kind and content, pinned. They are on people's disks: a test that
//! fails here says that old logs would be read differently. New kinds add lines; no line changes.

#![expect(clippy::unwrap_used, reason = "what a test makes up fits")]

use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, Content, Event, Mark, MarkKind, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, GroupId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_proto::{decode, encode};

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

fn key() -> SendKey {
    SendKey { device: DeviceId(id(0x30)), session: SessionNumber(id(0x40)), number: 300 }
}

fn seen() -> Seen {
    Seen { source: Source::new(1, 5), id: id(0x50) }
}

fn send(recipient: Recipient, content: Content) -> Send {
    let session = SessionNumber(id(0x41));
    let (flagged, resolve_only, shown) = (false, false, None);
    Send {
        id: id(0x0102_0304_0506_0708),
        sender: user(0x10),
        recipient,
        key: key(),
        session,
        flagged,
        resolve_only,
        shown,
        content,
    }
}

fn retry(content: Content) -> Send {
    let (flagged, resolve_only, shown) = (true, true, Some(seen()));
    Send { flagged, resolve_only, shown, ..send(Recipient::Group(GroupId(id(0x20))), content) }
}

fn hello() -> Content {
    Content::Message { body: Body::text("hello"), reply_to: None }
}

fn to_user() -> Recipient {
    Recipient::User(user(0x11))
}

fn answer(outcome: Outcome) -> Event {
    Event::Answer(Answer { id: id(0x60), sender: user(0x10), key: key(), outcome })
}

fn mark(chat: ChatId, kind: MarkKind) -> Mark {
    Mark { id: id(0x70), reader: user(0x11), chat, kind, seen: seen() }
}

#[track_caller]
fn pinned(event: &Event, hex: &str) {
    let bytes = encode(event);
    let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, hex.replace(' ', ""));
    assert_eq!(decode(bytes).as_ref(), Ok(event));
}

#[test]
fn message() {
    pinned(
        &Event::Send(send(to_user(), hello())),
        "0908070605040302011111000000000000004234091000000000000000121509300000000000000011400000000000000018ac0219410000000000000042090801120568656c6c6f",
    );
}

#[test]
fn flagged_answer_to_a_message_in_a_group() {
    let content = Content::Message { body: Body { kind: 7, bytes: vec![0xff].into() }, reply_to: Some(id(0x80)) };
    pinned(
        &Event::Send(retry(content)),
        "0908070605040302011920000000000000004251091000000000000000121509300000000000000011400000000000000018ac02194100000000000000200128013212090500000000000100115000000000000000420e08071201ff198000000000000000",
    );
}

#[test]
fn edit() {
    pinned(
        &Event::Send(send(to_user(), Content::Edit { target: id(0x80), body: Body::text("hi") })),
        "090807060504030201111100000000000000423a091000000000000000121509300000000000000011400000000000000018ac021941000000000000004a0f09800000000000000010011a026869",
    );
}

#[test]
fn delete() {
    pinned(
        &Event::Send(send(to_user(), Content::Delete { target: id(0x80) })),
        "0908070605040302011111000000000000004234091000000000000000121509300000000000000011400000000000000018ac021941000000000000005209098000000000000000",
    );
}

#[test]
fn reaction() {
    pinned(
        &Event::Send(send(to_user(), Content::React { target: id(0x80), emoji: "👍".into() })),
        "090807060504030201111100000000000000423a091000000000000000121509300000000000000011400000000000000018ac021941000000000000005a0f0980000000000000001204f09f918d",
    );
}

#[test]
fn resolved() {
    pinned(
        &Event::Resolved { send: send(to_user(), hello()), flagged: Source::new(1, 9) },
        "0908070605040302011111000000000000004a3f0a34091000000000000000121509300000000000000011400000000000000018ac0219410000000000000042090801120568656c6c6f110900000000000100",
    );
}

#[test]
fn answers() {
    pinned(
        &answer(Outcome::Accepted { id: id(0x61), source: Source::new(1, 6) }),
        "096000000000000000111000000000000000522b0a1509300000000000000011400000000000000018ac021001196100000000000000210600000000000100",
    );
    pinned(
        &answer(Outcome::KeyReused),
        "09600000000000000011100000000000000052190a1509300000000000000011400000000000000018ac021002",
    );
    pinned(
        &answer(Outcome::Refused),
        "09600000000000000011100000000000000052190a1509300000000000000011400000000000000018ac021003",
    );
}

#[test]
fn echoes() {
    pinned(
        &Event::Echo { origin: Source::new(1, 7), send: send(to_user(), hello()) },
        "0908070605040302011110000000000000005a3f090700000000000100111100000000000000222b121509300000000000000011400000000000000018ac0219410000000000000042090801120568656c6c6f",
    );
    let to_group = send(Recipient::Group(GroupId(id(0x20))), hello());
    pinned(
        &Event::Echo { origin: Source::new(1, 7), send: to_group },
        "0908070605040302011110000000000000005a3f090700000000000100192000000000000000222b121509300000000000000011400000000000000018ac0219410000000000000042090801120568656c6c6f",
    );
}

#[test]
fn marks() {
    let direct = ChatId::direct(user(0x11), user(0x10));
    pinned(
        &Event::Mark(mark(direct, MarkKind::Delivered)),
        "09700000000000000011110000000000000062290a11010000000000000010000000000000001110011a12090500000000000100115000000000000000",
    );
    let group = ChatId::Group(GroupId(id(0x20)));
    pinned(
        &Event::Mark(mark(group, MarkKind::Read)),
        "09700000000000000011110000000000000062290a11020000000000000020000000000000000010021a12090500000000000100115000000000000000",
    );
    let origin = Source::new(1, 8);
    pinned(
        &Event::PeerMark { origin, to: user(0x10), mark: mark(direct, MarkKind::Read) },
        "0970000000000000001110000000000000006a3d0908000000000001001111000000000000001a290a11010000000000000010000000000000001110021a12090500000000000100115000000000000000",
    );
}

#[test]
fn device_revoked() {
    pinned(
        &Event::DeviceRevoked { id: id(0x90), user: user(0x10), device: DeviceId(id(0x30)) },
        "0990000000000000001110000000000000007209093000000000000000",
    );
}
