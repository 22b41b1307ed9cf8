//! RFC 6455 case by case, over a real socket, against frames written by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use support::{
    BINARY, CLOSE, CONTINUATION, Echo, FIN, NEVER, PING, PONG, TEXT, close, frame, masked, raw_client, unmasked_frames,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use volery_door::socket::{Gone, Limits};
use volery_kernel::code::Close;

/// Sends the pieces, each in a segment of its own as far as TCP allows, ends the stream, and reads
/// to the end.
async fn converse(pieces: &[Vec<u8>]) -> (Vec<(u8, Vec<u8>)>, Gone) {
    let echo = Echo::start(Limits::default()).await;
    let stream = raw_client(echo.address).await;
    let (mut reading, mut writing) = stream.into_split();
    let write = async {
        for piece in pieces {
            // The server may be gone already: it fails at the first wrong byte.
            if writing.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = writing.shutdown().await;
    };
    let mut answer = Vec::new();
    let read = async { tokio::time::timeout(NEVER, reading.read_to_end(&mut answer)).await.expect("an end").unwrap() };
    tokio::join!(write, read);
    (unmasked_frames(&answer), echo.gone().await)
}

fn said(number: u16, reason: &str) -> (u8, Vec<u8>) {
    (FIN | CLOSE, [&number.to_be_bytes()[..], reason.as_bytes()].concat())
}

fn closed(code: Close) -> (u8, Vec<u8>) {
    said(code.number(), code.text())
}

#[tokio::test]
async fn messages_of_every_length_form_come_back() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        for opcode in [TEXT, BINARY] {
            let payload = vec![b'*'; length];
            let (frames, gone) = converse(&[masked(FIN | opcode, &payload), close(1000, b"")]).await;
            assert_eq!(frames, [(FIN | opcode, payload), said(1000, "")], "{length} {opcode}");
            assert_eq!(gone, Gone::ByPeer(Some(1000)));
        }
    }
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_and_pongs_are_not() {
    for length in [0, 1, 125] {
        let payload = vec![0xfe; length];
        let sent = [masked(FIN | PONG, b"unasked"), masked(FIN | PING, &payload), close(1000, b"")];
        let (frames, _) = converse(&sent).await;
        assert_eq!(frames, [(FIN | PONG, payload), said(1000, "")]);
    }
}

