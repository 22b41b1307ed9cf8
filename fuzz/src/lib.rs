//! Every decoder of the tree under bytes that nobody would write.
//!
//! A [`Target`] is a pure function of bytes that runs one decoder and asserts what it promises: it never
//! panics, what it takes can be written and is the same when it is read again, its limits hold. The
//! driver adds bounds on memory and processor time. The gate runs each on kept findings, then on inputs
//! made from valid ones and made up; `make fuzz` runs the same functions guided by coverage.
//!
//! | target | decoder |
//! |---|---|
//! | `frame_header`, `messages`, `text_pieces`, `close_payload` | `volery_door`: `frame`, `assembler`, `utf8`, `close` |
//! | `upgrade_request`, `upgrade_answer` | `volery_door::handshake`: `server`, `client` |
//! | `door_address`, `certificate` | `volery_door::address`; `volery_tls::ends` |
//! | `request_message_pack`, `request_json`, `reply_message_pack`, `reply_json` | `volery_wire::codec` |
//! | `log_event` | `volery_proto`, and `volery_reader` around it |
//! | `position`, `name` | `volery_kernel`: positions; ids, chats and recipients as texts and keys |
//! | `page_cursor` | `volery_history::cursor` |
//! | `segment`, `sealed_segment`, `log_folder` | `volery_embedded::log`: segments, indexes, committed offsets |
//! | `timeline_row` | `volery_embedded::timeline`: the values of all tables, index keys |
//! | `timeline_cell` | `volery_cassandra`: cells and columns of all tables |
//! | `partition_map` | `volery_sql`: a map as it stands in its row |
//! | `rpc_message` | `volery_rpc`: what doors are asked and clients are answered |
//! | `http_body`, `http_query`, `http_time`, `forwarded_for` | `volery_gateway`: `input`, `when`, `caller` |
//! | `access_token`, `import_lines` | `volery_account`: `token`, `import` with its names and PHC strings |
//! | `configuration` | `volery_node::config`: file, environment, flags |
//! | `bus_message` | `volery_redis`: what is heard on a channel |
//! | `client_session` | `volery_client` before a hostile node |
//! | `client_state`, `client_answer` | `volery_client`: state file; account file and answers of a gateway |
//!
//! Not here: SQLite's file and fjall's (their makers' formats), what librdkafka hands over (fields, which it has
//! read), and files that the tools of this tree write for themselves.

#![expect(clippy::unreachable, reason = "a target says by a panic what is wrong")]

pub mod drive;
pub mod kept;
pub mod mutate;
mod targets;
mod watch;

use targets::{client, door, handshake, log, outside, reach, remote, stored, wire};

/// What a decoder made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Taken,
    /// It refused it.
    Refused,
}

impl Verdict {
    /// Taken if there is something.
    pub fn of<T>(read: Option<T>) -> Self {
        if read.is_some() { Self::Taken } else { Self::Refused }
    }
}

/// Bytes that a target may hold at once: so many, and so many for each byte of input.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    base: u64,
    each: u64,
}

impl Memory {
    /// For a decoder that reads values.
    pub const PLAIN: Self = Self { base: 64 << 10, each: 64 };
    /// For one of protobuf: two bytes may be an item of a list, which has hundreds in memory.
    pub const LISTS: Self = Self { base: 64 << 10, each: 1_024 };
    /// For one that needs an engine, a node or a device around it.
    pub const BUILT: Self = Self { base: 2 << 20, each: 256 };

    pub(crate) const fn most(self, length: usize) -> u64 {
        self.base + self.each * length as u64
    }
}

/// One decoder with what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As in the table above; the folder of its kept findings.
    pub name: &'static str,
    /// Runs it and panics where a promise is broken.
    pub decode: fn(&[u8]) -> Verdict,
    /// Inputs that it takes, made by the real encoders; the same each time.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What made up inputs are put together of, beside numbers.
    pub words: &'static [&'static [u8]],
    /// What it may hold at once.
    pub memory: Memory,
}

