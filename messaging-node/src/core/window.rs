//! What a session was sent and has not confirmed. Bounded in bytes; empty while nothing is under way.

use std::collections::VecDeque;

use volery_kernel::chat::ChatId;
use volery_kernel::event::Seen;
use volery_kernel::limits;
use volery_kernel::position::Offset;

/// An incoming message within a frame: what *delivered* follows from.
pub type Incoming = (ChatId, Seen);

struct Unconfirmed {
    bytes: u32,
    in_order: Option<Offset>,
    incoming: Option<Incoming>,
}

/// See the module.
#[derive(Default)]
pub struct Window {
    sent: u64,
    bytes: usize,
    frames: VecDeque<Unconfirmed>,
}

/// A confirmation of frames that were never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSent;

impl Window {
    /// Whether another event frame may be sent. One frame may overshoot the bound.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes < limits::WINDOW_BYTES.value
    }

    /// Whether enough was confirmed to go on after it was full: half of it.
    #[must_use]
    pub fn has_drained(&self) -> bool {
        self.bytes <= limits::WINDOW_BYTES.value / 2
    }

    /// Bytes sent and not confirmed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts a frame and gives it its number. `in_order`: its offset, if everything before it was sent.
    pub fn send(&mut self, bytes: usize, in_order: Option<Offset>, incoming: Option<Incoming>) -> u64 {
        self.sent += 1;
        self.bytes += bytes;
        self.frames.push_back(Unconfirmed { bytes: u32::try_from(bytes).unwrap_or(u32::MAX), in_order, incoming });
        self.sent
    }

    /// The first offset that was sent in order and not confirmed; `None` if there is none.
    #[must_use]
    pub fn unconfirmed_from(&self) -> Option<Offset> {
        self.frames.iter().find_map(|frame| frame.in_order)
    }

    /// Takes frames up to `n` as confirmed and tells what came in with them.
    ///
    /// # Errors
    /// [`NeverSent`], and nothing changes.
    pub fn confirm(&mut self, n: u64, mut held: impl FnMut(Incoming)) -> Result<(), NeverSent> {
        let left = self.sent.checked_sub(n).ok_or(NeverSent)?;
        while self.frames.len() as u64 > left {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.bytes as usize;
            if let Some(incoming) = frame.incoming {
                held(incoming);
            }
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
        Ok(())
    }
}
