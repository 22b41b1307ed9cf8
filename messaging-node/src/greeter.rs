//! Where connections begin: accept, handshake, `hello`, authentication; then the socket is handed to
//! the thread of its user's partition.
//!
//! Whoever says nothing holds a file handle and this future until the deadline; connections that have
//! not said hello are bounded in number. Nothing of the node is touched before the token is checked.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::Addr;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use volery_door::frame::Kind;
use volery_door::listener::{Rejected, accept};
use volery_door::socket::{Gone, Heard, Limits, Socket};
use volery_kernel::chat::Recipient;
use volery_kernel::code::{Close, Code};
use volery_kernel::id::{DeviceId, Id, SessionNumber};
use volery_kernel::limits;
use volery_kernel::position::Position;
use volery_ports::accounts::{Claims, TokenError};
use volery_wire::client::Request;
use volery_wire::codec::{Encoding, decode_request, encode_reply, join_reply};
use volery_wire::server::Reply;

use crate::core::session::error_body;
use crate::node::{Shared, thread_of};
use crate::worker::{Adopt, Worker};

/// How long a refused or closing peer may take to read why.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// A `hello` whose token was checked.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) request: u64,
    pub(crate) claims: Claims,
    pub(crate) previous_session: SessionNumber,
    pub(crate) largest_id: Id,
    /// Made-up bytes were refused; `None` if there were none.
    pub(crate) resume: Option<Position>,
}

/// Accepts until told to stop.
pub(crate) async fn accept_until(
    stopped: oneshot::Receiver<()>,
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    workers: Vec<Addr<Worker>>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the door cannot be watched"),
    };
    let greeting = Arc::new(Semaphore::new(limits::GREETING_MOST.value));
    let workers: Arc<[Addr<Worker>]> = workers.into();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&greeting).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (shared, workers) = (Arc::clone(&shared), Arc::clone(&workers));
                    actix_rt::spawn(async move {
                        greet(stream, &shared, &workers).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file handles, mostly: others close in the meantime.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped => {}
    }
}

async fn greet(stream: TcpStream, shared: &Arc<Shared>, workers: &[Addr<Worker>]) {
    shared.metrics.sockets.inc();
    let deadline = Instant::now() + Duration::from_millis(limits::HELLO_WITHIN_MS.value);
    match accept(stream, Limits::default(), deadline).await {
        Ok((socket, encoding)) => {
            shared.metrics.handshakes.inc();
            introduce(socket, encoding, deadline, shared, workers).await;
        }
        Err(Rejected::Late) => shared.metrics.closes.of(Close::HelloTimeout).inc(),
        Err(rejected) => tracing::debug!(%rejected, "no handshake"),
    }
    // What was handed over counts on its thread from here on.
    shared.metrics.sockets.dec();
}

async fn introduce(
    mut socket: Socket,
    encoding: Encoding,
    deadline: Instant,
    shared: &Arc<Shared>,
    workers: &[Addr<Worker>],
) {
    let greeted = match timeout_at(deadline, hello(&mut socket, encoding, shared)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(Some(close))) => return dismiss(socket, close, shared).await,
        Ok(Err(None)) => return socket.finish(LINGER).await,
        Err(_) => return dismiss(socket, Close::HelloTimeout, shared).await,
    };
    let partition = shared.partitions.of(Recipient::User(greeted.claims.user));
    let worker = &workers[thread_of(partition, workers.len())];
    match socket.into_parts() {
        Ok(parts) => {
            if worker.try_send(Adopt { parts, encoding, greeted, deadline }).is_err() {
                // The thread is that far behind: the client tries again with back-off.
                shared.metrics.closes.of(Close::Fault).inc();
            }
        }
        Err(error) => tracing::warn!(%error, "a socket could not be handed over"),
    }
}

/// Says why, and waits a moment until the peer has read it.
pub(crate) async fn dismiss(mut socket: Socket, close: Close, shared: &Shared) {
    shared.metrics.closes.of(close).inc();
    socket.close(close);
    socket.finish(LINGER).await;
}

