//! The envelope `[operation, request id, body]` in both encodings.
//!
//! Decoding never trusts a length or a nesting depth: frames are bounded before they come here,
//! nesting is counted before anything is built. Trap avoided: a flood of deeply nested arrays
//! must cost no stack.

use std::borrow::Cow;
use std::io::Write as _;

use serde::{Deserialize, Serialize};
use volery_kernel::code::Code;
use volery_kernel::limits;

use crate::client::{Chats, Request};
use crate::op::{ClientOp, ServerOp};
use crate::server::{At, Message, Reply};

/// What a body fits into, beside its texts.
const BODY_BYTES: usize = 256;
/// What is said of one user in a list.
const USER_BYTES: usize = 64;

/// Which encoding a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Binary frames.
    MessagePack,
    /// Text frames.
    Json,
}

impl Encoding {
    /// The subprotocol that chooses it.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::MessagePack => "volery.v1.msgpack",
            Self::Json => "volery.v1.json",
        }
    }
}

/// A frame that is no request (or no reply), with what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Malformed {
    /// What is wrong.
    pub code: Code,
    /// The request id, 0 if it could not be read.
    pub request: u64,
    /// For people.
    pub detail: String,
}

impl Malformed {
    fn frame(detail: impl Into<String>) -> Self {
        Self { code: Code::BadFrame, request: 0, detail: detail.into() }
    }
}

/// Reads a request.
///
/// # Errors
/// [`Malformed`] with `bad_frame`, `unknown_operation` or `bad_request`.
pub fn decode_request(encoding: Encoding, frame: &[u8]) -> Result<(u64, Request<'_>), Malformed> {
    let envelope = Opened::open(encoding, frame)?;
    let request = envelope.request;
    let op = match envelope.op {
        Op::Number(number) => ClientOp::from_number(number),
        Op::Name(name) => ClientOp::from_name(&name),
    };
    let op = op.ok_or(Malformed { code: Code::UnknownOperation, request, detail: "no such operation".into() })?;
    let body = envelope.body;
    let message = match op {
        ClientOp::Hello => body.read().map(Request::Hello),
        ClientOp::Refresh => body.read().map(Request::Refresh),
        ClientOp::Send => body.read().map(Request::Send),
        ClientOp::Edit => body.read().map(Request::Edit),
        ClientOp::Delete => body.read().map(Request::Delete),
        ClientOp::React => body.read().map(Request::React),
        ClientOp::Unreact => body.read().map(Request::Unreact),
        ClientOp::Mark => body.read().map(Request::Mark),
        ClientOp::Typing => body.read().map(Request::Typing),
        ClientOp::Presence => body.read().map(Request::Presence),
        ClientOp::History => body.read().map(Request::History),
        ClientOp::Chats => body.read().map(|chats: Chats| Request::Chats(chats)),
        ClientOp::Received => body.read().map(Request::Received),
        ClientOp::Ping => Ok(Request::Ping),
        ClientOp::Resume => body.read().map(Request::Resume),
    };
    let message = message.map_err(|Unreadable { code, detail }| Malformed { code, request, detail })?;
    Ok((request, message))
}

/// Reads a reply; `None` for an operation that this version does not know, to be ignored.
///
/// # Errors
/// [`Malformed`] if it is none.
pub fn decode_reply(encoding: Encoding, frame: &[u8]) -> Result<Option<(u64, Reply<'_>)>, Malformed> {
    let envelope = Opened::open(encoding, frame)?;
    let request = envelope.request;
    let op = match envelope.op {
        Op::Number(number) => ServerOp::from_number(number),
        Op::Name(name) => ServerOp::from_name(&name),
    };
    let Some(op) = op else { return Ok(None) };
    let body = envelope.body;
    let reply = match op {
        ServerOp::Welcome => body.read().map(Reply::Welcome),
        ServerOp::Ack => body.read().map(Reply::Ack),
        ServerOp::Message => body.read().map(Reply::Message),
        ServerOp::Changed => body.read().map(Reply::Changed),
        ServerOp::Marked => body.read().map(Reply::Marked),
        ServerOp::Presence => body.read().map(Reply::Presence),
        ServerOp::Typing => body.read().map(Reply::Typing),
        ServerOp::Page => body.read().map(Reply::Page),
        ServerOp::Synced => body.read().map(Reply::Synced),
        ServerOp::Gap => Ok(Reply::Gap),
        ServerOp::Reset => body.read().map(|at: At| Reply::Reset(at)),
        ServerOp::Moved => body.read().map(Reply::Moved),
        ServerOp::Error => body.read().map(Reply::Error),
        ServerOp::Pong => body.read().map(|at: At| Reply::Pong(at)),
        ServerOp::Answer => body.read().map(Reply::Answer),
        ServerOp::ChatList => body.read().map(Reply::ChatList),
        ServerOp::Done => Ok(Reply::Done),
    };
    let reply = reply.map_err(|Unreadable { code, detail }| Malformed { code, request, detail })?;
    Ok(Some((request, reply)))
}

