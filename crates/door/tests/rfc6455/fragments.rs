//! Messages in fragments, and what may stand between these (§5.4).

use volery_kernel::code::Close;

use crate::case::{Case, Frame};
use crate::support::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, masked};

pub(crate) fn cases() -> Vec<Case> {
    [messages(), between(), orders_that_are_wrong()].into_iter().flatten().collect()
}

/// The frames of a message in these fragments.
pub(crate) fn fragments(opcode: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let frame = |(at, part): (usize, &&[u8])| {
        let opcode = if at == 0 { opcode } else { CONTINUATION };
        masked(if at + 1 == parts.len() { FIN | opcode } else { opcode }, part)
    };
    parts.iter().enumerate().map(frame).collect()
}

fn text(payload: &[u8]) -> Frame {
    (FIN | TEXT, payload.to_vec())
}

fn messages() -> Vec<Case> {
    let parts: [(&str, &[&[u8]]); 7] = [
        ("two", &[b"fragment 1", b"fragment 2"]),
        ("three", &[b"a", b"bc", b"d"]),
        ("one and nothing", &[b"a", b""]),
        ("nothing and one", &[b"", b"a"]),
        ("nothing around one", &[b"", b"", b"a", b"", b""]),
        ("nothing three times", &[b"", b"", b""]),
        ("a thousand of a byte", &[b"x".as_slice(); 1_000]),
    ];
    let one = |name: &str, parts: &[&[u8]], kind: &str, opcode: u8| {
        Case::good(format!("{kind} in {name}"), fragments(opcode, parts), vec![(FIN | opcode, parts.concat())])
    };
    let mut cases: Vec<Case> = parts
        .into_iter()
        .flat_map(|(name, parts)| [one(name, parts, "text", TEXT), one(name, parts, "binary", BINARY)])
        .collect();
    let lengths: [&[u8]; 5] = [&[b'a'; 125], &[b'b'; 126], &[b'c'; 127], &[b'd'; 128], &[b'e'; 40_000]];
    cases.push(one("every form of a length", &lengths, "text", TEXT));
    let sent = [fragments(TEXT, &[b"a", b"b"]), fragments(BINARY, &[b"c", b"d"]), fragments(TEXT, &[b"e"])].concat();
    let answered = vec![text(b"ab"), (FIN | BINARY, b"cd".to_vec()), text(b"e")];
    cases.push(Case::good("one message in fragments after another", sent, answered));
    cases
}

/// Control frames between fragments are answered before the message ends.
fn between() -> Vec<Case> {
    let pong = |payload: &[u8]| (FIN | PONG, payload.to_vec());
    let with = |frames: &[Vec<u8>]| {
        let [first, last] = [masked(TEXT, "κό".as_bytes()), masked(FIN | CONTINUATION, "σμε".as_bytes())];
        [&[first], frames, &[last]].concat()
    };
    let whole = || text("κόσμε".as_bytes());
    let ping = |payload: &[u8]| masked(FIN | PING, payload);
    let inside = vec![masked(TEXT, b"\xce"), ping(b"\xba"), masked(FIN | CONTINUATION, b"\xba")];
    let many: Vec<Vec<u8>> = (0..20).map(|number| ping(&[number; 125])).collect();
    let pongs = (0..20).map(|number| pong(&[number; 125])).chain([whole()]).collect();
    let each = vec![ping(b"1"), masked(CONTINUATION, b""), ping(b"2"), masked(FIN | PONG, b"3")];
    vec![
        Case::good("a ping between fragments", with(&[ping(b"p")]), vec![pong(b"p"), whole()]),
        Case::good("an empty ping between fragments", with(&[ping(b"")]), vec![pong(b""), whole()]),
        Case::good("a pong between fragments", with(&[masked(FIN | PONG, b"p")]), vec![whole()]),
        Case::good("twenty pings between fragments", with(&many), pongs),
        Case::good("pings around an empty fragment", with(&each), vec![pong(b"1"), pong(b"2"), whole()]),
        Case::good("a ping within a code point", inside, vec![pong(b"\xba"), text("κ".as_bytes())]),
    ]
}

fn orders_that_are_wrong() -> Vec<Case> {
    let begun = || masked(TEXT, b"begun");
    let more = |first: u8| masked(first | CONTINUATION, b"more");
    let rows = [
        ("a last continuation of nothing", vec![more(FIN)]),
        ("a continuation of nothing", vec![more(0)]),
        ("an empty continuation of nothing", vec![masked(FIN | CONTINUATION, b"")]),
        ("a text within a text", vec![begun(), masked(FIN | TEXT, b"new")]),
        ("a binary within a text", vec![begun(), masked(FIN | BINARY, b"new")]),
        ("a text begun within a text", vec![begun(), masked(TEXT, b"new")]),
        ("a text within a binary", vec![masked(BINARY, b"begun"), masked(FIN | TEXT, b"new")]),
        ("a text within a text, after a ping", vec![begun(), masked(FIN | PONG, b""), masked(FIN | TEXT, b"new")]),
        ("a continuation before the next message", vec![more(0), masked(FIN | TEXT, b"new")]),
    ];
    let mut cases = Vec::from(rows.map(|(name, sent)| Case::bad(name, sent, Close::ProtocolError)));
    let sent = [vec![masked(FIN | TEXT, b"before")], fragments(TEXT, &[b"a", b"b"]), vec![more(FIN)]].concat();
    let close = crate::case::said(Close::ProtocolError.number(), Close::ProtocolError.text());
    let answered = vec![text(b"before"), text(b"ab"), close];
    let gone = volery_door::socket::Gone::ByUs(Close::ProtocolError);
    cases.push(Case::ending("a continuation after the last fragment", sent, answered, gone));
    cases
}