macro_rules! targets {
    ($($name:ident: $decode:path, $seeds:path, $words:expr, $memory:ident;)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), decode: $decode, seeds: $seeds, words: $words, memory: Memory::$memory },)*
        ];
    };
}

targets! {
    frame_header: door::header, door::header_seeds, &[], PLAIN;
    messages: door::messages, door::message_seeds, &[b"\x81\x80", b"\x01\x80", b"\x80\x80", b"\x00\x00", b"\x88\x02", b"\xfe"], PLAIN;
    text_pieces: door::text, door::text_seeds, &[b"\xf4\x8f", b"\xbf", b"\xe0\xa0", b"\xed\x9f", b"\xc2", b"a"], PLAIN;
    close_payload: door::closing, door::closing_seeds, &[b"\x03\xe8", b"\x0b\xb7", b"\xc3\xa9", b"\xc3"], PLAIN;
    upgrade_request: handshake::request, handshake::request_seeds, handshake::WORDS, PLAIN;
    upgrade_answer: handshake::answer, handshake::answer_seeds, handshake::WORDS, PLAIN;
    door_address: reach::address, reach::addresses, reach::ADDRESS, PLAIN;
    certificate: reach::certificate, reach::certificates, reach::DER, PLAIN;
    request_message_pack: wire::request_message_pack, wire::requests_message_pack, wire::BINARY, PLAIN;
    request_json: wire::request_json, wire::requests_json, wire::TEXT, PLAIN;
    reply_message_pack: wire::reply_message_pack, wire::replies_message_pack, wire::BINARY, PLAIN;
    reply_json: wire::reply_json, wire::replies_json, wire::TEXT, PLAIN;
    log_event: stored::event, stored::events, &[b"\x09", b"\x11", b"\x19", b"\x42", b"\x52", b"\x0a", b"\x0b", b"\x0c", b"\x80\x80\x01"], PLAIN;
    position: stored::position, stored::positions, &[b"\x01", b"\0\0"], PLAIN;
    name: stored::name, stored::names, &[b"direct:", b"group:", b":", b"0", b"+", b"\x01", b"\x02"], PLAIN;
    page_cursor: stored::page_cursor, stored::page_cursors, &[b"\x01\x01", b"\x02\x01", b"\0\0\0\0\0\0\0"], PLAIN;
    segment: log::segment, log::segments, log::WORDS, BUILT;
    sealed_segment: log::sealed_segment, log::segments, log::WORDS, BUILT;
    log_folder: log::folder, log::folders, log::WORDS, BUILT;
    timeline_row: stored::row, stored::rows, &[b"\x01", b"\x02", b"\x06\x01", b"\0\0\0\0\0\0\0"], PLAIN;
    timeline_cell: remote::cell, remote::cells, &[b"\x01", b"\x02", b"\x09", b"\x10", b"\0\0\0\0\0\0\0"], PLAIN;
    partition_map: remote::partition_map, remote::partition_maps, remote::ROW, PLAIN;
    rpc_message: remote::message, remote::messages, remote::PROTOBUF, LISTS;
    http_body: outside::body, outside::bodies, wire::TEXT, PLAIN;
    http_query: outside::query, outside::queries, outside::HTTP, PLAIN;
    http_time: outside::time, outside::times, outside::HTTP, PLAIN;
    forwarded_for: outside::forwarded, outside::forwardeds, outside::HTTP, PLAIN;
    access_token: outside::token, outside::tokens, &[b".", b"eyJ", b"e30", b"=", b"-_"], BUILT;
    import_lines: outside::import, outside::imports, wire::TEXT, BUILT;
    configuration: outside::configuration, outside::configurations, outside::CONFIGURATION, BUILT;
    bus_message: outside::heard, outside::messages, &[b"volery:typing:", b"volery:presence:", b"\n", b" ", b"online", b"0"], PLAIN;
    client_session: client::session, client::sessions, wire::BINARY, BUILT;
    client_state: client::state, client::states, client::STATE, BUILT;
    client_answer: client::answer, client::answers, wire::TEXT, PLAIN;
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
