//! Bytes of other versions, and bytes that lack something: written here by hand, byte by byte.

#![expect(clippy::unwrap_used, reason = "what a test makes up fits")]

use bytes::Bytes;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Content, Event};
use volery_kernel::id::{Id, UserId};
use volery_proto::{DecodeError, decode, encode};

/// A fixed64 field: `number` below 16.
fn fixed(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// A length-delimited field: `number` below 16, fewer than 128 bytes.
fn inner(number: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()][..], &content].concat()
}

/// A varint field: `number` below 16, `value` below 128.
fn varint(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// Of user 2, named 1.
fn event(kind: &[Vec<u8>]) -> Bytes {
    [fixed(1, 1), fixed(2, 2), kind.concat()].concat().into()
}

fn key() -> Vec<u8> {
    inner(2, &[fixed(1, 5), fixed(2, 6), varint(3, 7)])
}

fn send(rest: &[Vec<u8>]) -> Vec<u8> {
    inner(8, &[fixed(1, 4), key(), fixed(3, 6), rest.concat()])
}

fn mark(chat: [u64; 3], kind: u8) -> Vec<u8> {
    let [of, a, b] = chat;
    let chat = [&[u8::try_from(of).unwrap()][..], &a.to_be_bytes(), &b.to_be_bytes()].concat();
    inner(12, &[inner(1, &[chat]), varint(2, kind), inner(3, &[fixed(1, 9), fixed(2, 8)])])
}

#[track_caller]
fn unknown(bytes: &Bytes) {
    let stream = Recipient::User(UserId::new(2).unwrap());
    let event = decode(bytes.clone()).unwrap();
    assert_eq!(event, Event::Unknown { id: Id::new(1).unwrap(), stream, bytes: bytes.clone() });
    assert_eq!(encode(&event), bytes);
}

#[track_caller]
fn refused(bytes: Bytes, why: &DecodeError) {
    assert_eq!(decode(bytes).as_ref(), Err(why));
}

#[test]
fn what_a_newer_version_chose_is_kept_as_it_is() {
    unknown(&event(&[inner(15, &[vec![1, 2, 3]])]));
    unknown(&event(&[vec![0xa2, 0x06, 0x01, 0x00]]));
    unknown(&event(&[send(&[inner(12, &[fixed(1, 3)])])]));
    unknown(&event(&[inner(9, &[inner(1, &[send(&[])[2..].to_vec()]), fixed(2, 9)])]));
    unknown(&event(&[mark([2, 3, 0], 3)]));
    unknown(&event(&[inner(10, &[inner(1, &[key()[2..].to_vec()]), varint(2, 4)])]));
}

#[test]
fn fields_that_a_newer_version_added_are_ignored() {
    let delete = inner(10, &[fixed(1, 3), inner(15, &[vec![9]])]);
    let bytes = event(&[fixed(5, 1), send(&[varint(14, 1), delete])]);
    let Ok(Event::Send(send)) = decode(bytes) else { panic!("a send") };
    assert_eq!(send.content, Content::Delete { target: Id::new(3).unwrap() });
}

#[test]
fn what_is_missing_is_named() {
    let missing = |bytes, what| refused(bytes, &DecodeError::Missing(what));
    missing(Bytes::new(), "id");
    missing(fixed(1, 1).into(), "stream");
    missing(event(&[inner(8, &[])]), "sender");
    missing(event(&[inner(8, &[fixed(1, 4)])]), "key");
    missing(event(&[inner(8, &[fixed(1, 4), inner(2, &[fixed(1, 5), fixed(2, 6)])])]), "key's number");
    missing(event(&[inner(8, &[fixed(1, 4), key()])]), "session");
    missing(event(&[send(&[inner(8, &[])])]), "body kind");
    missing(event(&[send(&[inner(9, &[varint(2, 1)])])]), "target");
    missing(event(&[send(&[inner(6, &[fixed(1, 1)])])]), "seen id");
    missing(event(&[inner(9, &[fixed(2, 9)])]), "send");
    missing(event(&[inner(10, &[inner(1, &[key()[2..].to_vec()])])]), "outcome");
    missing(event(&[inner(10, &[inner(1, &[key()[2..].to_vec()]), varint(2, 1)])]), "accepted id");
    missing(event(&[inner(11, &[fixed(1, 9)])]), "recipient");
    missing(event(&[mark([2, 3, 0], 0)]), "mark kind");
    missing(event(&[inner(13, &[fixed(1, 9), fixed(2, 3)])]), "mark");
    missing(event(&[inner(14, &[])]), "device");
}

#[test]
fn what_is_out_of_range_is_named() {
    let large = 1 << 63;
    refused([fixed(1, large), fixed(2, 2)].concat().into(), &DecodeError::NotAnId("id"));
    refused([fixed(1, 1), fixed(3, large)].concat().into(), &DecodeError::NotAnId("stream"));
    refused(event(&[inner(14, &[fixed(1, large)])]), &DecodeError::NotAnId("device"));
    let reply = inner(8, &[varint(1, 1), fixed(3, large)]);
    refused(event(&[send(&[reply])]), &DecodeError::NotAnId("reply_to"));
}

#[test]
fn chats_and_streams_must_make_sense() {
    for chat in [[1, 4, 3], [2, 3, 1], [3, 3, 0], [2, 1 << 63, 0]] {
        refused(event(&[mark(chat, 1)]), &DecodeError::NotAChat);
    }
    refused(event(&[inner(12, &[])]), &DecodeError::NotAChat);
    let in_group = [fixed(1, 1), fixed(3, 2), inner(14, &[fixed(1, 5)])].concat();
    refused(in_group.into(), &DecodeError::NotAUser);
}

#[test]
fn what_is_not_protocol_buffers_is_malformed() {
    let cut = event(&[inner(14, &[fixed(1, 5)])]).slice(..20);
    let mistyped = [fixed(1, 1), varint(2, 2)].concat().into();
    let not_text = event(&[send(&[inner(11, &[fixed(1, 3), inner(2, &[vec![0xff]])])])]);
    for bytes in [cut, mistyped, not_text] {
        assert!(matches!(decode(bytes), Err(DecodeError::Malformed(_))));
    }
}
