//! The HTTP upgrade: what opens a socket, what each other request is answered with, and that
//! neither side takes anything else for an answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};
use support::{NEVER, REQUEST};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use volery_door::handshake::client::{Declined, Offer};
use volery_door::handshake::refusal::Refusal;
use volery_door::handshake::server::Upgrade;
use volery_door::listener::{Rejected, accept, connect};
use volery_door::socket::Limits;
use volery_wire::codec::Encoding;

fn with(header: &str) -> String {
    REQUEST.replace("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"))
}

fn without(header: &str) -> String {
    REQUEST.split_inclusive("\r\n").filter(|line| !line.starts_with(header)).collect()
}

fn parse(request: &str) -> Result<Upgrade, Refusal> {
    Upgrade::parse(request.as_bytes()).map(|upgrade| upgrade.expect("a whole request"))
}

#[test]
fn the_subprotocol_chooses_the_encoding_and_is_named_only_if_offered() {
    let cases = [
        (REQUEST.to_owned(), Encoding::MessagePack, None),
        (with("Sec-WebSocket-Protocol: volery.v1.json"), Encoding::Json, Some("volery.v1.json")),
        (with("sec-websocket-protocol: volery.v1.msgpack"), Encoding::MessagePack, Some("volery.v1.msgpack")),
        (with("Sec-WebSocket-Protocol: soap, volery.v1.json"), Encoding::Json, Some("volery.v1.json")),
        (
            with("Sec-WebSocket-Protocol: volery.v1.json\r\nSec-WebSocket-Protocol: volery.v1.msgpack"),
            Encoding::Json,
            Some("volery.v1.json"),
        ),
    ];
    for (request, encoding, named) in cases {
        let upgrade = parse(&request).unwrap();
        assert_eq!((upgrade.encoding, upgrade.consumed), (encoding, request.len()));
        let response = String::from_utf8(upgrade.response()).unwrap();
        assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && response.ends_with("\r\n\r\n"));
        assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        let line = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, named);
    }
}

#[test]
fn requests_that_are_as_good_are_taken() {
    for request in [
        REQUEST.replace("/v1/ws", "/v1/ws?client=3"),
        REQUEST.replace("Upgrade: websocket", "UPGRADE: h2c, WebSocket"),
        with("Sec-WebSocket-Extensions: permessage-deflate"),
        with("Content-Length: 0"),
        REQUEST.to_owned() + "frames that follow",
    ] {
        let upgrade = parse(&request).unwrap();
        assert!(!String::from_utf8(upgrade.response()).unwrap().contains("Extensions"), "none are agreed to");
    }
}

#[tokio::test]
async fn every_other_request_is_refused_with_a_problem_document() {
    let malformed = [
        without("Sec-WebSocket-Key"),
        REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
        REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "not base64!"),
        with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        without("Connection"),
        without("Host"),
        with("Host: another"),
        with("Content-Length: 5"),
        with("Transfer-Encoding: chunked"),
        REQUEST.replace("HTTP/1.1", "HTTP/1.0"),
        "\u{16}\u{3}\u{1} a TLS client\r\n\r\n".to_owned(),
        REQUEST.replace("Host:", "Ho st:"),
    ];
    let mut cases: Vec<_> = malformed.into_iter().map(|request| (request, 400, "bad_request")).collect();
    cases.extend([
        (with("Sec-WebSocket-Protocol: soap, mqtt"), 400, "bad_request"),
        (REQUEST.replace("/v1/ws", "/"), 404, "not_found"),
        (REQUEST.replace("/v1/ws", "/v1/ws/"), 404, "not_found"),
        (REQUEST.replace("GET", "POST"), 405, "method_not_allowed"),
        (REQUEST.replace(": 13", ": 8"), 426, "bad_request"),
        (without("Sec-WebSocket-Version"), 426, "bad_request"),
        (without("Upgrade"), 426, "bad_request"),
        (with(&format!("Cookie: {}", "x".repeat(9_000))), 431, "too_large"),
        (with(&["X: y"; 70].join("\r\n")), 431, "too_large"),
    ]);
    for (request, status, code) in cases {
        let refusal = parse(&request).expect_err(&request);
        assert_eq!((refusal.status(), refusal.code().text()), (status, code), "{request}");
        let response = String::from_utf8(refusal.response()).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("Content-Type: application/problem+json"));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        let expected = json!({
            "type": format!("urn:volery:error:{code}"), "code": code, "title": refusal.code().meaning(),
            "status": status, "detail": refusal.to_string(), "retryable": false,
        });
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected, "{request}");
        assert_eq!(over_a_socket(&request).await, response, "{request}");
    }
}