/// Reads until there is a good `hello`. `Err(None)` if the peer has gone.
async fn hello(socket: &mut Socket, encoding: Encoding, shared: &Shared) -> Result<Greeted, Option<Close>> {
    const TRIES: usize = 8;
    for _ in 0..TRIES {
        let frame = first_frame(socket, encoding).await?;
        let (request, hello) = match decode_request(encoding, &frame) {
            Ok((request, Request::Hello(hello))) => (request, hello),
            Ok((request, _)) => {
                refuse(socket, encoding, request, Code::NotReady, None, shared);
                continue;
            }
            Err(malformed) => {
                refuse(socket, encoding, malformed.request, malformed.code, None, shared);
                continue;
            }
        };
        let resume = hello.resume.as_ref().map(|resume| Position::from_bytes(&resume.0)).transpose();
        let Ok(resume) = resume else {
            refuse(socket, encoding, request, Code::InvalidPosition, Some("resume"), shared);
            continue;
        };
        let claims = authenticate(&hello.token, hello.device, shared).await;
        let claims = claims.map_err(|(code, close)| {
            refuse(socket, encoding, request, code, Some("token"), shared);
            Some(close)
        })?;
        let (previous_session, largest_id) = (hello.previous_session, hello.largest_id);
        return Ok(Greeted { request, claims, previous_session, largest_id, resume });
    }
    Err(Some(Close::TooManyErrors))
}

async fn authenticate(token: &str, device: DeviceId, shared: &Shared) -> Result<Claims, (Code, Close)> {
    if token.len() > limits::TOKEN_BYTES.value {
        return Err((Code::InvalidToken, Close::InvalidToken));
    }
    match shared.accounts.authenticate(token, shared.clock.now()).await {
        Ok(claims) if claims.device == device => Ok(claims),
        Ok(_) | Err(TokenError::Invalid) => Err((Code::InvalidToken, Close::InvalidToken)),
        Err(TokenError::Revoked) => Err((Code::Revoked, Close::Revoked)),
        Err(TokenError::Unavailable(_)) => Err((Code::AccountsUnavailable, Close::Fault)),
    }
}

pub(crate) fn refuse(
    socket: &mut Socket,
    encoding: Encoding,
    request: u64,
    code: Code,
    field: Option<&'static str>,
    shared: &Shared,
) {
    shared.metrics.errors.of(code).inc();
    say(socket, encoding, request, &Reply::Error(error_body(code, field, None, None)));
}

/// A frame to a socket that has no session.
pub(crate) fn say(socket: &mut Socket, encoding: Encoding, request: u64, reply: &Reply<'_>) {
    let (op, body) = encode_reply(encoding, reply);
    // A peer that has gone is noticed by the next read.
    let _ = socket.write(kind_of(encoding), &[&join_reply(encoding, op, request, &body)]);
}

/// The type of frames that an encoding travels in.
pub(crate) fn kind_of(encoding: Encoding) -> Kind {
    match encoding {
        Encoding::MessagePack => Kind::Binary,
        Encoding::Json => Kind::Text,
    }
}

async fn first_frame(socket: &mut Socket, encoding: Encoding) -> Result<Vec<u8>, Option<Close>> {
    poll_fn(|cx| {
        let mut frame = None;
        let polled = socket.poll_read(cx, &mut |heard, _| match heard {
            Heard::Message(message) => {
                frame = Some((message.kind, message.data.to_vec()));
                ControlFlow::Break(())
            }
            Heard::Ping | Heard::Pong => ControlFlow::Continue(()),
        });
        // What a slow peer does not take leaves with the next poll.
        let _ = socket.poll_flush(cx);
        match (frame, polled) {
            (Some((kind, frame)), _) if kind == kind_of(encoding) => Poll::Ready(Ok(frame)),
            (Some(_), _) => Poll::Ready(Err(Some(Close::BadData))),
            (None, Poll::Ready(Err(Gone::ByUs(close)))) => Poll::Ready(Err(Some(close))),
            (None, Poll::Ready(Err(_))) => Poll::Ready(Err(None)),
            (None, _) => Poll::Pending,
        }
    })
    .await
}
