//! Pings, pongs and closes (§5.5, §7).

use volery_door::socket::Gone;
use volery_kernel::code::Close;

use crate::case::{Case, said};
use crate::support::{CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close, masked};

pub(crate) fn cases() -> Vec<Case> {
    [pings(), control_frames_that_are_wrong(), numbers(), reasons(), orders()].into_iter().flatten().collect()
}

fn pings() -> Vec<Case> {
    let pong = |payload: &[u8]| (FIN | PONG, payload.to_vec());
    let payloads: [(&str, Vec<u8>); 6] = [
        ("nothing", vec![]),
        ("one byte", vec![0]),
        ("a text", b"hello".to_vec()),
        ("what is no text", vec![0, 0xff, 0xfe, 0xc0]),
        ("124 bytes", vec![0xfe; 124]),
        ("125 bytes", vec![0xfe; 125]),
    ];
    let ping = |(name, payload): (&str, Vec<u8>)| {
        Case::good(format!("ping of {name}"), vec![masked(FIN | PING, &payload)], vec![pong(&payload)])
    };
    let mut cases = Vec::from(payloads.clone().map(ping));
    let unasked = |(name, payload): (&str, Vec<u8>)| {
        let sent = vec![masked(FIN | PONG, &payload), masked(FIN | PING, b"p")];
        Case::good(format!("pong of {name} that nobody asked for"), sent, vec![pong(b"p")])
    };
    cases.extend(payloads.map(unasked));
    let ten: Vec<Vec<u8>> = (0..10).map(|number| vec![number; 3]).collect();
    let sent = ten.iter().map(|payload| masked(FIN | PING, payload)).collect();
    cases.push(Case::good("ten pings, answered in order", sent, ten.iter().map(|payload| pong(payload)).collect()));
    let sent = vec![masked(FIN | TEXT, b"a"), masked(FIN | PING, b"b"), masked(FIN | TEXT, b"c")];
    let answered = vec![(FIN | TEXT, b"a".to_vec()), pong(b"b"), (FIN | TEXT, b"c".to_vec())];
    cases.push(Case::good("a ping between messages, answered in order", sent, answered));
    cases
}

fn control_frames_that_are_wrong() -> Vec<Case> {
    let one = |(kind, opcode): (&str, u8)| {
        let bad = |name: &str, sent| Case::bad(format!("{kind} {name}"), sent, Close::ProtocolError);
        let long = [&[FIN | opcode, 0xfe][..], &126u16.to_be_bytes()].concat();
        let longer = [&[FIN | opcode, 0xff][..], &65_536u64.to_be_bytes()].concat();
        [
            bad("of 126 bytes, by its header", vec![long]),
            bad("of 65536 bytes, by its header", vec![longer]),
            bad("not final", vec![masked(opcode, b"")]),
            bad("in two fragments", vec![masked(opcode, b"x"), masked(FIN | CONTINUATION, b"y")]),
            bad("not final, between fragments", vec![masked(TEXT, b"begun"), masked(opcode, b"")]),
        ]
    };
    [("ping", PING), ("pong", PONG), ("close", CLOSE)].into_iter().flat_map(one).collect()
}

fn numbers() -> Vec<Case> {
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    let bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 32_768, 65_535];
    let good = good.map(|number| closing(format!("close {number}"), close(number, b""), number));
    let bad = bad.map(|number| Case::bad(format!("close {number}"), vec![close(number, b"")], Close::ProtocolError));
    good.into_iter().chain(bad).collect()
}

/// A close that is answered by its number alone.
fn closing(name: impl Into<String>, sent: Vec<u8>, number: u16) -> Case {
    Case::ending(name, vec![sent], vec![said(number, "")], Gone::ByPeer(Some(number)))
}

fn reasons() -> Vec<Case> {
    let empty = vec![(FIN | CLOSE, vec![])];
    let mut cases = vec![
        Case::ending("close without a number", vec![masked(FIN | CLOSE, b"")], empty, Gone::ByPeer(None)),
        Case::bad("close of one byte", vec![masked(FIN | CLOSE, &[3])], Close::ProtocolError),
        closing("close with a reason", close(1000, b"bye"), 1000),
        closing("close with a reason of 123 bytes", close(1000, &[b'*'; 123]), 1000),
        closing("close with a reason beyond ASCII", close(1001, "κόσμε 🦢".as_bytes()), 1001),
        closing("close with a reason of NUL", close(1000, &[0]), 1000),
    ];
    let wrong: [(&str, &[u8]); 5] = [
        ("no UTF-8", b"\xff"),
        ("a cut code point", b"ok \xe2\x82"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("an overlong form", b"\xc0\x80"),
        ("more than Unicode has", b"\xf4\x90\x80\x80"),
    ];
    let bad = |(name, reason): (&str, &[u8])| {
        Case::bad(format!("close with {name} for a reason"), vec![close(1000, reason)], Close::InvalidUtf8)
    };
    cases.extend(wrong.map(bad));
    cases
}

/// A close is the last that is heard, and it is answered once.
fn orders() -> Vec<Case> {
    let after = |name: &str, more: Vec<Vec<u8>>| {
        let sent = [vec![close(1000, b"")], more].concat();
        Case::ending(name, sent, vec![said(1000, "")], Gone::ByPeer(Some(1000)))
    };
    let begun = vec![masked(TEXT, b"begun"), close(1001, b"")];
    let pinged = vec![masked(FIN | PING, b"p"), close(1001, b"")];
    let answered = vec![(FIN | PONG, b"p".to_vec()), said(1001, "")];
    vec![
        after("close after close", vec![close(1001, b"")]),
        after("text after close", vec![masked(FIN | TEXT, b"late")]),
        after("ping after close", vec![masked(FIN | PING, b"late")]),
        after("nonsense after close", vec![vec![0xff; 300]]),
        after("much after close", vec![masked(FIN | TEXT, &[b'*'; 65_536]); 4]),
        Case::ending("close within a message", begun, vec![said(1001, "")], Gone::ByPeer(Some(1001))),
        Case::ending("close after a ping", pinged, answered, Gone::ByPeer(Some(1001))),
        Case::ending("an end without a close", vec![], vec![], Gone::Ended),
        Case::ending("an end within a header", vec![vec![FIN | TEXT]], vec![], Gone::Ended),
        Case::ending("an end within a frame", vec![masked(FIN | TEXT, b"half")[..7].to_vec()], vec![], Gone::Ended),
        Case::ending("an end between fragments", vec![masked(TEXT, b"half")], vec![], Gone::Ended),
    ]
}
