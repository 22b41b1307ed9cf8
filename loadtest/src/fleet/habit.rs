//! What the person in front of a device does: a decision from the time and from what the device
//! shows. Pure: no clock, no socket, and its randomness is its own seed.

use volery_client::device::Device;
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
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
    /// Looks at a chat: its newest page is read.
    Open(ChatId),
    /// Scrolls up: a page of older messages is read.
    Older(ChatId),
    /// Has seen messages.
    Read(ChatId, Shown),
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
    fn a_flood_fills_its_window() {
        let (device, b) = (quiet(), user(2));
        let mut wishes = Vec::new();
        Flood { to: b, window: 4 }.act(7, &device, &mut wishes);
        assert_eq!(wishes, [Wish::Say { to: b, meant: 7 }; 4]);
    }
}
