//! Frames alone: every form of a length, masks, reserved bits, opcodes, and how large a message may be (§5.2).

use volery_kernel::code::Close;

use crate::case::Case;
use crate::support::{BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, TEXT, frame, masked};

pub(crate) fn cases() -> Vec<Case> {
    [lengths(), lengths_that_lie(), masks(), reserved_bits(), opcodes(), sizes()].into_iter().flatten().collect()
}

const KINDS: [(&str, u8); 2] = [("text", TEXT), ("binary", BINARY)];
const ALL: [(&str, u8); 6] = [
    ("continuation", CONTINUATION),
    ("text", TEXT),
    ("binary", BINARY),
    ("close", CLOSE),
    ("ping", PING),
    ("pong", PONG),
];

fn lengths() -> Vec<Case> {
    let one = |length: usize, (kind, opcode): (&str, u8)| {
        let payload = vec![b'*'; length];
        let sent = vec![masked(FIN | opcode, &payload)];
        Case::good(format!("{kind} of {length} bytes"), sent, vec![(FIN | opcode, payload)])
    };
    let lengths = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65_534, 65_535, 65_536];
    lengths.into_iter().flat_map(|length| KINDS.map(|kind| one(length, kind))).collect()
}

/// The shortest form of a length is the only one, and its highest bit is never set.
fn lengths_that_lie() -> Vec<Case> {
    let of_two = |length: u16| [&[FIN | BINARY, 0xfe][..], &length.to_be_bytes()].concat();
    let of_eight = |length: u64| [&[FIN | BINARY, 0xff][..], &length.to_be_bytes()].concat();
    let headers = [
        ("0 in two bytes", of_two(0)),
        ("1 in two bytes", of_two(1)),
        ("125 in two bytes", of_two(125)),
        ("0 in eight bytes", of_eight(0)),
        ("125 in eight bytes", of_eight(125)),
        ("126 in eight bytes", of_eight(126)),
        ("65535 in eight bytes", of_eight(65_535)),
        ("the highest bit of a length", of_eight(1 << 63)),
        ("every bit of a length", of_eight(u64::MAX)),
    ];
    headers.map(|(name, header)| Case::bad(name, vec![header], Close::ProtocolError)).into()
}

fn masks() -> Vec<Case> {
    let payload: Vec<u8> = (0..=255).collect();
    let with = |key: [u8; 4]| {
        let frames = [frame(FIN | BINARY, Some(key), &payload), frame(FIN | PING, Some(key), b"odd")];
        let answered = vec![(FIN | BINARY, payload.clone()), (FIN | PONG, b"odd".to_vec())];
        Case::good(format!("masked by {key:x?}"), frames.into(), answered)
    };
    let keys = [[0; 4], [0xff; 4], [1, 0, 0, 0], [0, 0, 0, 1], KEY];
    let bare = |(kind, opcode): (&str, u8)| {
        let begun = if opcode == CONTINUATION { vec![masked(TEXT, b"begun")] } else { vec![] };
        let sent = [begun, vec![frame(FIN | opcode, None, b"")]].concat();
        Case::bad(format!("{kind} without a mask"), sent, Close::ProtocolError)
    };
    keys.map(with).into_iter().chain(ALL.map(bare)).collect()
}

/// All three bits alone and together, on every kind of frame: no extension was agreed to.
fn reserved_bits() -> Vec<Case> {
    let one = |bits: u8, (kind, opcode): (&str, u8)| {
        let begun = if opcode == CONTINUATION { vec![masked(TEXT, b"begun")] } else { vec![] };
        let sent = [begun, vec![masked(FIN | bits << 4 | opcode, b"")]].concat();
        Case::bad(format!("{kind} with reserved bits {bits:03b}"), sent, Close::ProtocolError)
    };
    (1..=7).flat_map(|bits| ALL.map(|kind| one(bits, kind))).collect()
}

fn opcodes() -> Vec<Case> {
    let one = |opcode: u8| {
        let bad = |name: &str, sent| Case::bad(format!("opcode {opcode} {name}"), sent, Close::ProtocolError);
        [
            bad("without a payload", vec![masked(FIN | opcode, b"")]),
            bad("with a payload", vec![masked(FIN | opcode, b"reserved")]),
            bad("not final", vec![masked(opcode, b"")]),
            bad("between fragments", vec![masked(TEXT, b"begun"), masked(FIN | opcode, b"")]),
        ]
    };
    (3..=7).chain(11..=15).flat_map(one).collect()
}

/// What is too large is refused by its header: none of the payload has to come.
fn sizes() -> Vec<Case> {
    let announced = |first: u8, length: u64| [&[first, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    let most = masked(BINARY, &vec![0; 65_536]);
    let halves = vec![masked(BINARY, &vec![1; 65_000]), masked(FIN | CONTINUATION, &[2; 536])];
    let whole = [vec![1; 65_000], vec![2; 536]].concat();
    let large = [
        ("a byte too many", vec![announced(FIN | BINARY, 65_537)]),
        ("a byte too many of text", vec![announced(FIN | TEXT, 65_537)]),
        ("a byte too many in the first fragment", vec![announced(BINARY, 65_537)]),
        ("a byte too many in the last fragment", vec![most.clone(), masked(FIN | CONTINUATION, b"x")[..6].to_vec()]),
        ("a byte too many in a middle fragment", vec![most.clone(), masked(CONTINUATION, b"x")[..6].to_vec()]),
        ("4 GiB", vec![announced(FIN | BINARY, 1 << 32)]),
        ("as long as a length can be", vec![announced(FIN | TEXT, u64::MAX >> 1)]),
    ];
    let mut cases = Vec::from(large.map(|(name, sent)| Case::bad(name, sent, Close::TooLarge)));
    cases.push(Case::good("two fragments of the largest size", halves, vec![(FIN | BINARY, whole)]));
    let empty_end = vec![most, masked(FIN | CONTINUATION, b"")];
    cases.push(Case::good("the largest size and nothing", empty_end, vec![(FIN | BINARY, vec![0; 65_536])]));
    cases
}
