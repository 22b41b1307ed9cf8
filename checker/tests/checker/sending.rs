//! How a device of the honest world sends: the first that waits, a retry by its first key.

use volery_checker::history::{Act, What};
use volery_checker::text::Label;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};
use volery_wire::client::Shown;
use volery_wire::server::MarkKind;

use crate::device::{Key, Pending};
use crate::world::{Target as _, World, text};

/// What becomes of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    /// The connection ends before or after it was accepted.
    Lost {
        accepted: bool,
    },
    /// For good.
    Refused,
    /// For now: the connection ends.
    Busy,
}

impl World {
    /// The user wants something; the label names it.
    pub(crate) fn want(&mut self, n: u32, chat: ChatId, act: impl FnOnce(Label) -> Act) -> Label {
        self.start(n);
        let device = &mut self.devices[n as usize];
        device.wanted += 1;
        let label = Label { device: n, number: device.wanted };
        let act = act(label);
        let after = device.view.keys().filter(|(of, _)| *of == chat).map(|(_, id)| *id).max();
        device.queue.push_back(Pending { label, chat, act: act.clone(), key: None });
        self.tell(n, What::Wanted { label, chat, act, after });
        label
    }

    pub(crate) fn say(&mut self, n: u32, to: UserId) -> Label {
        let chat = ChatId::direct(self.devices[n as usize].user, to);
        self.want(n, chat, |label| Act::Say(text(label)))
    }

    /// Sends the first that waits.
    pub(crate) fn send(&mut self, n: u32, fate: Fate, shows: bool) {
        let device = &mut self.devices[n as usize];
        let (Some((session, numbers)), Some(pending)) = (device.session.as_mut(), device.queue.front_mut()) else {
            return;
        };
        let retry = pending.key.is_some();
        let key = *pending.key.get_or_insert_with(|| {
            *numbers += 1;
            (n, *session, *numbers)
        });
        let pending = pending.clone();
        let shown = device.shown(pending.chat).filter(|_| shows && device.is_synced && !retry);
        let (label, session, number) = (pending.label, key.1, key.2);
        self.tell(n, What::Sent { label, session, number, retry, shown });
        let taken = matches!(fate, Fate::Accepted | Fate::Lost { accepted: true }) || self.accepted.contains_key(&key);
        if taken {
            self.taken(n, &pending, key, shown);
        }
        self.answer(n, &pending, key, if taken && fate == Fate::Refused { Fate::Accepted } else { fate });
    }

    fn taken(&mut self, n: u32, pending: &Pending, key: Key, shown: Option<Shown>) {
        let user = self.devices[n as usize].user;
        let new = !self.accepted.contains_key(&key);
        self.accept(key, user, pending.chat, &pending.act, pending.label);
        if let Some(shown) = shown.filter(|_| new) {
            self.mark(user, pending.chat, MarkKind::Read, shown.source, false);
        }
    }

    fn answer(&mut self, n: u32, pending: &Pending, key: Key, fate: Fate) {
        let (label, session, number) = (pending.label, key.1, key.2);
        match fate {
            Fate::Accepted => {
                let (id, source) = self.accepted[&key];
                self.tell(n, What::Acked { session, number, id, source });
                self.devices[n as usize].queue.pop_front();
                self.tell(n, What::Ended { label, id: Some(id) });
                self.shows_own(n, pending.act.target_of().unwrap_or(id));
            }
            Fate::Lost { .. } => self.close(n),
            Fate::Refused => {
                self.tell(n, What::Refused { session, number, code: "unknown_recipient".to_owned() });
                self.devices[n as usize].queue.pop_front();
                self.tell(n, What::Ended { label, id: None });
            }
            Fate::Busy => {
                self.tell(n, What::Refused { session, number, code: "log_full".to_owned() });
                self.close(n);
            }
        }
    }

    fn shows_own(&mut self, n: u32, id: Id) {
        let row = self.stored[&id].row.clone();
        let view = &mut self.devices[n as usize].view;
        view.insert((row.chat, row.id), row);
    }
}
