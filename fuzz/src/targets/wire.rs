//! Frames of the protocol in both encodings, from clients and from nodes.
//!
//! What is read can be written in either encoding and is then the same: a value that one of them
//! cannot carry would be lost on its way to some of a user's devices.

use volery_kernel::code::Code;
use volery_wire::codec::{
    Encoding, Envelope, Malformed, decode_reply, decode_request, encode_reply, encode_request, join_reply,
};

use super::samples;
use crate::Verdict;

const ENCODINGS: [Encoding; 2] = [Encoding::MessagePack, Encoding::Json];

pub(crate) fn request_message_pack(frame: &[u8]) -> Verdict {
    request(Encoding::MessagePack, frame)
}

pub(crate) fn request_json(frame: &[u8]) -> Verdict {
    request(Encoding::Json, frame)
}

pub(crate) fn reply_message_pack(frame: &[u8]) -> Verdict {
    reply(Encoding::MessagePack, frame)
}

pub(crate) fn reply_json(frame: &[u8]) -> Verdict {
    reply(Encoding::Json, frame)
}

fn request(encoding: Encoding, frame: &[u8]) -> Verdict {
    match decode_request(encoding, frame) {
        Ok((number, request)) => {
            for encoding in ENCODINGS {
                let written = encode_request(encoding, number, &request);
                assert_eq!(decode_request(encoding, &written).as_ref(), Ok(&(number, request.clone())));
            }
            Verdict::Taken
        }
        Err(malformed) => refused(&malformed, frame),
    }
}

fn reply(encoding: Encoding, frame: &[u8]) -> Verdict {
    match decode_reply(encoding, frame) {
        Ok(Some((number, reply))) => {
            for encoding in ENCODINGS {
                let (op, body) = encode_reply(encoding, &reply);
                let written = join_reply(encoding, op, number, &body);
                let envelope = Envelope::of_reply(encoding, op, number);
                assert_eq!([envelope.head(), &body, envelope.tail()].concat(), written);
                assert_eq!(decode_reply(encoding, &written), Ok(Some((number, reply.clone()))));
            }
            Verdict::Taken
        }
        Ok(None) => Verdict::Refused,
        Err(malformed) => refused(&malformed, frame),
    }
}

/// Its code is one of a frame's, and it repeats no more than the frame itself.
fn refused(malformed: &Malformed, frame: &[u8]) -> Verdict {
    let codes = [Code::BadFrame, Code::UnknownOperation, Code::BadRequest, Code::InvalidUtf8];
    assert!(codes.contains(&malformed.code), "{malformed}");
    assert!(malformed.detail.len() <= 1_024 + 8 * frame.len(), "{} bytes of detail", malformed.detail.len());
    Verdict::Refused
}

pub(crate) fn requests_message_pack() -> Vec<Vec<u8>> {
    requests(Encoding::MessagePack)
}

pub(crate) fn requests_json() -> Vec<Vec<u8>> {
    requests(Encoding::Json)
}

pub(crate) fn replies_message_pack() -> Vec<Vec<u8>> {
    replies(Encoding::MessagePack)
}

pub(crate) fn replies_json() -> Vec<Vec<u8>> {
    replies(Encoding::Json)
}

fn requests(encoding: Encoding) -> Vec<Vec<u8>> {
    (1..).zip(samples::requests()).map(|(number, request)| encode_request(encoding, number, &request)).collect()
}

fn replies(encoding: Encoding) -> Vec<Vec<u8>> {
    let frame = |(number, reply)| {
        let (op, body) = encode_reply(encoding, &reply);
        join_reply(encoding, op, number, &body)
    };
    (1..).zip(samples::replies()).map(frame).collect()
}

/// Markers of MessagePack, and names of fields as it writes them.
pub(crate) const BINARY: &[&[u8]] = &[
    b"\x93",
    b"\x80",
    b"\x81",
    b"\x8f",
    b"\x90",
    b"\x9f",
    b"\xc0",
    b"\xc1",
    b"\xc3",
    b"\xc4\x02ab",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18",
    b"\xcc",
    b"\xcd",
    b"\xce",
    b"\xcf",
    b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd8",
    b"\xdb\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xde\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xa2to",
    b"\xa2id",
    b"\xa4text",
    b"\xa6number",
    b"\xa4chat\xaadirect:1:2",
    b"\xa6source",
    b"\xa5shown",
    b"\xa8messages",
    b"\xa9reactions",
    b"\xa8position",
    b"\xff",
];

/// Signs of JSON, and names of fields as it writes them.
pub(crate) const TEXT: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"0.5",
    b" ",
    b"[\"send\",1,{",
    b"[\"page\",1,{",
    b"[\"history\",",
    b"\"to\":\"7\"",
    b"\"id\":",
    b"\"text\":\"",
    b"\"number\":1",
    b"\"chat\":\"direct:1:2\"",
    b"\"source\":\"9223372036854775808\"",
    b"\"messages\":[",
    b"\"reactions\":[",
    b"\"position\":\"AQ\"",
    b"\"cursor\":\"",
    b"\xc3\xa9",
    b"\xff",
];