/// Writes a request.
#[must_use]
pub fn encode_request(encoding: Encoding, request: u64, message: &Request<'_>) -> Vec<u8> {
    let frame = |op: ClientOp, body: Vec<u8>| join(encoding, op.number(), op.name(), request, &body);
    match message {
        Request::Hello(body) => frame(ClientOp::Hello, encode_body(encoding, body)),
        Request::Refresh(body) => frame(ClientOp::Refresh, encode_body(encoding, body)),
        Request::Send(body) => frame(ClientOp::Send, encode_body(encoding, body)),
        Request::Edit(body) => frame(ClientOp::Edit, encode_body(encoding, body)),
        Request::Delete(body) => frame(ClientOp::Delete, encode_body(encoding, body)),
        Request::React(body) => frame(ClientOp::React, encode_body(encoding, body)),
        Request::Unreact(body) => frame(ClientOp::Unreact, encode_body(encoding, body)),
        Request::Mark(body) => frame(ClientOp::Mark, encode_body(encoding, body)),
        Request::Typing(body) => frame(ClientOp::Typing, encode_body(encoding, body)),
        Request::Presence(body) => {
            let room = BODY_BYTES + USER_BYTES * body.users.len();
            frame(ClientOp::Presence, encode_long(encoding, body, room))
        }
        Request::History(body) => frame(ClientOp::History, encode_body(encoding, body)),
        Request::Chats(body) => frame(ClientOp::Chats, encode_body(encoding, body)),
        Request::Received(body) => frame(ClientOp::Received, encode_body(encoding, body)),
        Request::Ping => frame(ClientOp::Ping, empty(encoding)),
        Request::Resume(body) => frame(ClientOp::Resume, encode_body(encoding, body)),
    }
}

/// The operation and the encoded body of a reply. Both are the same for every session that is
/// told the same thing; [`join_reply`] puts a session's own number in front.
#[must_use]
pub fn encode_reply(encoding: Encoding, reply: &Reply<'_>) -> (ServerOp, Vec<u8>) {
    match reply {
        Reply::Welcome(body) => (ServerOp::Welcome, encode_body(encoding, body)),
        Reply::Ack(body) => (ServerOp::Ack, encode_body(encoding, body)),
        Reply::Message(body) => (ServerOp::Message, encode_long(encoding, body, about(body))),
        Reply::Changed(body) => (ServerOp::Changed, encode_body(encoding, body)),
        Reply::Marked(body) => (ServerOp::Marked, encode_body(encoding, body)),
        Reply::Presence(body) => {
            let room = BODY_BYTES + USER_BYTES * body.users.len();
            (ServerOp::Presence, encode_long(encoding, body, room))
        }
        Reply::Typing(body) => (ServerOp::Typing, encode_body(encoding, body)),
        Reply::Page(body) => {
            let room = BODY_BYTES + body.messages.iter().map(about).sum::<usize>();
            (ServerOp::Page, encode_long(encoding, body, room))
        }
        Reply::Synced(body) => (ServerOp::Synced, encode_body(encoding, body)),
        Reply::Gap => (ServerOp::Gap, empty(encoding)),
        Reply::Reset(body) => (ServerOp::Reset, encode_body(encoding, body)),
        Reply::Moved(body) => (ServerOp::Moved, encode_body(encoding, body)),
        Reply::Error(body) => (ServerOp::Error, encode_body(encoding, body)),
        Reply::Pong(body) => (ServerOp::Pong, encode_body(encoding, body)),
        Reply::Answer(body) => (ServerOp::Answer, encode_body(encoding, body)),
        Reply::ChatList(body) => (ServerOp::ChatList, encode_body(encoding, body)),
        Reply::Done => (ServerOp::Done, empty(encoding)),
    }
}

