//! A handshake over a stream, both sides, by a deadline; that of TLS before it where a door speaks it. This is
//! where connections begin.
//!
//! While a peer says nothing, its connection costs a file handle and this future; bytes of an
//! unfinished handshake are kept, and no more of them than a handshake may have.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use volery_wire::codec::Encoding;

use crate::handshake::client::{Declined, Offer};
use crate::handshake::refusal::Refusal;
use crate::handshake::server::Upgrade;
use crate::outbound::Keys;
use crate::scratch::Reading;
use crate::socket::{Limits, Socket, discard};
use crate::stream::Stream;

/// What every TLS connection begins with: the type of a record of the handshake.
const TLS_HANDSHAKE: u8 = 22;
/// How long a refused peer may take to read why.
const REFUSAL_WITHIN: Duration = Duration::from_secs(1);

/// Why a connection became no socket.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The handshake was not complete in time.
    #[error("no handshake in time")]
    Late,
    /// The peer left.
    #[error("the peer left during the handshake")]
    Left,
    /// The request was refused, and the peer was told why.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The server said no.
    #[error("{0}")]
    Declined(#[from] Declined),
    /// The connection failed, or there is no TLS with this peer.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a request and answers it; by the `deadline` it is a socket or nothing.
///
/// # Errors
/// [`Rejected`]; the connection is closed then.
pub async fn accept(
    stream: impl Into<Stream>,
    limits: Limits,
    deadline: Instant,
) -> Result<(Socket, Encoding), Rejected> {
    let mut stream = stream.into();
    match timeout_at(deadline, upgrade(&mut stream)).await.unwrap_or(Err(Rejected::Late)) {
        Ok((upgrade, rest)) => Ok((Socket::new(stream, limits, None, &rest)?, upgrade.encoding)),
        Err(Rejected::Refused(refusal)) => told(stream, refusal).await,
        Err(rejected) => Err(rejected),
    }
}

/// The same at a door that speaks TLS; the deadline holds for both handshakes together.
///
/// # Errors
/// [`Rejected`]; the connection is closed then.
pub async fn accept_secured(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    limits: Limits,
    deadline: Instant,
) -> Result<(Socket, Encoding), Rejected> {
    let secured = async {
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => Err(Rejected::Left),
            // A person who forgot the s, most likely.
            _ if first != [TLS_HANDSHAKE] => told(stream.into(), Refusal::Unencrypted).await,
            _ => Ok(Stream::accepted(stream, config).await?),
        }
    };
    let stream = timeout_at(deadline, secured).await.unwrap_or(Err(Rejected::Late))?;
    accept(stream, limits, deadline).await
}

/// Told or not: the connection ends here.
async fn told<T>(mut stream: Stream, refusal: Refusal) -> Result<T, Rejected> {
    let _ = timeout(REFUSAL_WITHIN, refuse(&mut stream, refusal)).await;
    Err(refusal.into())
}

/// Asks for a socket that speaks `encoding`, over a stream to `host`. `nonce` is random, `keys`
/// mask what is written.
///
/// # Errors
/// [`Rejected`]; the connection is closed then.
pub async fn connect(
    stream: impl Into<Stream>,
    host: &str,
    offer: &Offer,
    keys: Keys,
    limits: Limits,
    deadline: Instant,
) -> Result<Socket, Rejected> {
    let mut stream = stream.into();
    let rest = timeout_at(deadline, ask(&mut stream, host, offer)).await.unwrap_or(Err(Rejected::Late))?;
    Ok(Socket::new(stream, limits, Some(keys), &rest)?)
}

async fn upgrade(stream: &mut Stream) -> Result<(Upgrade, Vec<u8>), Rejected> {
    let mut bytes = Vec::new();
    let upgrade = loop {
        receive(stream, &mut bytes).await?;
        if let Some(upgrade) = Upgrade::parse(&bytes)? {
            break upgrade;
        }
    };
    say(stream, &upgrade.response()).await?;
    let rest = bytes.split_off(upgrade.consumed);
    Ok((upgrade, rest))
}

async fn ask(stream: &mut Stream, host: &str, offer: &Offer) -> Result<Vec<u8>, Rejected> {
    say(stream, &offer.request(host)).await?;
    let mut bytes = Vec::new();
    loop {
        receive(stream, &mut bytes).await?;
        if let Some(consumed) = offer.check(&bytes)? {
            return Ok(bytes.split_off(consumed));
        }
    }
}

/// Adds what has arrived, up to one buffer of the thread.
async fn receive(stream: &mut Stream, bytes: &mut Vec<u8>) -> Result<(), Rejected> {
    poll_fn(|cx| poll_receive(stream, cx, bytes)).await
}

/// No buffer is held while nothing comes.
fn poll_receive(stream: &mut Stream, cx: &mut Context<'_>, bytes: &mut Vec<u8>) -> Poll<Result<(), Rejected>> {
    let mut buffer = Reading::take();
    let mut into = ReadBuf::new(&mut buffer);
    ready!(stream.poll_read(cx, &mut into))?;
    bytes.extend_from_slice(into.filled());
    Poll::Ready(if into.filled().is_empty() { Err(Rejected::Left) } else { Ok(()) })
}

/// Writes all of it.
async fn say(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let mut sent = 0;
    poll_fn(|cx| {
        loop {
            let gone = match bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                Some(rest) => stream.try_write(rest).map(|taken| sent += taken),
                None => stream.try_flush(),
            };
            match gone {
                Ok(()) if sent >= bytes.len() && stream.unsent() == 0 => return Poll::Ready(Ok(())),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    })
    .await
}

async fn refuse(stream: &mut Stream, refusal: Refusal) -> io::Result<()> {
    say(stream, &refusal.response()).await?;
    stream.shutdown().await?;
    discard(stream).await
}
