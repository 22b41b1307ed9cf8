//! Reading in turns: what one socket reads at once is bounded, so that the others get theirs.

use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use super::{Gone, Heard, Paused, Socket};
use crate::assembler::Event;
use crate::frame::Opcode;
use crate::outbound::Writer;
use crate::scratch::{READ_BYTES, Reading};

/// What the owner does with what is heard; it breaks to pause.
type Ear<'a> = &'a mut dyn FnMut(Heard<'_>, &mut Writer<'_>) -> ControlFlow<()>;

impl Socket {
    /// Hands everything that can be read to `heard`, which may answer at once. Pending when nothing
    /// is left, or when this socket had its turn (it is woken again then).
    ///
    /// # Errors
    /// [`Gone`], from then on at every call.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        heard: &mut dyn FnMut(Heard<'_>, &mut Writer<'_>) -> ControlFlow<()>,
    ) -> Poll<Result<Paused, Gone>> {
        let polled = match self.gone {
            Some(gone) => Err(gone),
            None => ready!(self.read_turn(cx, heard)),
        };
        self.gone = polled.err();
        Poll::Ready(polled)
    }

    fn read_turn(&mut self, cx: &mut Context<'_>, heard: Ear<'_>) -> Poll<Result<Paused, Gone>> {
        if self.hear_rest(heard)?.is_break() {
            return Poll::Ready(Ok(Paused));
        }
        let mut buffer = Reading::take();
        let mut turn = READ_BYTES;
        while turn > 0 {
            let mut into = ReadBuf::new(&mut buffer);
            let read = ready!(self.stream.poll_read(cx, &mut into));
            read.map_err(|error| Gone::Io(error.kind()))?;
            let filled = into.filled_mut();
            if filled.is_empty() {
                return Poll::Ready(Err(Gone::Ended));
            }
            turn = turn.saturating_sub(filled.len());
            if let ControlFlow::Break(left) = self.hear(filled, heard)? {
                let from = filled.len() - left;
                self.rest.extend_from_slice(&filled[from..]);
                return Poll::Ready(Ok(Paused));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hear_rest(&mut self, heard: Ear<'_>) -> Result<ControlFlow<()>, Gone> {
        if self.rest.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut rest = std::mem::take(&mut self.rest);
        let ControlFlow::Break(left) = self.hear(&mut rest, heard)? else { return Ok(ControlFlow::Continue(())) };
        rest.advance(rest.len() - left);
        self.rest = if left > 0 { rest } else { BytesMut::new() };
        Ok(ControlFlow::Break(()))
    }

    /// Hands over what `input` holds; breaks with the number of bytes that are left.
    fn hear(&mut self, mut input: &mut [u8], heard: Ear<'_>) -> Result<ControlFlow<usize>, Gone> {
        let corked = self.out.set_cork(true);
        let mut writer = Writer { out: &mut self.out, stream: &mut self.stream, closed: None };
        let mut flow = Ok(ControlFlow::Continue(()));
        while let Ok(ControlFlow::Continue(())) = flow {
            let Some(event) = self.assembler.next(&mut input) else { break };
            flow = answered(event, &mut writer).map(|said| heard(said, &mut writer));
            flow = writer.closed.map_or(flow, |code| Err(Gone::ByUs(code)));
        }
        self.out.set_cork(corked);
        let flow = flow?;
        if !corked && self.out.pending() > 0 {
            self.out.flush(&mut self.stream)?;
        }
        Ok(if flow.is_break() { ControlFlow::Break(input.len()) } else { ControlFlow::Continue(()) })
    }
}

/// Does what the protocol itself asks for; the rest is for the owner.
fn answered<'a>(event: Event<'a>, writer: &mut Writer<'_>) -> Result<Heard<'a>, Gone> {
    match event {
        Event::Message(message) => Ok(Heard::Message(message)),
        Event::Pong(_) => Ok(Heard::Pong),
        // A pong that a full queue does not take is not owed: its peer reads nothing.
        Event::Ping(payload) => writer.write(Opcode::Pong, &[&payload]).map(|_| Heard::Ping),
        Event::Close(said) => {
            let number = said.map(|(number, _)| number);
            writer.out.end(writer.stream, number, "");
            Err(Gone::ByPeer(number))
        }
        Event::Violation(code) => {
            writer.close(code);
            Err(Gone::ByUs(code))
        }
    }
}
