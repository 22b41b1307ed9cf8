//! UTF-8 in messages (§8.1): what is valid comes back however it is cut, what is not is refused at its first wrong
//! byte, whether the frame or the message has ended or not.

use volery_kernel::code::Close;

use crate::case::Case;
use crate::fragments::fragments;
use crate::support::{BINARY, CONTINUATION, FIN, TEXT, masked};

pub(crate) fn cases() -> Vec<Case> {
    [valid(), invalid(), unfinished(), of_no_text()].into_iter().flatten().collect()
}

/// The edges of every length, around the surrogates, and what Unicode calls noncharacters: they are valid, too.
const VALID: &[&[u8]] = &[
    b"\0",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xe0\xbf\xbf",
    b"\xe1\x80\x80",
    b"\xed\x80\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbb\xbf",
    b"\xef\xbf\xbd",
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\xef\xb7\x90",
    b"\xf0\x90\x80\x80",
    b"\xf0\x9f\xbf\xbe",
    b"\xf0\x9f\xbf\xbf",
    b"\xf0\xbf\xbf\xbf",
    b"\xf1\x80\x80\x80",
    b"\xf3\xbf\xbf\xbf",
    b"\xf4\x80\x80\x80",
    b"\xf4\x8f\xbf\xbe",
    b"\xf4\x8f\xbf\xbf",
    b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\xa6\xa2",
];

/// What is wrong, and which byte is the first that makes it so.
const INVALID: &[(&[u8], usize)] = &[
    // Continuations of nothing.
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"a\x80\xbf", 1),
    (b"\xce\xba\x80", 2),
    // Bytes that are in no UTF-8.
    (b"\xc0", 0),
    (b"\xc1\xbf", 0),
    (b"\xf5\x80\x80\x80", 0),
    (b"\xf7\xbf\xbf\xbf", 0),
    (b"\xf8\x88\x80\x80\x80", 0),
    (b"\xfb\xbf\xbf\xbf\xbf", 0),
    (b"\xfc\x84\x80\x80\x80\x80", 0),
    (b"\xfd\xbf\xbf\xbf\xbf\xbf", 0),
    (b"\xfe", 0),
    (b"\xff", 0),
    // Beginnings that are not gone on with.
    (b"\xc2 ", 1),
    (b"\xdf\xc2", 1),
    (b"\xe0 ", 1),
    (b"\xe1\x80 ", 2),
    (b"\xef\xbf\xff", 2),
    (b"\xf0 ", 1),
    (b"\xf0\x90 ", 2),
    (b"\xf1\x80\x80 ", 3),
    (b"\xf4\x8f\xbf\xc0", 3),
    (b"\xe2\x82\xe2\x82\xac", 2),
    // Longer than they need to be.
    (b"\xc0\xaf", 0),
    (b"\xe0\x80\xaf", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xf0\x80\x80\xaf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf8\x80\x80\x80\xaf", 0),
    // Surrogates, alone and in pairs.
    (b"\xed\xa0\x80", 1),
    (b"\xed\xad\xbf", 1),
    (b"\xed\xae\x80", 1),
    (b"\xed\xaf\xbf", 1),
    (b"\xed\xb0\x80", 1),
    (b"\xed\xbe\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xed\xa0\x80\xed\xb0\x80", 1),
    // Beyond the last code point.
    (b"\xf4\x90\x80\x80", 1),
    (b"\xf4\xbf\xbf\xbf", 1),
    // In the midst of what is right.
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 12),
    (b"all is well until here \xff and nobody reads on", 23),
];

/// Each in one frame, in fragments of a byte each, and in two fragments cut everywhere.
fn valid() -> Vec<Case> {
    let one = |text: &&[u8]| {
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        let good = |how: String, parts: &[&[u8]]| {
            let name = format!("valid {} {how}", text.escape_ascii());
            Case::good(name, fragments(TEXT, parts), vec![(FIN | TEXT, text.to_vec())])
        };
        let two = (1..text.len()).map(|cut| good(format!("cut at {cut}"), &[&text[..cut], &text[cut..]]));
        let mut cases: Vec<Case> = two.collect();
        cases.extend([good("whole".into(), &[text]), good("in bytes".into(), &bytes)]);
        cases
    };
    VALID.iter().flat_map(one).collect()
}

/// Each in one frame, in two fragments cut everywhere, and in a frame and in a message that come no further than to
/// the first wrong byte.
fn invalid() -> Vec<Case> {
    let one = |&(text, wrong): &(&[u8], usize)| {
        let bad =
            |how: String, sent| Case::bad(format!("invalid {} {how}", text.escape_ascii()), sent, Close::InvalidUtf8);
        let upto = &text[..=wrong];
        let long = masked(FIN | TEXT, &[upto, b"of this nothing comes"].concat())[..6 + upto.len()].to_vec();
        let two =
            (1..text.len()).map(|cut| bad(format!("cut at {cut}"), fragments(TEXT, &[&text[..cut], &text[cut..]])));
        let mut cases: Vec<Case> = two.collect();
        cases.push(bad("whole".into(), vec![masked(FIN | TEXT, text)]));
        cases.push(bad("within a frame".into(), vec![long]));
        cases.push(bad("within a message".into(), vec![masked(TEXT, upto)]));
        cases
    };
    INVALID.iter().flat_map(one).collect()
}

/// A code point that has begun is right until the message ends.
fn unfinished() -> Vec<Case> {
    let begun: [&[u8]; 6] = [b"\xc2", b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90", b"\xf4\x8f\xbf", b"ok \xe2\x82"];
    let one = |text: &[u8]| {
        let bad =
            |how: &str, sent| Case::bad(format!("unfinished {} {how}", text.escape_ascii()), sent, Close::InvalidUtf8);
        let empty = vec![masked(TEXT, text), masked(CONTINUATION, b""), masked(FIN | CONTINUATION, b"")];
        [bad("at the end of a frame", vec![masked(FIN | TEXT, text)]), bad("before an empty fragment", empty)]
    };
    begun.into_iter().flat_map(one).collect()
}

/// Binary messages are not looked into.
fn of_no_text() -> Vec<Case> {
    let one = |&(bytes, _): &(&[u8], usize)| {
        let sent = fragments(BINARY, &[bytes, bytes]);
        Case::good(format!("binary {}", bytes.escape_ascii()), sent, vec![(FIN | BINARY, bytes.repeat(2))])
    };
    INVALID.iter().map(one).collect()
}
