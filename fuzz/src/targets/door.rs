//! WebSockets: headers, messages, texts in pieces, closing payloads.

use volery_door::assembler::{Assembler, Event};
use volery_door::close;
use volery_door::frame::{CONTROL_MOST, HEADER_MOST, Head, Header, Kind, Opcode, Role};
use volery_door::mask;
use volery_door::utf8::Validator;

use crate::Verdict;

/// Messages up to here are taken, so that short inputs meet the limit.
const MOST: u32 = 1_024;
const KEY: [u8; 4] = [0xa5, 0, 0xff, 0x11];
const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// A header is complete, is so in no fewer bytes, and is what is written for it.
pub(crate) fn header(bytes: &[u8]) -> Verdict {
    Verdict::of(ROLES.into_iter().filter_map(|role| Header::parse(bytes, role).ok().flatten().map(|h| (role, h))).fold(
        None,
        |_, (role, header)| {
            let Header { fin, opcode, key, length, size } = header;
            assert!(size <= HEADER_MOST && size <= bytes.len());
            assert!(!opcode.is_control() || length <= CONTROL_MOST as u64, "a long control frame");
            assert_eq!(Header::parse(&bytes[..size - 1], role), Ok(None), "it was complete before its end");
            assert_eq!(Header::parse(&bytes[..size], role), Ok(Some(header)), "what follows it does not matter");
            let written = Head::new(opcode, usize::try_from(length).unwrap_or(usize::MAX), key);
            assert!(!fin || written.as_bytes() == &bytes[..size], "it is written otherwise");
            Some(())
        },
    ))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(u16),
}

/// The same events in whatever pieces the bytes come; little is held; what was heard can be said.
pub(crate) fn messages(bytes: &[u8]) -> Verdict {
    let mut taken = None;
    for role in ROLES {
        let whole = hear(role, bytes, bytes.len().max(1));
        for step in [1, 7] {
            assert_eq!(hear(role, bytes, step), whole, "in pieces of {step} as {role:?}");
        }
        let said: Vec<u8> = whole.iter().filter_map(|heard| say(role, heard)).flatten().collect();
        let again = hear(role, &said, said.len().max(1));
        let before_violation = whole.iter().filter(|heard| !matches!(heard, Heard::Violation(_)));
        assert!(again.iter().eq(before_violation), "said again: {again:?}, before: {whole:?}");
        taken = taken.or(whole.iter().any(|heard| !matches!(heard, Heard::Violation(_))).then_some(()));
    }
    Verdict::of(taken)
}

fn hear(role: Role, bytes: &[u8], step: usize) -> Vec<Heard> {
    let mut assembler = Assembler::new(role, MOST);
    let mut bytes = bytes.to_vec();
    let mut all = Vec::new();
    for piece in bytes.chunks_mut(step) {
        let mut rest = piece;
        while let Some(event) = assembler.next(&mut rest) {
            all.push(owned(event));
        }
        assert!(rest.is_empty(), "bytes were left");
        assert!(assembler.held() <= 4 * MOST as usize + 512, "it holds {}", assembler.held());
        assert_eq!(assembler.held() == 0, assembler.unfinished().is_none(), "held without reason");
    }
    all
}

fn owned(event: Event<'_>) -> Heard {
    match event {
        Event::Message(message) => {
            assert!(message.data.len() <= MOST as usize, "a message above the limit");
            assert!(message.kind == Kind::Binary || std::str::from_utf8(&message.data).is_ok(), "a text that is none");
            Heard::Message(message.kind, message.data.into_owned())
        }
        Event::Ping(data) => Heard::Ping(data.into_owned()),
        Event::Pong(data) => Heard::Pong(data.into_owned()),
        Event::Close(said) => Heard::Close(said),
        Event::Violation(close) => Heard::Violation(close.number()),
    }
}

/// A frame to someone in that role.
fn say(role: Role, heard: &Heard) -> Option<Vec<u8>> {
    let (opcode, payload) = match heard {
        Heard::Message(kind, data) => (Opcode::Data(*kind), data.clone()),
        Heard::Ping(data) => (Opcode::Ping, data.clone()),
        Heard::Pong(data) => (Opcode::Pong, data.clone()),
        Heard::Close(None) => (Opcode::Close, Vec::new()),
        Heard::Close(Some((number, reason))) => (Opcode::Close, [&number.to_be_bytes(), reason.as_bytes()].concat()),
        Heard::Violation(_) => return None,
    };
    Some(frame(role, opcode, payload))
}

