//! The encodings by example (bytes pinned) and by property: what is written is read, what is made up is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::borrow::Cow;

use proptest::prelude::*;
use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_wire::client::{Hello, Request, Send};
use volery_wire::codec::{Encoding, decode_reply, decode_request, encode_reply, encode_request, join_reply};
use volery_wire::server::{Ack, At, Reply};

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn send(text: &str) -> Request<'_> {
    Request::Send(Send {
        to: UserId(id(7)),
        number: 1,
        since_welcome: 300,
        retry_of: None,
        shown: None,
        text: Cow::Borrowed(text),
        reply_to: None,
    })
}

#[test]
fn a_send_in_bytes() {
    let message_pack = encode_request(Encoding::MessagePack, 5, &send("hi"));
    assert_eq!(message_pack, b"\x93\x03\x05\x84\xa2to\x07\xa6number\x01\xadsince_welcome\xcd\x01\x2c\xa4text\xa2hi");
    let json = encode_request(Encoding::Json, 5, &send("hi"));
    assert_eq!(json, br#"["send",5,{"to":"7","number":1,"since_welcome":300,"text":"hi"}]"#);
}

#[test]
fn an_ack_in_bytes() {
    let ack = Reply::Ack(Ack { number: 1, id: id(300), source: volery_kernel::position::Source(9) });
    let (op, body) = encode_reply(Encoding::MessagePack, &ack);
    assert_eq!(
        join_reply(Encoding::MessagePack, op, 5, &body),
        b"\x93\x41\x05\x83\xa6number\x01\xa2id\xcd\x01\x2c\xa6source\x09"
    );
    let (op, body) = encode_reply(Encoding::Json, &ack);
    assert_eq!(join_reply(Encoding::Json, op, 5, &body), br#"["ack",5,{"number":1,"id":"300","source":"9"}]"#);
}

#[test]
fn integers_are_read_in_any_width_and_unknown_fields_are_ignored() {
    let wide = b"\x93\xcd\x00\x03\xcf\x00\x00\x00\x00\x00\x00\x00\x05\x85\xa2to\xcf\x00\x00\x00\x00\x00\x00\x00\x07\xa6number\xd1\x00\x01\xadsince_welcome\xd2\x00\x00\x01\x2c\xa4text\xa2hi\xa3new\x92\x01\xc0";
    assert_eq!(decode_request(Encoding::MessagePack, wide), Ok((5, send("hi"))));
    let json = br#"["send", 5, {"to": 7, "new": [1, null], "number": 1, "since_welcome": 300, "text": "hi"}]"#;
    assert_eq!(decode_request(Encoding::Json, json), Ok((5, send("hi"))));
}

#[test]
fn text_is_borrowed_from_the_frame() {
    let frame = encode_request(Encoding::MessagePack, 5, &send("hi"));
    let Ok((_, Request::Send(read))) = decode_request(Encoding::MessagePack, &frame) else { panic!("a send") };
    assert!(matches!(read.text, Cow::Borrowed("hi")));
}

#[test]
fn bad_frames_are_told_apart() {
    let code = |encoding, frame: &[u8]| {
        decode_request(encoding, frame).map(|_| ()).map_err(|error| (error.code, error.request))
    };
    assert_eq!(code(Encoding::MessagePack, b""), Err((Code::BadFrame, 0)));
    assert_eq!(code(Encoding::MessagePack, b"\x93\x03\x05"), Err((Code::BadFrame, 5)));
    assert_eq!(code(Encoding::MessagePack, b"\x93\x7f\x05\x80"), Err((Code::UnknownOperation, 5)));
    assert_eq!(code(Encoding::MessagePack, b"\x93\x03\x05\x80"), Err((Code::BadRequest, 5)));
    assert_eq!(code(Encoding::Json, b"[\"send\",5,{\"to\":\"9223372036854775808\"}]"), Err((Code::BadRequest, 5)));
    assert_eq!(code(Encoding::Json, b"\xff"), Err((Code::InvalidUtf8, 0)));
    let mut deep = b"\x93\x03\x05".to_vec();
    deep.extend(std::iter::repeat_n(0x91, 60_000));
    deep.push(0xc0);
    assert_eq!(code(Encoding::MessagePack, &deep), Err((Code::BadFrame, 5)));
    let deep = format!("[\"send\",5,{}{}]", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(code(Encoding::Json, deep.as_bytes()), Err((Code::BadFrame, 0)));
}

#[test]
fn unknown_server_frames_are_ignored() {
    assert_eq!(decode_reply(Encoding::MessagePack, b"\x93\x7f\x00\x80"), Ok(None));
    let (op, body) = encode_reply(Encoding::Json, &Reply::Pong(At::default()));
    assert_eq!(
        decode_reply(Encoding::Json, &join_reply(Encoding::Json, op, 3, &body)),
        Ok(Some((3, Reply::Pong(At::default()))))
    );
}

fn encodings() -> impl Strategy<Value = Encoding> {
    prop_oneof![Just(Encoding::MessagePack), Just(Encoding::Json)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn requests_come_back(encoding in encodings(), request in any::<u64>(), text in ".{0,40}", token in "[ -~]{0,40}", raw in 0..=u64::MAX >> 1, resume in prop::option::of(prop::collection::vec(any::<u8>(), 0..30))) {
        let hello = Request::Hello(Hello {
            token: Cow::Owned(token),
            device: DeviceId(id(raw)),
            previous_session: SessionNumber(id(raw)),
            largest_id: id(raw),
            resume: resume.map(volery_wire::field::Blob),
        });
        for message in [hello, send(&text)] {
            let frame = encode_request(encoding, request, &message);
            prop_assert_eq!(decode_request(encoding, &frame), Ok((request, message)));
        }
    }

    #[test]
    fn made_up_frames_never_panic(encoding in encodings(), frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_request(encoding, &frame);
        let _ = decode_reply(encoding, &frame);
    }

    #[test]
    fn damaged_frames_never_panic(encoding in encodings(), text in ".{0,20}", at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut frame = encode_request(encoding, 5, &send(&text));
        let at = at.index(frame.len());
        frame[at] = byte;
        let cut = cut.index(frame.len());
        let _ = decode_request(encoding, &frame);
        let _ = decode_request(encoding, &frame[..cut]);
    }
}
