//! What a socket stands on: a TCP stream, or one with TLS on it. Which of them is a constructor; whoever reads
//! and writes cannot tell.
//!
//! A TLS stream at rest holds its keys and nothing else: it reads and seals in buffers of the thread, and keeps
//! bytes of its own only for a record that is unfinished, or that the kernel did not take. Trap avoided: bytes
//! that are sealed must be sent, in their order, so nothing is sealed while sealed ones wait.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use volery_kernel::limits;

mod records;

use crate::scratch::{self, Reading};
use records::{Opened, Plain, Records, Task};

/// Plain bytes that are sealed at once; as many wait at most for a kernel that takes nothing.
const SEALED_AT_ONCE: usize = 32_768;

/// See the module.
#[derive(Debug)]
pub struct Stream<T = TcpStream> {
    tcp: T,
    tls: Option<Box<Tls>>,
}

struct Tls {
    records: Records,
    /// The beginning of a record, or of what a handshake says over several.
    unread: Vec<u8>,
    /// What came behind the handshake's last word, and was not asked for yet.
    early: Vec<u8>,
    /// Sealed bytes that the kernel did not take.
    unsent: Vec<u8>,
    ended: bool,
    /// The other side broke the protocol, or could not be believed.
    failed: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }
}

impl Stream {
    /// The server's side of a TLS handshake; as long as the peer takes for it.
    ///
    /// # Errors
    /// The connection's, or why there is no TLS; the peer was told then.
    pub async fn accepted(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        Self::shake(tcp, Records::server(config).map_err(broken)?).await
    }

    /// The client's side, with a server that has to show a certificate of this name.
    ///
    /// # Errors
    /// The connection's, or why there is no TLS: the server's certificate above all.
    pub async fn connected(tcp: TcpStream, name: ServerName<'static>, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::shake(tcp, Records::client(config, name).map_err(broken)?).await
    }

    async fn shake(mut tcp: TcpStream, records: Records) -> io::Result<Self> {
        let mut tls = Box::new(Tls::new(records));
        let mut early = Vec::new();
        // A client speaks first.
        tls.open(&tcp, &mut [], &mut |plain| early.extend_from_slice(plain))?;
        loop {
            tls.send_all(&tcp).await?;
            if !tls.records.is_handshaking() {
                tls.early = early;
                return Ok(Self { tcp, tls: Some(tls) });
            }
            let more =
                std::future::poll_fn(|cx| tls.poll_records(&mut tcp, cx, &mut |plain| early.extend_from_slice(plain)));
            if !more.await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether small frames leave at once.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        self.tcp.set_nodelay(true)
    }

    /// Sealed bytes that wait for the kernel.
    pub(crate) fn unsent(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.unsent.len())
    }

    /// Bytes on the heap that are there for what is under way, beside the keys.
    pub(crate) fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.unread.capacity() + tls.early.capacity() + tls.unsent.capacity())
    }

    /// Gives bytes away; how many were taken. [`ErrorKind::WouldBlock`] while none can be.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.tcp.try_write(bytes),
            Some(tls) => tls.try_write(&self.tcp, bytes),
        }
    }

    /// The same for bytes in several places.
    pub(crate) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.try_write_vectored(slices) };
        let mut gathered = scratch::take_writing();
        slices.iter().for_each(|slice| gathered.extend_from_slice(slice));
        let taken = tls.try_write(&self.tcp, &gathered);
        scratch::give_writing(gathered);
        taken
    }

    /// Gives the kernel sealed bytes that wait; [`ErrorKind::WouldBlock`] if some still do.
    pub(crate) fn try_flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.try_flush(&self.tcp))
    }

    /// Ready when the kernel may take something.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Reads what is there; nothing at the end of the connection. `into` is empty, and as large as the thread's
    /// buffer for reading.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            None => Pin::new(&mut self.tcp).poll_read(cx, into),
            Some(tls) => tls.poll_read(&mut self.tcp, cx, into),
        }
    }

    /// Sends the last word. What came before it is sent already.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.work(&self.tcp, Task::End)?;
            tls.send_all(&self.tcp).await?;
        }
        self.tcp.shutdown().await
    }

    /// Takes it off this thread's runtime.
    pub(crate) fn into_std(self) -> io::Result<Stream<std::net::TcpStream>> {
        Ok(Stream { tcp: self.tcp.into_std()?, tls: self.tls })
    }

    /// Takes it onto this thread's runtime.
    pub(crate) fn from_std(stream: Stream<std::net::TcpStream>) -> io::Result<Self> {
        Ok(Self { tcp: TcpStream::from_std(stream.tcp)?, tls: stream.tls })
    }
}