fn frame(to: Role, opcode: Opcode, mut payload: Vec<u8>) -> Vec<u8> {
    let key = (to == Role::Server).then_some(KEY);
    let head = Head::new(opcode, payload.len(), key);
    if let Some(key) = key {
        mask::apply(&mut payload, key, 0);
    }
    [head.as_bytes(), &payload].concat()
}

/// Pieces are judged as the whole is, and no later than at the byte that decides.
pub(crate) fn text(bytes: &[u8]) -> Verdict {
    let whole = std::str::from_utf8(bytes);
    for step in [1, 3, bytes.len().max(1)] {
        let mut validator = Validator::default();
        let failed = bytes.chunks(step).position(|piece| validator.feed(piece).is_err());
        match (&whole, failed) {
            (Ok(_), failed) => assert!(failed.is_none() && validator.finish().is_ok(), "refused in pieces of {step}"),
            (Err(error), None) => {
                assert!(error.error_len().is_none() && validator.finish().is_err(), "taken in pieces of {step}");
            }
            (Err(error), Some(piece)) => {
                let wrong = error.error_len();
                assert!(wrong.is_some_and(|bytes| piece * step <= error.valid_up_to() + bytes), "refused late");
                assert!((piece + 1) * step > error.valid_up_to(), "refused early");
            }
        }
    }
    Verdict::of(whole.ok())
}

/// A number that may be sent and a text, or nothing at all.
pub(crate) fn closing(bytes: &[u8]) -> Verdict {
    let Ok(said) = close::parse(bytes) else { return Verdict::Refused };
    let again = said.map_or_else(Vec::new, |(number, reason)| {
        assert!(close::is_valid(number));
        [&number.to_be_bytes(), reason.as_bytes()].concat()
    });
    assert_eq!(again, bytes);
    Verdict::Taken
}

pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    let opcodes = [Opcode::Data(Kind::Text), Opcode::Data(Kind::Binary), Opcode::Continuation, Opcode::Ping];
    let lengths = [0, 1, 125, 126, 65_535, 65_536, 1 << 40];
    let pairs = opcodes.into_iter().flat_map(|opcode| lengths.map(|length| (opcode, length)));
    let pairs = pairs.filter(|(opcode, length)| !opcode.is_control() || *length <= CONTROL_MOST);
    pairs
        .flat_map(|(opcode, length)| [None, Some(KEY)].map(|key| Head::new(opcode, length, key).as_bytes().to_vec()))
        .collect()
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    let texts: [&str; 3] = ["hi", "κόσμε 𐍈 €", ""];
    let streams = ROLES.into_iter().flat_map(|to| {
        let whole = texts.map(|text| frame(to, Opcode::Data(Kind::Text), text.into()));
        let others = [
            frame(to, Opcode::Data(Kind::Binary), vec![0x93; 300]),
            frame(to, Opcode::Ping, b"ping".to_vec()),
            frame(to, Opcode::Pong, Vec::new()),
            fragments(to, texts[1].as_bytes()),
            frame(to, Opcode::Close, [&1000u16.to_be_bytes(), "bye".as_bytes()].concat()),
        ];
        whole.into_iter().chain(others.clone()).chain([others.concat()])
    });
    streams.collect()
}

/// A text in three frames with a ping between them.
fn fragments(to: Role, text: &[u8]) -> Vec<u8> {
    let unfinished = |mut frame: Vec<u8>| {
        frame[0] &= 0x7f;
        frame
    };
    let (first, rest) = text.split_at(3);
    let (second, third) = rest.split_at(4);
    [
        unfinished(frame(to, Opcode::Data(Kind::Text), first.to_vec())),
        frame(to, Opcode::Ping, b"between".to_vec()),
        unfinished(frame(to, Opcode::Continuation, second.to_vec())),
        frame(to, Opcode::Continuation, third.to_vec()),
    ]
    .concat()
}

pub(crate) fn text_seeds() -> Vec<Vec<u8>> {
    ["κόσμε 𐍈 €", "plain", "\u{7ff}\u{800}\u{d7ff}\u{e000}\u{10ffff}"].map(|text| text.as_bytes().to_vec()).into()
}

pub(crate) fn closing_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![],
        vec![3, 232],
        b"\x03\xe8bye".to_vec(),
        [&4_000u16.to_be_bytes(), "später".as_bytes()].concat(),
        b"\x0b\xb8x".to_vec(),
    ]
}
