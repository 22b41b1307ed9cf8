//! A handshake over a TCP stream, both sides, by a deadline. This is where connections begin.
//!
//! While a peer says nothing, its connection costs a file handle and this future; bytes of an
//! unfinished handshake are kept, and no more of them than a handshake may have.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use volery_wire::codec::Encoding;

use crate::handshake::client::{Declined, Offer};
use crate::handshake::refusal::Refusal;
use crate::handshake::server::Upgrade;
use crate::outbound::Keys;
use crate::scratch::Reading;
use crate::socket::{Limits, Socket, discard};

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
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a request and answers it; by the `deadline` it is a socket or nothing.
///
/// # Errors
/// [`Rejected`]; the connection is closed then.
pub async fn accept(mut stream: TcpStream, limits: Limits, deadline: Instant) -> Result<(Socket, Encoding), Rejected> {
    match timeout_at(deadline, upgrade(&mut stream)).await.unwrap_or(Err(Rejected::Late)) {
        Ok((upgrade, rest)) => Ok((Socket::new(stream, limits, None, &rest)?, upgrade.encoding)),
        Err(Rejected::Refused(refusal)) => {
            // Told or not: the connection ends here.
            let _ = timeout(REFUSAL_WITHIN, refuse(&mut stream, refusal)).await;
            Err(refusal.into())
        }
        Err(rejected) => Err(rejected),
    }
}

/// Asks for a socket that speaks `encoding`, over a stream to `host`. `nonce` is random, `keys`
/// mask what is written.
///
/// # Errors
/// [`Rejected`]; the connection is closed then.
pub async fn connect(
    mut stream: TcpStream,
    host: &str,
    offer: &Offer,
    keys: Keys,
    limits: Limits,
    deadline: Instant,
) -> Result<Socket, Rejected> {
    let rest = timeout_at(deadline, ask(&mut stream, host, offer)).await.unwrap_or(Err(Rejected::Late))?;
    Ok(Socket::new(stream, limits, Some(keys), &rest)?)
}

async fn upgrade(stream: &mut TcpStream) -> Result<(Upgrade, Vec<u8>), Rejected> {
    let mut bytes = Vec::new();
    let upgrade = loop {
        receive(stream, &mut bytes).await?;
        if let Some(upgrade) = Upgrade::parse(&bytes)? {
            break upgrade;
        }
    };
    stream.write_all(&upgrade.response()).await?;
    let rest = bytes.split_off(upgrade.consumed);
    Ok((upgrade, rest))
}

async fn ask(stream: &mut TcpStream, host: &str, offer: &Offer) -> Result<Vec<u8>, Rejected> {
    stream.write_all(&offer.request(host)).await?;
    let mut bytes = Vec::new();
    loop {
        receive(stream, &mut bytes).await?;
        if let Some(consumed) = offer.check(&bytes)? {
            return Ok(bytes.split_off(consumed));
        }
    }
}

/// Adds what has arrived, up to one buffer of the thread.
async fn receive(stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<(), Rejected> {
    loop {
        stream.readable().await?;
        let mut buffer = Reading::take();
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(Rejected::Left),
            Ok(read) => {
                bytes.extend_from_slice(&buffer[..read]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn refuse(stream: &mut TcpStream, refusal: Refusal) -> io::Result<()> {
    stream.write_all(&refusal.response()).await?;
    stream.shutdown().await?;
    discard(stream).await
}