impl Tls {
    fn new(records: Records) -> Self {
        Self { records, unread: Vec::new(), early: Vec::new(), unsent: Vec::new(), ended: false, failed: false }
    }

    fn poll_read(&mut self, tcp: &mut TcpStream, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut early = mem::take(&mut self.early);
        let mut fill = |plain: &[u8]| {
            let (now, later) = plain.split_at(plain.len().min(into.remaining()));
            into.put_slice(now);
            later.to_vec()
        };
        if early.is_empty() {
            let mut some = false;
            while !some {
                let more = self.poll_records(tcp, cx, &mut |plain| {
                    some |= !plain.is_empty();
                    early.extend(fill(plain));
                });
                if !ready!(more)? {
                    break;
                }
            }
        } else {
            early = fill(&early);
        }
        self.early = early;
        Poll::Ready(Ok(()))
    }

    /// Reads once, and opens what came; false at the end of the connection.
    fn poll_records(&mut self, tcp: &mut TcpStream, cx: &mut Context<'_>, plain: Plain<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let (mut sealed, held) = (Reading::sealed(), self.unread.len());
        let mut into = ReadBuf::new(&mut sealed[held..]);
        ready!(Pin::new(&mut *tcp).poll_read(cx, &mut into))?;
        let read = into.filled().len();
        if read == 0 {
            self.ended = true;
            return Poll::Ready(Ok(false));
        }
        sealed[..held].copy_from_slice(&self.unread);
        self.open(tcp, &mut sealed[..held + read], plain)?;
        Poll::Ready(Ok(true))
    }

    /// Opens `sealed`, which begins with what was held, and holds the rest of it.
    fn open(&mut self, tcp: &TcpStream, sealed: &mut [u8], plain: Plain<'_>) -> io::Result<()> {
        let opened = self.run(tcp, sealed, Task::Open, plain)?;
        let rest = &sealed[opened.used..];
        if rest.len() > limits::TLS_RECORD_BYTES.value {
            return Err(ErrorKind::InvalidData.into());
        }
        self.unread = rest.to_vec();
        Ok(())
    }

    /// Does the task, with what is held at hand.
    fn work(&mut self, tcp: &TcpStream, task: Task<'_>) -> io::Result<()> {
        let (mut held, mut early) = (mem::take(&mut self.unread), mem::take(&mut self.early));
        let worked = self.run(tcp, &mut held, task, &mut |plain| early.extend_from_slice(plain));
        self.early = early;
        held.drain(..worked?.used);
        self.unread = held;
        Ok(())
    }

    fn run(&mut self, tcp: &TcpStream, sealed: &mut [u8], task: Task<'_>, plain: Plain<'_>) -> io::Result<Opened> {
        if self.failed {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let mut out = scratch::take_writing();
        let opened = self.records.run(sealed, task, plain, &mut out);
        self.failed = opened.is_err();
        let pushed = self.push(tcp, &out);
        scratch::give_writing(out);
        let opened = opened.map_err(broken)?;
        pushed?;
        self.ended |= opened.ended;
        Ok(opened)
    }

    fn try_write(&mut self, tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.try_flush(tcp)?;
        let taken = bytes.len().min(SEALED_AT_ONCE);
        self.work(tcp, Task::Seal(&bytes[..taken]))?;
        Ok(taken)
    }

    /// Sends bytes behind those that wait; what the kernel does not take waits too.
    fn push(&mut self, tcp: &TcpStream, sealed: &[u8]) -> io::Result<()> {
        let sent = if self.unsent.is_empty() && !sealed.is_empty() { tried(tcp.try_write(sealed))? } else { 0 };
        self.unsent.extend_from_slice(&sealed[sent..]);
        Ok(())
    }

    fn try_flush(&mut self, tcp: &TcpStream) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match tried(tcp.try_write(&self.unsent[sent..]))? {
                0 => {
                    self.unsent.drain(..sent);
                    return Err(ErrorKind::WouldBlock.into());
                }
                taken => sent += taken,
            }
        }
        // A stream at rest holds nothing.
        self.unsent = Vec::new();
        Ok(())
    }

    async fn send_all(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while let Err(error) = self.try_flush(tcp) {
            if error.kind() != ErrorKind::WouldBlock {
                return Err(error);
            }
            tcp.writable().await?;
        }
        Ok(())
    }
}

/// How many bytes the kernel took.
pub(crate) fn tried(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        other => other,
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