/// Puts a frame together from [`encode_reply`]'s parts.
#[must_use]
pub fn join_reply(encoding: Encoding, op: ServerOp, number: u64, body: &[u8]) -> Vec<u8> {
    join(encoding, op.number(), op.name(), number, body)
}

/// What stands before and after a body: `[operation, number,` and `]`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    head: [u8; 40],
    length: usize,
    tail: &'static [u8],
}

impl Envelope {
    /// Of a reply or event with this number.
    #[must_use]
    pub fn of_reply(encoding: Encoding, op: ServerOp, number: u64) -> Self {
        Self::new(encoding, op.number(), op.name(), number)
    }

    /// The bytes before the body.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.length]
    }

    /// The bytes after the body.
    #[must_use]
    pub fn tail(&self) -> &'static [u8] {
        self.tail
    }

    /// The longest head, of `chat_list` and a number of 20 digits in JSON, takes 35 bytes.
    fn new(encoding: Encoding, op: u8, name: &str, number: u64) -> Self {
        let mut envelope = Self { head: [0; 40], length: 0, tail: b"" };
        let mut rest = &mut envelope.head[..];
        let room = rest.len();
        match encoding {
            Encoding::MessagePack => {
                // An array of three: operation, number, body.
                let _ = rest.write_all(&[0x93]);
                let _ = rmp::encode::write_uint(&mut rest, u64::from(op));
                let _ = rmp::encode::write_uint(&mut rest, number);
            }
            Encoding::Json => {
                let _ = write!(rest, "[\"{name}\",{number},");
                envelope.tail = b"]";
            }
        }
        envelope.length = room - rest.len();
        envelope
    }
}

fn join(encoding: Encoding, op: u8, name: &str, number: u64, body: &[u8]) -> Vec<u8> {
    let envelope = Envelope::new(encoding, op, name, number);
    [envelope.head(), body, envelope.tail()].concat()
}

fn empty(encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::MessagePack => vec![0x80],
        Encoding::Json => b"{}".to_vec(),
    }
}

fn about(message: &Message<'_>) -> usize {
    BODY_BYTES + message.text.len()
}

fn encode_body<T: Serialize>(encoding: Encoding, body: &T) -> Vec<u8> {
    encode_long(encoding, body, BODY_BYTES)
}

/// What is known to be long gets its `room` at once, so that it is not moved while it is written.
/// Bodies are maps of plain values: encoding them cannot fail, and an empty body would be seen by every test.
fn encode_long<T: Serialize>(encoding: Encoding, body: &T, room: usize) -> Vec<u8> {
    match encoding {
        Encoding::MessagePack => {
            let mut bytes = Vec::with_capacity(room);
            let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
            match body.serialize(&mut serializer) {
                Ok(()) => bytes,
                Err(_) => empty(encoding),
            }
        }
        Encoding::Json => serde_json::to_vec(body).unwrap_or_else(|_| empty(encoding)),
    }
}

enum Op<'a> {
    Number(u64),
    Name(Cow<'a, str>),
}

enum RawBody<'a> {
    MessagePack(&'a [u8]),
    Json(&'a str),
}

/// A body that is not what its operation says.
struct Unreadable {
    code: Code,
    detail: String,
}

impl<'a> RawBody<'a> {
    fn read<T: Deserialize<'a>>(&self) -> Result<T, Unreadable> {
        let unreadable = |code, detail| Unreadable { code, detail };
        match self {
            Self::MessagePack(bytes) => rmp_serde::from_slice(bytes).map_err(|error| match error {
                // JSON's frames are texts; here each string is one of its own.
                rmp_serde::decode::Error::Utf8Error(_) => unreadable(Code::InvalidUtf8, error.to_string()),
                _ => unreadable(Code::BadRequest, error.to_string()),
            }),
            Self::Json(text) => {
                serde_json::from_str(text).map_err(|error| unreadable(Code::BadRequest, error.to_string()))
            }
        }
    }
}

struct Opened<'a> {
    op: Op<'a>,
    request: u64,
    body: RawBody<'a>,
}

impl<'a> Opened<'a> {
    fn open(encoding: Encoding, frame: &'a [u8]) -> Result<Self, Malformed> {
        match encoding {
            Encoding::MessagePack => Self::open_message_pack(frame),
            Encoding::Json => Self::open_json(frame),
        }
    }

