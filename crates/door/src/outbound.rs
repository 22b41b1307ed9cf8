//! Writing: to the kernel at once, and into a bounded queue only what the kernel does not take.
//!
//! Syscalls are what messages cost, so a batch of small frames is gathered (corked) and written
//! once. Gathering uses a buffer of the thread; a socket owns a buffer only while its peer is slow.
//! When the queue is full a frame is not taken at all: half a frame would be the end of the
//! connection.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;

use volery_kernel::code::Close;

use crate::frame::{CONTROL_MOST, Head, Opcode, Role};
use crate::mask;
use crate::scratch;
use crate::socket::Gone;
use crate::stream::{Stream, tried};

/// Where a client's masking keys come from: fresh, unpredictable ones (RFC 6455 §5.3).
pub type Keys = Box<dyn FnMut() -> [u8; 4] + Send>;

/// Gathered bytes that are written although more may come.
const GATHER_BYTES: usize = 32_768;
/// Parts that are written without being copied together first.
const PARTS_MOST: usize = 7;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The kernel has all of it.
    Sent,
    /// It waits for `uncork`, or for the peer: `poll_flush` must be polled.
    Queued,
    /// Nothing of it was taken: the peer reads too slowly for another frame, or a close was sent.
    Full,
}

/// The writing half of a socket.
pub(crate) struct Outbound {
    queue: Vec<u8>,
    /// How much of the front of `queue` the kernel has.
    sent: usize,
    most: u32,
    corked: bool,
    /// A close frame is the last one.
    ended: bool,
    keys: Option<Keys>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("pending", &self.pending()).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A queue of at most `most` bytes; keys make it a client's.
    pub(crate) const fn new(most: u32, keys: Option<Keys>) -> Self {
        Self { queue: Vec::new(), sent: 0, most, corked: false, ended: false, keys }
    }

    pub(crate) const fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    pub(crate) const fn pending(&self) -> usize {
        self.queue.len() - self.sent
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Whether frames are gathered from now on; says whether they were.
    pub(crate) const fn set_cork(&mut self, corked: bool) -> bool {
        mem::replace(&mut self.corked, corked)
    }

    pub(crate) fn write(&mut self, stream: &mut Stream, opcode: Opcode, parts: &[&[u8]]) -> Result<Written, Gone> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let head = Head::new(opcode, length, self.keys.as_mut().map(|keys| keys()));
        let room = (self.most as usize).saturating_sub(self.pending() + stream.unsent());
        if self.ended || head.as_bytes().len() + length > room {
            return Ok(Written::Full);
        }
        if self.pending() == 0 && !self.corked && self.keys.is_none() && parts.len() <= PARTS_MOST {
            return self.write_through(stream, &head, parts);
        }
        self.gather(&head, parts);
        if self.corked && self.pending() < GATHER_BYTES {
            return Ok(Written::Queued);
        }
        self.flush(stream)
    }

    /// The last frame. It is taken even by a full queue, which it exceeds by one control frame.
    pub(crate) fn end(&mut self, stream: &mut Stream, number: Option<u16>, reason: &str) {
        if self.ended {
            return;
        }
        let number = number.map(u16::to_be_bytes);
        let number = number.as_ref().map_or(&[][..], |number| number);
        let reason = reason.as_bytes().get(..CONTROL_MOST - 2).unwrap_or(reason.as_bytes());
        let key = self.keys.as_mut().map(|keys| keys());
        self.gather(&Head::new(Opcode::Close, number.len() + reason.len(), key), &[number, reason]);
        self.ended = true;
        // An error here is met again, and reported, by whoever reads or flushes.
        let _ = self.flush(stream);
    }

    /// Writes what is queued, as far as the kernel takes it.
    pub(crate) fn flush(&mut self, stream: &mut Stream) -> Result<Written, Gone> {
        while self.pending() > 0 {
            let taken = taken(stream.try_write(&self.queue[self.sent..]))?;
            self.sent += taken;
            if taken == 0 {
                self.settle();
                return Ok(Written::Queued);
            }
        }
        self.sent = 0;
        scratch::give_writing(mem::take(&mut self.queue));
        match stream.try_flush() {
            Ok(()) => Ok(Written::Sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Written::Queued),
            Err(error) => Err(Gone::Io(error.kind())),
        }
    }

    fn write_through(&mut self, stream: &mut Stream, head: &Head, parts: &[&[u8]]) -> Result<Written, Gone> {
        let mut slices = [IoSlice::new(&[]); PARTS_MOST + 1];
        slices[0] = IoSlice::new(head.as_bytes());
        for (slice, part) in slices[1..].iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let mut taken = taken(stream.try_write_vectored(&slices[..=parts.len()]))?;
        for part in std::iter::once(head.as_bytes()).chain(parts.iter().copied()) {
            let skip = taken.min(part.len());
            taken -= skip;
            self.queue.extend_from_slice(&part[skip..]);
        }
        Ok(if self.queue.is_empty() && stream.unsent() == 0 { Written::Sent } else { Written::Queued })
    }

    fn gather(&mut self, head: &Head, parts: &[&[u8]]) {
        if self.queue.capacity() == 0 {
            self.queue = scratch::take_writing();
        }
        if self.sent > self.queue.len() / 2 {
            self.queue.drain(..mem::take(&mut self.sent));
        }
        self.queue.extend_from_slice(head.as_bytes());
        let payload = self.queue.len();
        parts.iter().for_each(|part| self.queue.extend_from_slice(part));
        if let Some(key) = head.key() {
            mask::apply(&mut self.queue[payload..], key, 0);
        }
    }

    /// What stays waits in a buffer of about its own size; the thread gets its buffer back. Each
    /// copy is of half of what the last one was, so a long queue is not copied again and again.
    fn settle(&mut self) {
        if self.queue.capacity() > 2 * self.pending() {
            let waiting = self.queue[mem::take(&mut self.sent)..].to_vec();
            scratch::give_writing(mem::replace(&mut self.queue, waiting));
        }
    }
}

/// Writing for the time of one batch: what the callback of `poll_read` answers with.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(crate) out: &'a mut Outbound,
    pub(crate) stream: &'a mut Stream,
    /// Reading ends when this is set.
    pub(crate) closed: Option<Close>,
}

impl Writer<'_> {
    /// Writes a frame of these parts, one after the other.
    ///
    /// # Errors
    /// [`Gone`] if the connection is no more.
    pub fn write(&mut self, opcode: Opcode, parts: &[&[u8]]) -> Result<Written, Gone> {
        self.out.write(self.stream, opcode, parts)
    }

    /// Bytes that wait: for the end of the batch, or for the peer.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.pending() + self.stream.unsent()
    }

    /// Sends a close frame: the last frame. Reading ends with it.
    pub fn close(&mut self, code: Close) {
        self.out.end(self.stream, Some(code.number()), code.text());
        self.closed.get_or_insert(code);
    }
}

/// How many bytes the stream took.
fn taken(result: io::Result<usize>) -> Result<usize, Gone> {
    tried(result).map_err(|error| Gone::Io(error.kind()))
}
