//! A second writer and reader of frames, written from RFC 6455 alone, and a server to talk to.
//! Nothing here uses the crate's own frames: agreeing with oneself proves nothing.
#![allow(dead_code, reason = "every test file uses another part")]

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use volery_door::frame::Opcode;
use volery_door::listener::accept;
use volery_door::outbound::{Writer, Written};
use volery_door::socket::{Gone, Heard, Limits, Paused, Socket};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;
pub(crate) const FIN: u8 = 0x80;
pub(crate) const KEY: [u8; 4] = [0xa1, 0x02, 0x7f, 0xc3];

/// How long anything in these tests may take before it counts as never.
pub(crate) const NEVER: Duration = Duration::from_secs(20);

/// A frame; `first` is its whole first byte. The length is in its shortest form.
pub(crate) fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let length = payload.len();
    let mut bytes = vec![first];
    if length <= 125 {
        bytes.push(mask + length as u8);
    } else if length <= 0xffff {
        bytes.extend([mask + 126, (length >> 8) as u8, length as u8]);
    } else {
        bytes.push(mask + 127);
        bytes.extend((length as u64).to_be_bytes());
    }
    let key = key.inspect(|key| bytes.extend(key)).unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    bytes
}

/// A client's frame.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Some(KEY), payload)
}

/// A client's close.
pub(crate) fn close(number: u16, reason: &[u8]) -> Vec<u8> {
    masked(FIN | CLOSE, &[&number.to_be_bytes()[..], reason].concat())
}

/// What the server's frames are, in order, to the end of the connection.
pub(crate) fn unmasked_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (length, rest) = match second {
            126 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            short => (usize::from(*short), rest),
        };
        frames.push((*first, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a frame at the end");
    frames
}

/// A server that echoes messages, one connection, on a port of its own.
pub(crate) struct Echo {
    pub(crate) address: std::net::SocketAddr,
    served: tokio::task::JoinHandle<Gone>,
}

impl Echo {
    pub(crate) async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut socket, _) = accept(stream, limits, Instant::now() + NEVER).await.unwrap();
            let gone = echo(&mut socket).await;
            socket.finish(NEVER).await;
            gone
        });
        Self { address, served }
    }

    pub(crate) async fn gone(self) -> Gone {
        tokio::time::timeout(NEVER, self.served).await.expect("the server ends").unwrap()
    }
}

pub(crate) async fn echo(socket: &mut Socket) -> Gone {
    poll_fn(|cx| {
        loop {
            let read = socket.poll_read(cx, &mut reply);
            match (read, socket.poll_flush(cx)) {
                (Poll::Ready(Err(gone)), _) | (_, Poll::Ready(Err(gone))) => return Poll::Ready(gone),
                (Poll::Ready(Ok(Paused)), Poll::Ready(Ok(()))) => {}
                _ => return Poll::Pending,
            }
        }
    })
    .await
}

fn reply(heard: Heard<'_>, writer: &mut Writer<'_>) -> ControlFlow<()> {
    let Heard::Message(message) = heard else { return ControlFlow::Continue(()) };
    match writer.write(Opcode::Data(message.kind), &[&message.data]) {
        Ok(Written::Sent | Written::Queued) if writer.queued() < 65_536 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

pub(crate) const REQUEST: &str = "GET /v1/ws HTTP/1.1\r\nHost: volery.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection whose handshake is done, by hand.
pub(crate) async fn raw_client(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// A socket of the crate's on one side, a raw stream on the other.
pub(crate) async fn pair(limits: Limits) -> (Socket, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let deadline = Instant::now() + NEVER;
    let served = async { accept(listener.accept().await.unwrap().0, limits, deadline).await.unwrap().0 };
    tokio::join!(served, raw_client(address))
}
