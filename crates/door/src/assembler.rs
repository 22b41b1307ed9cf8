//! Bytes in, messages out: the pure half of reading a WebSocket.
//!
//! A frame that lies whole in the input is lent out of it, unmasked in place; only what is
//! unfinished is kept, in one box that is gone when nothing is. Trap avoided: text is validated as
//! it arrives, so a broken one is refused before its sender finishes it.
//!
//! Time is the owner's: [`Assembler::unfinished`] names the message that has begun and has not
//! ended, and the owner decides how long it may take.

use std::borrow::Cow;
use std::mem;

use volery_kernel::code::Close;

use crate::close;
use crate::frame::{Header, Kind, Opcode, Role};
use crate::mask;

mod partial;

use partial::{Frame, Partial};

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Text is valid UTF-8.
    pub kind: Kind,
    /// Its payload: lent from the input unless it came in pieces.
    pub data: Cow<'a, [u8]>,
}

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It sent a message.
    Message(Message<'a>),
    /// It wants a pong with this payload.
    Ping(Cow<'a, [u8]>),
    /// It answers a ping, or says that it lives.
    Pong(Cow<'a, [u8]>),
    /// It closes, with this number and reason. Nothing follows.
    Close(Option<(u16, String)>),
    /// It broke the rules and is to be closed so. Nothing follows.
    Violation(Close),
}

/// The state of one direction of a connection.
#[derive(Debug)]
pub struct Assembler {
    role: Role,
    over: bool,
    most: u32,
    begun: u32,
    partial: Option<Box<Partial>>,
}

impl Assembler {
    /// A connection at its beginning; messages of more than `most` bytes are refused by their
    /// header.
    #[must_use]
    pub const fn new(role: Role, most: u32) -> Self {
        Self { role, over: false, most, begun: 0, partial: None }
    }

    /// Takes bytes from `input` up to the next event; `None` when all of them are taken.
    /// After [`Event::Close`] and [`Event::Violation`] the rest is ignored.
    pub fn next<'a>(&mut self, input: &mut &'a mut [u8]) -> Option<Event<'a>> {
        if self.over {
            *input = &mut [];
            return None;
        }
        let event = self.step(input).unwrap_or_else(|close| Some(Event::Violation(close)));
        self.over = matches!(event, Some(Event::Close(_) | Event::Violation(_)));
        if self.over || self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
        event
    }

    /// The number of the message (or control frame) that has begun and has not ended. The same
    /// number seen again later is the same message still.
    #[must_use]
    pub fn unfinished(&self) -> Option<u32> {
        self.partial.is_some().then_some(self.begun)
    }

    /// Bytes held for what is unfinished.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.capacity())
    }

    fn step<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Close> {
        while !input.is_empty() {
            let Some(frame) = self.frame(input)? else { return Ok(None) };
            let piece = take(input, frame.length - frame.at);
            if let Some(event) = self.payload(frame, piece)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The frame that goes on or begins; `None` if its header is not complete.
    fn frame(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, Close> {
        if let Some(frame) = self.partial.as_mut().and_then(|partial| partial.frame.take()) {
            return Ok(Some(frame));
        }
        let Some(header) = self.header(input)? else { return Ok(None) };
        let length = self.admit(&header)?;
        Ok(Some(Frame { header, length, at: 0 }))
    }

    fn header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Close> {
        if let Some(partial) = self.partial.as_mut().filter(|partial| partial.head_size > 0) {
            return partial.complete_header(input, self.role);
        }
        let header = Header::parse(input, self.role)?;
        match &header {
            Some(header) => drop(take(input, header.size)),
            None => {
                let role = self.role;
                return self.begin().complete_header(input, role);
            }
        }
        Ok(header)
    }

    /// Whether a frame may come now, and its length.
    fn admit(&self, header: &Header) -> Result<usize, Close> {
        let gathered = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        match (header.opcode, gathered) {
            (Opcode::Continuation, None) | (Opcode::Data(_), Some(_)) => Err(Close::ProtocolError),
            (opcode, gathered) => {
                let before = gathered.map_or(0, |message| message.data.len() as u64);
                let fits = opcode.is_control() || header.length.saturating_add(before) <= u64::from(self.most);
                if fits { usize::try_from(header.length).map_err(|_| Close::TooLarge) } else { Err(Close::TooLarge) }
            }
        }
    }

    fn payload<'a>(&mut self, mut frame: Frame, piece: &'a mut [u8]) -> Result<Option<Event<'a>>, Close> {
        if piece.is_empty() && frame.length > 0 {
            // Nothing of it has come: it may still come whole.
            self.begin().frame = Some(frame);
            return Ok(None);
        }
        if let Some(key) = frame.header.key {
            mask::apply(piece, key, frame.at);
        }
        let lent = piece.len() == frame.length && !joins(&frame.header);
        if lent {
            return event(frame.header.opcode, Cow::Borrowed(piece)).map(Some);
        }
        frame.at += piece.len();
        let partial = self.begin();
        partial.gather(frame.header.opcode, piece)?;
        if frame.at < frame.length {
            partial.frame = Some(frame);
            return Ok(None);
        }
        partial.end(&frame.header)
    }

    fn begin(&mut self) -> &mut Partial {
        self.partial.get_or_insert_with(|| {
            self.begun = self.begun.wrapping_add(1);
            Box::default()
        })
    }
}

/// Whether a frame is a part of a message of several.
const fn joins(header: &Header) -> bool {
    !header.fin || matches!(header.opcode, Opcode::Continuation)
}

/// The event of a whole frame.
fn event(opcode: Opcode, data: Cow<'_, [u8]>) -> Result<Event<'_>, Close> {
    Ok(match opcode {
        Opcode::Data(Kind::Text) if std::str::from_utf8(&data).is_err() => return Err(Close::InvalidUtf8),
        Opcode::Data(kind) => Event::Message(Message { kind, data }),
        Opcode::Ping => Event::Ping(data),
        Opcode::Pong => Event::Pong(data),
        Opcode::Close => Event::Close(close::parse(&data)?.map(|(number, reason)| (number, reason.to_owned()))),
        Opcode::Continuation => return Err(Close::ProtocolError),
    })
}

/// Splits up to `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a mut [u8], most: usize) -> &'a mut [u8] {
    let all = mem::take(input);
    let (front, rest) = all.split_at_mut(most.min(all.len()));
    *input = rest;
    front
}
