//! Replays the byte-level examples of `docs/protocol.md`.
//!
//! Each is a fenced block: ```` ```example <client|server> <operation> <json|msgpack> [decode-only] ````.
//! It must decode, encode again to the same bytes, and name its operation. A JSON example is followed by
//! the same frame in MessagePack. `decode-only` are frames that may be read and are not written.

use std::collections::HashSet;

use volery_wire::client::Request;
use volery_wire::codec::{Encoding, decode_reply, decode_request, encode_reply, encode_request, join_reply};
use volery_wire::op::{ClientOp, ServerOp};
use volery_wire::server::Reply;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Client,
    Server,
}

#[derive(Debug)]
struct Example {
    line: usize,
    side: Side,
    operation: String,
    encoding: Encoding,
    decode_only: bool,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum Frame<'a> {
    Request(u64, Request<'a>),
    Reply(u64, Reply<'a>),
}

impl Example {
    fn new(line: usize, head: &str, text: &str) -> Result<Self, String> {
        let mut words = head.split_whitespace();
        let side = match words.next() {
            Some("client") => Side::Client,
            Some("server") => Side::Server,
            other => return Err(format!("line {line}: {other:?} is neither client nor server")),
        };
        let operation = words.next().ok_or(format!("line {line}: no operation"))?.to_owned();
        let encoding = match words.next() {
            Some("json") => Encoding::Json,
            Some("msgpack") => Encoding::MessagePack,
            other => return Err(format!("line {line}: {other:?} is neither json nor msgpack")),
        };
        let decode_only = match (words.next(), words.next()) {
            (None, None) => false,
            (Some("decode-only"), None) => true,
            _ => return Err(format!("line {line}: too much after the encoding")),
        };
        let bytes = match encoding {
            Encoding::Json => text.trim_end().as_bytes().to_vec(),
            Encoding::MessagePack => hex(text).ok_or(format!("line {line}: no hexadecimal"))?,
        };
        Ok(Self { line, side, operation, encoding, decode_only, bytes })
    }

    fn decode(&self) -> Result<Frame<'_>, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("line {}: {what}", self.line);
        match self.side {
            Side::Client => decode_request(self.encoding, &self.bytes)
                .map(|(number, request)| Frame::Request(number, request))
                .map_err(|error| wrong(&error)),
            Side::Server => decode_reply(self.encoding, &self.bytes)
                .map_err(|error| wrong(&error))?
                .map(|(number, reply)| Frame::Reply(number, reply))
                .ok_or_else(|| wrong(&"no operation of this version")),
        }
    }

    /// The operation that the bytes name, and the bytes that an encoder writes.
    fn encode(&self, frame: &Frame<'_>) -> (&'static str, Vec<u8>) {
        match frame {
            Frame::Request(number, request) => {
                (client_op(request).name(), encode_request(self.encoding, *number, request))
            }
            Frame::Reply(number, reply) => {
                let (op, body) = encode_reply(self.encoding, reply);
                (op.name(), join_reply(self.encoding, op, *number, &body))
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let frame = self.decode()?;
        let (operation, bytes) = self.encode(&frame);
        if operation != self.operation {
            return Err(format!("line {}: it says {}, the bytes say {operation}", self.line, self.operation));
        }
        match (self.decode_only, bytes == self.bytes) {
            (false, false) => Err(format!("line {}: an encoder writes\n{}", self.line, shown(self.encoding, &bytes))),
            (true, true) => Err(format!("line {}: decode-only, but an encoder writes just this", self.line)),
            _ => Ok(()),
        }
    }
}

fn client_op(request: &Request<'_>) -> ClientOp {
    match request {
        Request::Hello(_) => ClientOp::Hello,
        Request::Refresh(_) => ClientOp::Refresh,
        Request::Send(_) => ClientOp::Send,
        Request::Edit(_) => ClientOp::Edit,
        Request::Delete(_) => ClientOp::Delete,
        Request::React(_) => ClientOp::React,
        Request::Unreact(_) => ClientOp::Unreact,
        Request::Mark(_) => ClientOp::Mark,
        Request::Typing(_) => ClientOp::Typing,
        Request::Presence(_) => ClientOp::Presence,
        Request::History(_) => ClientOp::History,
        Request::Chats(_) => ClientOp::Chats,
        Request::Received(_) => ClientOp::Received,
        Request::Ping => ClientOp::Ping,
        Request::Resume(_) => ClientOp::Resume,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    text.split_whitespace().map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten()).collect()
}

fn shown(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Json => String::from_utf8_lossy(bytes).into_owned(),
        Encoding::MessagePack => bytes.iter().map(|byte| format!("{byte:02x} ")).collect(),
    }
}

/// The fenced blocks that begin with `example`, in their order.
fn examples(page: &str) -> Result<Vec<Example>, String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(head)) => open = Some((index + 1, head, String::new())),
            (Some(_), Some("")) => {
                let Some((line, head, text)) = open.take() else { continue };
                if let Some(head) = head.strip_prefix("example ") {
                    found.push(Example::new(line, head, &text)?);
                }
            }
            (Some((line, _, _)), Some(_)) => return Err(format!("line {line}: a block within a block")),
            (Some((_, _, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    open.map_or(Ok(found), |(line, ..)| Err(format!("line {line}: the block has no end")))
}

/// A JSON example and the MessagePack one behind it say the same.
fn check_pairs(examples: &[Example]) -> Result<(), String> {
    let written: Vec<_> = examples.iter().filter(|example| !example.decode_only).collect();
    for pair in written.chunks(2) {
        let [json, message_pack] = pair else { return Err("an example without its other encoding".into()) };
        if (json.encoding, message_pack.encoding) != (Encoding::Json, Encoding::MessagePack) {
            return Err(format!("line {}: expected JSON, then MessagePack", json.line));
        }
        if json.decode()? != message_pack.decode()? {
            return Err(format!("lines {} and {}: they differ", json.line, message_pack.line));
        }
    }
    Ok(())
}

fn missing(examples: &[Example]) -> Vec<(Side, &'static str)> {
    let written = examples.iter().filter(|example| !example.decode_only);
    let shown: HashSet<_> = written.map(|example| (example.side, example.operation.as_str())).collect();
    let client = ClientOp::ALL.iter().map(|op| (Side::Client, op.name()));
    let server = ServerOp::ALL.iter().map(|op| (Side::Server, op.name()));
    client.chain(server).filter(|operation| !shown.contains(operation)).collect()
}

const PAGE: &str = include_str!("../../../docs/protocol.md");

#[test]
fn every_example_is_what_the_codec_writes() {
    let examples = examples(PAGE).expect("well-formed blocks");
    let wrong: Vec<_> = examples.iter().filter_map(|example| example.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(check_pairs(&examples), Ok(()));
}

#[test]
fn every_operation_has_an_example() {
    assert_eq!(missing(&examples(PAGE).expect("well-formed blocks")), []);
}

/// The page tells of every field that its examples show: as `name`, between ticks.
#[test]
fn every_field_of_the_examples_is_described() {
    let prose: String = PAGE.split("```").step_by(2).collect();
    for example in examples(PAGE).expect("well-formed blocks") {
        if example.encoding != Encoding::Json || example.decode_only {
            continue;
        }
        let frame: serde_json::Value = serde_json::from_slice(&example.bytes).expect("JSON");
        for field in fields(&frame) {
            let described = [format!("`{field}`"), format!("`{field}:"), format!("{{{field}:"), format!("{{{field}}}")];
            assert!(
                described.iter().any(|text| prose.contains(text)),
                "line {}: `{field}` is not described",
                example.line
            );
        }
    }
}

fn fields(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().flat_map(|(key, value)| [vec![key.as_str()], fields(value)].concat()).collect()
        }
        serde_json::Value::Array(list) => list.iter().flat_map(fields).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_wrong_page_is_found() {
    let one = |text: &str| examples(text).and_then(|found| found.iter().try_for_each(Example::check));
    assert_eq!(one("```example client ping json\n[\"ping\",9,{}]\n```\n"), Ok(()));
    for wrong in [
        "```example client ping json\n[\"ping\",9,{}]\n",
        "```example client ping json\n[\"ping\", 9,{}]\n```\n",
        "```example client pong json\n[\"ping\",9,{}]\n```\n",
        "```example client ping json\n[\"ping\",9\n```\n",
        "```example client ping json decode-only\n[\"ping\",9,{}]\n```\n",
        "```example client ping msgpack\n93 0e 9 80\n```\n",
        "```example node ping json\n[\"ping\",9,{}]\n```\n",
        "```example server later json\n[\"later\",9,{}]\n```\n",
    ] {
        assert!(one(wrong).is_err(), "{wrong}");
    }
    let differing =
        "```example client ping json\n[\"ping\",9,{}]\n```\n```example client ping msgpack\n93 0e 08 80\n```\n";
    assert!(check_pairs(&examples(differing).expect("well-formed")).is_err());
    assert!(missing(&[]).len() == ClientOp::ALL.len() + ServerOp::ALL.len());
}
