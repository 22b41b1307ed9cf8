//! What has begun and is not finished: the one thing an assembler allocates.

use std::borrow::Cow;
use std::mem;

use volery_kernel::code::Close;

use super::{Event, Message, event, take};
use crate::frame::{HEADER_MOST, Header, Kind, Opcode, Role};
use crate::utf8::Validator;

/// A header, a frame or a message of which more is to come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    head: [u8; HEADER_MOST],
    pub(super) head_size: usize,
    pub(super) frame: Option<Frame>,
    control: Vec<u8>,
    pub(super) message: Option<Gathered>,
}

/// A frame whose header is read, and how much of its payload is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) length: usize,
    pub(super) at: usize,
}

/// A message of several pieces.
#[derive(Debug)]
pub(super) struct Gathered {
    kind: Kind,
    pub(super) data: Vec<u8>,
    text: Validator,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.head_size == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(super) fn capacity(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, |message| message.data.capacity())
    }

    /// Takes bytes until the header is complete.
    pub(super) fn complete_header(&mut self, input: &mut &mut [u8], role: Role) -> Result<Option<Header>, Close> {
        while let [byte] = *take(input, 1) {
            self.head[self.head_size] = byte;
            self.head_size += 1;
            if let Some(header) = Header::parse(&self.head[..self.head_size], role)? {
                self.head_size = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    pub(super) fn gather(&mut self, opcode: Opcode, piece: &[u8]) -> Result<(), Close> {
        if opcode.is_control() {
            self.control.extend_from_slice(piece);
            return Ok(());
        }
        if let Opcode::Data(kind) = opcode {
            self.message.get_or_insert_with(|| Gathered { kind, data: Vec::new(), text: Validator::default() });
        }
        self.message.as_mut().map_or(Err(Close::ProtocolError), |message| message.push(piece))
    }

    /// Ends a frame: a control frame, or the message if this was its last.
    pub(super) fn end<'a>(&mut self, header: &Header) -> Result<Option<Event<'a>>, Close> {
        if header.opcode.is_control() {
            return event(header.opcode, Cow::Owned(mem::take(&mut self.control))).map(Some);
        }
        let message = if header.fin { self.message.take() } else { None };
        message.map(Gathered::finish).transpose()
    }
}

impl Gathered {
    fn push(&mut self, piece: &[u8]) -> Result<(), Close> {
        if self.kind == Kind::Text {
            self.text.feed(piece).map_err(|_| Close::InvalidUtf8)?;
        }
        self.data.extend_from_slice(piece);
        Ok(())
    }

    fn finish<'a>(self) -> Result<Event<'a>, Close> {
        self.text.finish().map_err(|_| Close::InvalidUtf8)?;
        Ok(Event::Message(Message { kind: self.kind, data: Cow::Owned(self.data) }))
    }
}
