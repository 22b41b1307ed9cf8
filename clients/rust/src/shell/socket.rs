//! One socket as a task: frames in, frames out, and how it ended. Bounded both ways: a node that
//! does not read, or a client that does not, ends it or stops it; nothing piles up.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::Poll;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use volery_door::address::{Address, BadAddress};
use volery_door::frame::Kind;
use volery_door::handshake::client::Offer;
use volery_door::listener::connect;
use volery_door::outbound::Written;
use volery_door::socket::{Gone, Heard, Limits, Socket};
use volery_door::stream::Stream;
use volery_tls::Trust;
use volery_wire::codec::Encoding;

use crate::core::Loss;

/// Time for name look-up, TCP and the handshake.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A closing node is waited for this long.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Largest frame from a node: a page of 100 messages of 8 KiB, and as much again around them.
const FRAME_MOST: u32 = 2 << 20;
/// Bytes that wait for a node that does not read: everything that a session may have under way.
const QUEUE_MOST: u32 = 2 << 20;
/// Frames that are handed on at once.
const BATCH: usize = 32;
/// Frames that wait to be written at most; a step of the core makes far fewer.
pub(super) const OUTGOING: usize = 1_024;

/// What a socket tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Frames, in order.
    Frames(Vec<Vec<u8>>),
    /// It is over.
    Lost(Loss),
}

/// Opens a socket to `ws://host:port/…`, or to `wss://…` if `trust` believes who is there.
///
/// # Errors
/// A sentence for people.
pub(super) async fn open(address: &str, trust: &Trust) -> Result<Socket, String> {
    let address: Address = address.parse().map_err(|error: BadAddress| error.to_string())?;
    let deadline = Instant::now() + OPEN_WITHIN;
    let stream = tokio::time::timeout_at(deadline, reach(&address, trust)).await;
    let stream = stream.unwrap_or_else(|_| Err("no connection in time".to_owned()))?;
    let mut random = fresh();
    let mut nonce = [0; 16];
    random.fill_bytes(&mut nonce);
    let keys = Box::new(move || random.next_u32().to_be_bytes());
    let limits = Limits { message: FRAME_MOST, queue: QUEUE_MOST };
    let offer = Offer::new(Encoding::MessagePack, nonce);
    connect(stream, &address.authority, &offer, keys, limits, deadline).await.map_err(|error| error.to_string())
}

async fn reach(address: &Address, trust: &Trust) -> Result<Stream, String> {
    let tcp = TcpStream::connect((&*address.host, address.port)).await.map_err(|error| error.to_string())?;
    if !address.secured {
        return Ok(tcp.into());
    }
    let name = address.name().map_err(|error| error.to_string())?;
    let config = trust.config().map_err(|error| error.to_string())?;
    Stream::connected(tcp, name, config).await.map_err(|error| error.to_string())
}

/// The shell's one source of randomness: the operating system's, through this thread's generator.
#[must_use]
pub(super) fn fresh() -> StdRng {
    rand::make_rng()
}

enum Step {
    Frames,
    Gone(Gone),
    Left,
}

/// Runs the socket until it is over or its owner drops `outgoing`; then nothing more is told.
pub(super) async fn run<T: Send>(
    mut socket: Socket,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    told: mpsc::Sender<T>,
    wrap: impl Fn(Told) -> T + Send,
) {
    loop {
        let mut frames = Vec::new();
        match step(&mut socket, &mut outgoing, &mut frames).await {
            Step::Frames => {
                if told.send(wrap(Told::Frames(frames))).await.is_err() {
                    return;
                }
            }
            Step::Gone(gone) => {
                // An owner that is gone does not want to know.
                let _ = told.send(wrap(Told::Lost(loss(gone)))).await;
                return socket.finish(CLOSE_WITHIN).await;
            }
            Step::Left => {
                socket.close(volery_kernel::code::Close::Normal);
                return socket.finish(CLOSE_WITHIN).await;
            }
        }
    }
}

async fn step(socket: &mut Socket, outgoing: &mut mpsc::Receiver<Vec<u8>>, frames: &mut Vec<Vec<u8>>) -> Step {
    poll_fn(|cx| {
        loop {
            let read = socket.poll_read(cx, &mut |heard, _| {
                if let Heard::Message(message) = heard {
                    frames.push(message.data.into_owned());
                }
                if frames.len() < BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            if !frames.is_empty() {
                return Poll::Ready(Step::Frames);
            }
            if let Poll::Ready(Err(gone)) = read {
                return Poll::Ready(Step::Gone(gone));
            }
            match outgoing.poll_recv(cx) {
                Poll::Ready(Some(frame)) => match socket.write(Kind::Binary, &[&frame]) {
                    Ok(Written::Sent | Written::Queued) => {}
                    Ok(Written::Full) => return Poll::Ready(Step::Gone(Gone::Ended)),
                    Err(gone) => return Poll::Ready(Step::Gone(gone)),
                },
                Poll::Ready(None) => return Poll::Ready(Step::Left),
                Poll::Pending => {
                    return match socket.poll_flush(cx) {
                        Poll::Ready(Err(gone)) => Poll::Ready(Step::Gone(gone)),
                        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    })
    .await
}

fn loss(gone: Gone) -> Loss {
    match gone {
        Gone::ByPeer(Some(number)) => Loss::Closed(number),
        Gone::ByUs(close) => Loss::Closed(close.number()),
        Gone::ByPeer(None) | Gone::Ended | Gone::Io(_) => Loss::Broken,
    }
}