    fn open_message_pack(frame: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = frame;
        let bad = |what: &str| Malformed::frame(format!("expected {what}"));
        if rmp::decode::read_array_len(&mut rest).map_err(|_| bad("an array of 3"))? != 3 {
            return Err(bad("an array of 3"));
        }
        let op = rmp::decode::read_int(&mut rest).map_err(|_| bad("an operation's number"))?;
        let request = rmp::decode::read_int(&mut rest).map_err(|_| bad("a request id"))?;
        let length =
            skip(rest, limits::NESTING.value).map_err(|what| Malformed { request, ..Malformed::frame(what) })?;
        if length != rest.len() {
            return Err(Malformed { request, ..bad("nothing after the body") });
        }
        Ok(Self { op: Op::Number(op), request, body: RawBody::MessagePack(rest) })
    }

    fn open_json(frame: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(frame)
            .map_err(|_| Malformed { code: Code::InvalidUtf8, ..Malformed::frame("not UTF-8") })?;
        if json_depth(text) > limits::NESTING.value + 1 {
            return Err(Malformed::frame("nested too deeply"));
        }
        let (op, request, body): (&serde_json::value::RawValue, u64, &serde_json::value::RawValue) =
            serde_json::from_str(text).map_err(|error| Malformed::frame(error.to_string()))?;
        let name = serde_json::from_str(op.get())
            .map_err(|_| Malformed { request, ..Malformed::frame("expected an operation's name") })?;
        Ok(Self { op: Op::Name(name), request, body: RawBody::Json(body.get()) })
    }
}

/// Length of the first MessagePack value in `bytes`; counts nesting without recursion.
fn skip(bytes: &[u8], depth_most: usize) -> Result<usize, &'static str> {
    use rmp::Marker;
    let mut at = 0usize;
    // How many values are still open at each level.
    let mut open: Vec<u64> = vec![1];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let &first = bytes.get(at).ok_or("the body ends early")?;
        at += 1;
        let big_endian = |width: usize| {
            let bytes = bytes.get(at..at + width).ok_or("the body ends early")?;
            Ok::<_, &'static str>(bytes.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)))
        };
        let (header, plain, inner) = match Marker::from_u8(first) {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0, 0),
            Marker::U8 | Marker::I8 => (1, 0, 0),
            Marker::U16 | Marker::I16 => (2, 0, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (4, 0, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (8, 0, 0),
            Marker::FixStr(length) => (0, u64::from(length), 0),
            Marker::Str8 | Marker::Bin8 => (1, big_endian(1)?, 0),
            Marker::Str16 | Marker::Bin16 => (2, big_endian(2)?, 0),
            Marker::Str32 | Marker::Bin32 => (4, big_endian(4)?, 0),
            Marker::FixExt1 => (0, 2, 0),
            Marker::FixExt2 => (0, 3, 0),
            Marker::FixExt4 => (0, 5, 0),
            Marker::FixExt8 => (0, 9, 0),
            Marker::FixExt16 => (0, 17, 0),
            Marker::Ext8 => (1, big_endian(1)? + 1, 0),
            Marker::Ext16 => (2, big_endian(2)? + 1, 0),
            Marker::Ext32 => (4, big_endian(4)? + 1, 0),
            Marker::FixArray(length) => (0, 0, u64::from(length)),
            Marker::Array16 => (2, 0, big_endian(2)?),
            Marker::Array32 => (4, 0, big_endian(4)?),
            Marker::FixMap(length) => (0, 0, 2 * u64::from(length)),
            Marker::Map16 => (2, 0, 2 * big_endian(2)?),
            Marker::Map32 => (4, 0, 2 * big_endian(4)?),
            Marker::Reserved => return Err("a reserved byte"),
        };
        at += header;
        at = usize::try_from(plain).ok().and_then(|plain| at.checked_add(plain)).ok_or("the body ends early")?;
        if at > bytes.len() {
            return Err("the body ends early");
        }
        if inner > 0 {
            if open.len() > depth_most {
                return Err("nested too deeply");
            }
            open.push(inner);
        }
    }
    Ok(at)
}

/// Deepest nesting of arrays and objects in a JSON text, valid or not.
fn json_depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
