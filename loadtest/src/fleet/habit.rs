//! What the person in front of a device does: a decision from the time and from what the device
//! shows. Pure: no clock, no socket, and its randomness is its own seed.

use volery_client::device::Device;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};
use volery_wire::client::Shown;

/// Something that a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Writes a message that was meant to be sent at `meant`, in ns of the monotonic clock.
    Say {
        /// To whom.
        to: UserId,
        /// When it was meant to go; latencies begin there.
        meant: u64,
    },
    /// Changes a message of a direct chat.
    Change {
        /// The other side of the chat.
        to: UserId,
        /// The message.
        id: Id,
        /// How.
        change: Change,
    },
    /// Looks at a chat: its newest page is read.
    Open(ChatId),
    /// Scrolls up: a page of older messages is read.
    Older(ChatId),
    /// Has seen messages.
    Read(ChatId, Shown),
}

/// What a person does to a message that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives one's own another text.
    Edit,
    /// Takes one's own away.
    Delete,
    /// Reacts with this, in place of one's reaction before.
    React(&'static str),
    /// Takes one's reaction back.
    Unreact,
}

/// See the module.
pub trait Habit {
    /// When it wants to act next though nothing happens, in ns of the monotonic clock.
    fn due(&self) -> Option<u64>;

    /// Acts, after anything that happened to the device and whenever due.
    fn act(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>);
}

/// Does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Habit for Quiet {
    fn due(&self) -> Option<u64> {
        None
    }

    fn act(&mut self, _: u64, _: &Device, _: &mut Vec<Wish>) {}
}

/// Keeps a number of messages unconfirmed, for ever.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// To whom.
    pub to: UserId,
    /// How many.
    pub window: usize,
}

impl Habit for Flood {
    fn due(&self) -> Option<u64> {
        None
    }

    fn act(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>) {
        let under_way = device.core().outbox().items().count();
        let say = Wish::Say { to: self.to, meant: now };
        wishes.extend(std::iter::repeat_n(say, self.window.saturating_sub(under_way)));
    }
}

/// Sends at fixed times, whatever became of what was sent before.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// To whom.
    pub to: UserId,
    /// When the next one goes.
    pub next: u64,
    /// Nanoseconds from one to the next.
    pub every: u64,
}

impl Habit for Pace {
    fn due(&self) -> Option<u64> {
        Some(self.next)
    }

    fn act(&mut self, now: u64, _: &Device, wishes: &mut Vec<Wish>) {
        while self.next <= now {
            wishes.push(Wish::Say { to: self.to, meant: self.next });
            self.next += self.every.max(1);
        }
    }
}

/// Talks in turns: says a few things, looks now and then whether there is an answer, reads it, goes on.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    to: UserId,
    chat: ChatId,
    next: u64,
    left: u32,
}

impl Talk {
    /// Messages of a turn.
    const TURN: u32 = 4;
    /// From one message of a turn to the next, in ns.
    const GAP: u64 = 500_000_000;
    /// From one look at the chat to the next, in ns.
    const LOOK: u64 = 2_000_000_000;

    /// `me` writes to `to`; one of the two `begins`, a little after `from`, in ns.
    #[must_use]
    pub fn new(me: UserId, to: UserId, begins: bool, from: u64) -> Self {
        let chat = ChatId::direct(me, to);
        // Not all at once: ids spread.
        let next = from + me.0.get().wrapping_mul(0x9E37_79B9_7F4A_7C15) % Self::LOOK;
        Self { to, chat, next, left: if begins { Self::TURN } else { 0 } }
    }

    /// How far the chat shows what is not read yet, if there is anything.
    fn unread(&self, device: &Device) -> Option<Shown> {
        let chat = device.view().chat(self.chat).filter(|chat| chat.unread() > 0)?;
        chat.shown(chat.timeline.lines())
    }
}

impl Habit for Talk {
    fn due(&self) -> Option<u64> {
        Some(self.next)
    }

    fn act(&mut self, now: u64, device: &Device, wishes: &mut Vec<Wish>) {
        if now < self.next {
            return;
        }
        if self.left > 0 {
            wishes.push(Wish::Say { to: self.to, meant: now });
            self.left -= 1;
        } else if let Some(shown) = self.unread(device) {
            wishes.push(Wish::Read(self.chat, shown));
            self.left = Self::TURN;
        }
        self.next = now + if self.left > 0 { Self::GAP } else { Self::LOOK };
    }
}

#[cfg(test)]
mod tests {
    use volery_client::state::State;
    use volery_client::view::View;
    use volery_kernel::id::DeviceId;

    use super::*;

    fn user(raw: u64) -> UserId {
        UserId::new(raw).expect("an id")
    }

    fn quiet() -> Device {
        let device = DeviceId::new(3).expect("an id");
        Device::keeping(device, View::new(user(1), device), &State::default(), false)
    }

    #[test]
    fn a_pace_is_kept_from_the_intended_times() {
        let (device, b) = (quiet(), user(2));
        let mut pace = Pace { to: b, next: 100, every: 50 };
        let mut wishes = Vec::new();
        pace.act(99, &device, &mut wishes);
        assert!(wishes.is_empty());
        pace.act(210, &device, &mut wishes);
        let meant = |meant| Wish::Say { to: b, meant };
        assert_eq!(wishes, [meant(100), meant(150), meant(200)]);
        assert_eq!(pace.due(), Some(250));
    }

    #[test]
    fn who_talks_says_a_turn_and_waits_for_an_answer() {
        let device = quiet();
        let (mut first, mut second) = (Talk::new(user(1), user(2), true, 0), Talk::new(user(2), user(1), false, 0));
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for now in (0..20).map(|at| at * Talk::GAP) {
            first.act(now, &device, &mut said);
            second.act(now, &device, &mut heard);
        }
        assert_eq!((said.len(), heard.len()), (Talk::TURN as usize, 0));
    }

    #[test]
    fn a_flood_fills_its_window() {
        let (device, b) = (quiet(), user(2));
        let mut wishes = Vec::new();
        Flood { to: b, window: 4 }.act(7, &device, &mut wishes);
        assert_eq!(wishes, [Wish::Say { to: b, meant: 7 }; 4]);
    }
}