#[tokio::test]
async fn control_frames_stand_between_fragments() {
    let sent = [
        masked(TEXT, "κό".as_bytes()),
        masked(FIN | PING, b"1"),
        masked(CONTINUATION, b""),
        masked(FIN | PING, b"2"),
        masked(FIN | CONTINUATION, "σμε".as_bytes()),
        close(1001, b"bye"),
    ];
    let expected =
        [(FIN | PONG, b"1".to_vec()), (FIN | PONG, b"2".to_vec()), (FIN | TEXT, "κόσμε".into()), said(1001, "")];
    assert_eq!(converse(&sent).await.0, expected);
    assert_eq!(converse(&[sent.concat()]).await.0, expected);
    let bytes: Vec<_> = sent.concat().into_iter().map(|byte| vec![byte]).collect();
    assert_eq!(converse(&bytes).await.0, expected);
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_1002_and_what_came_before_is_answered() {
    let mut broken = vec![
        ("unmasked", frame(FIN | TEXT, None, b"plain")),
        ("unmasked close", frame(FIN | CLOSE, None, &[])),
        ("long ping", masked(FIN | PING, &[0; 126])),
        ("fragmented ping", masked(PING, b"x")),
        ("fragmented close", masked(CLOSE, b"")),
        ("continuation of nothing", masked(FIN | CONTINUATION, b"x")),
        ("first continuation of nothing", masked(CONTINUATION, b"x")),
        ("message within a message", [masked(TEXT, b"a"), masked(FIN | TEXT, b"b")].concat()),
        ("length of 2 bytes for 125", vec![FIN | BINARY, 0xfe, 0, 125]),
        ("length of 8 bytes for 65535", vec![FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ("length with its highest bit", vec![FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0]),
        ("close of one byte", masked(FIN | CLOSE, &[3])),
    ];
    broken.extend([0x40, 0x20, 0x10, 0x70].map(|bits| ("reserved bit", masked(FIN | bits | TEXT, b"x"))));
    broken.extend([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(|opcode| ("unknown opcode", masked(FIN | opcode, b""))));
    let numbers = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    broken.extend(numbers.map(|number| ("number of a close", close(number, b""))));
    for (name, bytes) in broken {
        let (frames, gone) = converse(&[[masked(FIN | TEXT, b"before"), bytes].concat()]).await;
        assert_eq!(frames, [(FIN | TEXT, b"before".to_vec()), closed(Close::ProtocolError)], "{name}");
        assert_eq!(gone, Gone::ByUs(Close::ProtocolError), "{name}");
    }
}

#[tokio::test]
async fn closes_are_echoed_with_their_number() {
    for number in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let (frames, gone) = converse(&[close(number, b"why"), masked(FIN | TEXT, b"after the end")]).await;
        assert_eq!(frames, [said(number, "")]);
        assert_eq!(gone, Gone::ByPeer(Some(number)));
    }
    let (frames, gone) = converse(&[masked(FIN | CLOSE, b"")]).await;
    assert_eq!((frames, gone), (vec![(FIN | CLOSE, vec![])], Gone::ByPeer(None)));
}

#[tokio::test]
async fn an_end_without_a_close_is_told_apart() {
    assert_eq!(converse(&[]).await, (vec![], Gone::Ended));
    assert_eq!(converse(&[masked(FIN | TEXT, b"half")[..7].to_vec()]).await, (vec![], Gone::Ended));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_closed_with_1007_however_it_is_cut() {
    let wrong: [&[u8]; 5] =
        [b"ok \xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce", b"\xff"];
    for text in wrong {
        for cut in 0..=text.len() {
            let fragments = [masked(TEXT, &text[..cut]), masked(FIN | CONTINUATION, &text[cut..])];
            let (frames, gone) = converse(&fragments).await;
            assert_eq!((frames, gone), (vec![closed(Close::InvalidUtf8)], Gone::ByUs(Close::InvalidUtf8)));
            let whole = masked(FIN | TEXT, text);
            let (frames, _) = converse(&[whole[..6 + cut].to_vec(), whole[6 + cut..].to_vec()]).await;
            assert_eq!(frames, [closed(Close::InvalidUtf8)]);
        }
    }
    let (frames, _) = converse(&[close(1000, b"\xff")]).await;
    assert_eq!(frames, [closed(Close::InvalidUtf8)]);
}

#[tokio::test]
async fn broken_text_is_refused_before_it_ends() {
    let echo = Echo::start(Limits::default()).await;
    let mut stream = raw_client(echo.address).await;
    let whole = masked(FIN | TEXT, b"\xce\xba\xff and a lot more that is never sent");
    stream.write_all(&whole[..6 + 3]).await.unwrap();
    assert_eq!(echo.gone_while(&mut stream).await, Gone::ByUs(Close::InvalidUtf8));
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_header() {
    let most = 65_536;
    let header_alone = [&[FIN | BINARY, 0xff][..], &(most + 1u64).to_be_bytes(), &[0; 4]].concat();
    let grown = [masked(BINARY, &vec![0; 65_536]), masked(CONTINUATION, b"x")].concat();
    let absurd = [&[FIN | TEXT, 0xff][..], &(u64::MAX >> 1).to_be_bytes(), &[0; 4]].concat();
    for bytes in [header_alone, grown, absurd] {
        let echo = Echo::start(Limits::default()).await;
        let mut stream = raw_client(echo.address).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(echo.gone_while(&mut stream).await, Gone::ByUs(Close::TooLarge));
    }
    let fragments = [masked(BINARY, &vec![1; 65_000]), masked(FIN | CONTINUATION, &[2; 536])];
    let (frames, _) = converse(&fragments).await;
    assert_eq!(frames, [(FIN | BINARY, [vec![1; 65_000], vec![2; 536]].concat())]);
}