/// What a refused request is answered with, to the end of the connection.
async fn over_a_socket(request: &str) -> String {
    let (listener, mut stream) = listener().await;
    let served = async { accept(listener.accept().await.unwrap().0, Limits::default(), Instant::now() + NEVER).await };
    let asked = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (served, answer) = tokio::join!(served, asked);
    assert!(matches!(served, Err(Rejected::Refused(_))), "{request}");
    answer
}

#[test]
fn refusals_say_what_there_is() {
    let answer = |request: &str| String::from_utf8(parse(request).unwrap_err().response()).unwrap();
    assert!(answer(&REQUEST.replace(": 13", ": 14")).contains("\r\nSec-WebSocket-Version: 13\r\n"));
    assert!(answer(&REQUEST.replace("GET", "PUT")).contains("\r\nAllow: GET\r\n"));
    let unknown = answer(&with("Sec-WebSocket-Protocol: volery.v2.json"));
    assert!(unknown.contains("volery.v1.msgpack") && unknown.contains("volery.v1.json"));
}

#[test]
fn no_beginning_of_a_request_is_answered() {
    for end in 0..REQUEST.len() {
        assert_eq!(Upgrade::parse(&REQUEST.as_bytes()[..end]), Ok(None), "{end}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_either_side_panic(noise in vec(any::<u8>(), 0..200), at in 0..160usize, byte in any::<u8>()) {
        let offer = Offer::new(Encoding::Json, [0; 16]);
        let _ = Upgrade::parse(&noise);
        prop_assert!(!matches!(offer.check(&noise), Ok(Some(_))));
        let mut request = REQUEST.as_bytes().to_vec();
        request[at] = byte;
        let _ = Upgrade::parse(&request);
    }
}

#[test]
fn a_client_takes_the_answer_to_its_own_request_only() {
    let offer = Offer::new(Encoding::Json, *b"sixteen bytes at");
    let request = String::from_utf8(offer.request("volery.test:8401")).unwrap();
    let answer = String::from_utf8(parse(&request).unwrap().response()).unwrap();
    assert_eq!(offer.check(answer.as_bytes()), Ok(Some(answer.len())));
    assert_eq!(offer.check(&answer.as_bytes()[..answer.len() - 1]), Ok(None));
    let broken = [
        answer.replace("101", "200"),
        answer.replace("Upgrade: websocket", "Upgrade: h2c"),
        answer.replace("Connection: Upgrade", "Connection: close"),
        answer.replace("volery.v1.json", "volery.v1.msgpack"),
        answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: A"),
        answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        "garbage\r\n\r\n".to_owned(),
        format!("HTTP/1.1 101 X\r\nA: {}", "b".repeat(9_000)),
    ];
    for answer in broken {
        assert!(offer.check(answer.as_bytes()).is_err(), "{answer}");
    }
    let refusal = Refusal::Path.response();
    assert_eq!(offer.check(&refusal), Err(Declined::Status(404)));
}

async fn listener() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener, stream)
}

#[tokio::test]
async fn both_sides_of_the_crate_agree() {
    let (listener, stream) = listener().await;
    let deadline = Instant::now() + NEVER;
    let offer = Offer::new(Encoding::Json, [9; 16]);
    let served = async { accept(listener.accept().await.unwrap().0, Limits::default(), deadline).await };
    let asked = connect(stream, "volery.test", &offer, Box::new(|| [5; 4]), Limits::default(), deadline);
    let (served, asked) = tokio::join!(served, asked);
    assert_eq!(served.unwrap().1, Encoding::Json);
    asked.unwrap();
}

#[tokio::test]
async fn a_refused_peer_reads_why_though_it_said_much() {
    let (listener, mut stream) = listener().await;
    let deadline = Instant::now() + NEVER;
    let served = async { accept(listener.accept().await.unwrap().0, Limits::default(), deadline).await };
    let asked = async {
        stream.write_all(&[b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 100_000]].concat()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let (served, answer) = tokio::join!(served, asked);
    assert!(matches!(served, Err(Rejected::Refused(Refusal::Path))));
    assert!(answer.unwrap().starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn who_says_half_a_request_is_dropped_at_the_deadline() {
    let (listener, mut stream) = listener().await;
    stream.write_all(&REQUEST.as_bytes()[..40]).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(30);
    let served = accept(listener.accept().await.unwrap().0, Limits::default(), deadline).await;
    assert!(matches!(served, Err(Rejected::Late)));
    assert!(Instant::now() >= deadline);
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap_or(0), 0, "closed");
}

#[tokio::test]
async fn who_leaves_is_told_apart() {
    let (listener, stream) = listener().await;
    drop(stream);
    let served = accept(listener.accept().await.unwrap().0, Limits::default(), Instant::now() + NEVER).await;
    assert!(matches!(served, Err(Rejected::Left)));
}
