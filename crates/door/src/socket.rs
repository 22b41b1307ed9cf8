//! A WebSocket over a stream, polled by the actor that owns it, on the thread where it lives.
//!
//! In each of its polls the owner calls [`Socket::poll_read`], then [`Socket::poll_flush`]; it
//! writes whenever it likes. Reading uses the thread's buffer; a socket keeps bytes of its own only
//! for a frame that is unfinished, while the owner pauses, or while the peer is slow. Replies
//! written from within the reading callback leave together, in one syscall.
//!
//! Pings are answered and closes echoed here. Time is the owner's: see [`Socket::unfinished`] and
//! [`Socket::finish`].

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::ReadBuf;
use volery_kernel::code::Close;
use volery_kernel::limits;

use crate::assembler::{Assembler, Message};
use crate::frame::{Kind, Opcode};
use crate::outbound::{Keys, Outbound, Written};
use crate::scratch::{READ_BYTES, Reading};
use crate::stream::Stream;

mod reading;

/// Bytes that a closing socket still reads and drops, so that its peer reads the close frame
/// instead of a reset.
const DISCARD_BYTES: usize = 16 * READ_BYTES;

/// What bounds a socket.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest message that is read, in bytes.
    pub message: u32,
    /// Bytes that wait for a slow peer; a frame that does not fit is not taken.
    pub queue: u32,
}

impl Default for Limits {
    /// A node's, towards its clients.
    fn default() -> Self {
        let most = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { message: most(limits::FRAME_BYTES.value), queue: most(limits::SOCKET_QUEUE_BYTES.value) }
    }
}

/// What the peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A message.
    Message(Message<'a>),
    /// A ping, answered already.
    Ping,
    /// A pong.
    Pong,
}

/// The owner asked for a pause; what was read beyond it is kept for the next `poll_read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused;

/// Why nothing more is read. The owner then calls [`Socket::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The peer closed, with this number; its close was echoed.
    #[error("closed by the peer: {0:?}")]
    ByPeer(Option<u16>),
    /// We closed, because the peer broke the protocol or because the owner said so.
    #[error("closed: {}", .0.text())]
    ByUs(Close),
    /// The connection ended without a close frame.
    #[error("ended without a close")]
    Ended,
    /// The connection failed.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    assembler: Assembler,
    /// Read and not handed over yet: not empty only while the owner pauses.
    rest: BytesMut,
    out: Outbound,
    gone: Option<Gone>,
}

/// A socket between two threads: [`Socket::into_parts`], then [`Socket::from_parts`].
#[derive(Debug)]
pub struct Parts {
    stream: Stream<std::net::TcpStream>,
    assembler: Assembler,
    rest: BytesMut,
    out: Outbound,
    gone: Option<Gone>,
}

impl Socket {
    /// A socket whose handshake is done. `rest` is what was read beyond the handshake; `keys` make
    /// it a client's, which masks what it writes.
    ///
    /// # Errors
    /// The stream's, when it refuses to be set to send small frames at once.
    pub fn new(stream: Stream, limits: Limits, keys: Option<Keys>, rest: &[u8]) -> io::Result<Self> {
        stream.set_nodelay()?;
        let out = Outbound::new(limits.queue, keys);
        let assembler = Assembler::new(out.role(), limits.message);
        Ok(Self { stream, assembler, rest: BytesMut::from(rest), out, gone: None })
    }

    /// Takes the socket off this thread's runtime, with everything read and queued.
    ///
    /// # Errors
    /// The runtime's, when it cannot give up the stream.
    pub fn into_parts(self) -> io::Result<Parts> {
        let Self { stream, assembler, rest, out, gone } = self;
        Ok(Parts { stream: stream.into_std()?, assembler, rest, out, gone })
    }

    /// Takes the socket onto this thread's runtime.
    ///
    /// # Errors
    /// The runtime's, when it cannot watch the stream.
    pub fn from_parts(parts: Parts) -> io::Result<Self> {
        let Parts { stream, assembler, rest, out, gone } = parts;
        Ok(Self { stream: Stream::from_std(stream)?, assembler, rest, out, gone })
    }

    /// Writes a frame of these parts: to the kernel if it takes it, else into the queue.
    ///
    /// # Errors
    /// [`Gone`] if the connection is no more.
    pub fn write(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<Written, Gone> {
        self.out.write(&mut self.stream, Opcode::Data(kind), parts)
    }

    /// Sends a ping without a payload.
    ///
    /// # Errors
    /// [`Gone`] if the connection is no more.
    pub fn ping(&mut self) -> Result<Written, Gone> {
        self.out.write(&mut self.stream, Opcode::Ping, &[])
    }

    /// Gathers the frames that follow until [`Socket::uncork`]. Does not nest.
    pub fn cork(&mut self) {
        self.out.set_cork(true);
    }

    /// Writes what was gathered, in one syscall if the kernel takes it.
    ///
    /// # Errors
    /// [`Gone`] if the connection is no more.
    pub fn uncork(&mut self) -> Result<Written, Gone> {
        self.out.set_cork(false);
        self.out.flush(&mut self.stream)
    }

    /// Writes what is queued; ready when nothing is.
    ///
    /// # Errors
    /// [`Gone`] if the connection is no more.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while self.queued() > 0 {
            ready!(self.stream.poll_write_ready(cx)).map_err(|error| Gone::Io(error.kind()))?;
            self.out.flush(&mut self.stream)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a close frame, the last frame, and reads no more. [`Socket::finish`] comes next.
    pub fn close(&mut self, code: Close) {
        self.out.end(&mut self.stream, Some(code.number()), code.text());
        self.gone.get_or_insert(Gone::ByUs(code));
    }

    /// Sends what is queued, then waits until the peer ends the connection too; at most for
    /// `within`, then it is cut.
    pub async fn finish(mut self, within: Duration) {
        // Whether in time or not: the stream is dropped now.
        let _ = tokio::time::timeout(within, self.wind_up()).await;
    }

    /// The number of the message that has begun and has not ended, if there is one. If it is the
    /// same a while later, the peer takes that long for one message.
    #[must_use]
    pub fn unfinished(&self) -> Option<u32> {
        self.assembler.unfinished()
    }

    /// Bytes that wait for the peer.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.pending() + self.stream.unsent()
    }

    /// Bytes on the heap that are this socket's own, beside the keys of TLS: none while it is idle.
    #[must_use]
    pub fn held(&self) -> usize {
        self.assembler.held() + self.rest.capacity() + self.out.capacity() + self.stream.held()
    }

    async fn wind_up(&mut self) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        let ended = async {
            self.stream.shutdown().await?;
            discard(&mut self.stream).await
        };
        ended.await.map_err(|error| Gone::Io(error.kind()))
    }
}

/// Reads and drops what still comes, to the end of the connection or to a bound.
pub(crate) async fn discard(stream: &mut Stream) -> io::Result<()> {
    let mut left = DISCARD_BYTES;
    while left > 0 {
        let read = poll_fn(|cx| poll_discard(stream, cx)).await?;
        if read == 0 {
            return Ok(());
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}

fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut buffer = Reading::take();
    let mut into = ReadBuf::new(&mut buffer);
    ready!(stream.poll_read(cx, &mut into))?;
    Poll::Ready(Ok(into.filled().len()))
}
