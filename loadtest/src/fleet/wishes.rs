//! What the person in front of a device wishes, handed to the device. What is said or changed gets a name, and is
//! counted and recorded. Trap avoided: a send may leave within the step that takes it, so the recorder is told of its
//! number within that step.

use std::rc::Rc;

use volery_checker::text::Label;
use volery_client::intent::Act;
use volery_client::view::Chat;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};

use super::habit::{Change, Wish};
use super::unit::Unit;
use crate::clock;
use crate::tally;

impl Unit {
    pub(super) fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Say { to, meant } => self.say(to, meant),
            Wish::Change { to, id, change } => self.change(to, id, change),
            Wish::Open(chat) => self.step(|device, turn| device.open(Some(chat), turn)),
            Wish::Older(chat) => drop(self.step(|device, turn| device.older(chat, turn))),
            Wish::Read(chat, shown) => self.step(|device, turn| device.read(chat, shown, turn)),
        }
    }

    fn say(&mut self, to: UserId, meant: u64) {
        let label = self.next_label();
        let text = self.text(label, meant);
        self.world.tally.borrow_mut().wanted += 1;
        self.want(to, label, Act::Say { text, reply_to: None });
    }

    fn change(&mut self, to: UserId, id: Id, change: Change) {
        let label = self.next_label();
        let act = match change {
            Change::Edit => Act::Edit { id, text: self.text(label, clock::nanos()) },
            Change::Delete => Act::Delete { id },
            Change::React(emoji) => Act::React { id, emoji: emoji.to_owned() },
            Change::Unreact => Act::Unreact { id },
        };
        self.want(to, label, act);
    }

    fn next_label(&mut self) -> Label {
        self.labels += 1;
        Label { device: self.number as u32, number: self.labels }
    }

    fn text(&self, label: Label, meant: u64) -> String {
        tally::text(&label.to_string(), meant, self.world.bytes)
    }

    fn want(&mut self, to: UserId, label: Label, act: Act) {
        let (chat, world) = (ChatId::direct(self.account.user, to), Rc::clone(&self.world));
        let after = self.device.view().chat(chat).map(Chat::newest).unwrap_or_default();
        world.recorded(|recorder| recorder.wanted(label, chat, &act, after));
        let local = self.step(|device, turn| {
            let local = device.intend(to, act, clock::wall(), turn).ok();
            world.recorded(|recorder| recorder.taken(label, local));
            local
        });
        if local.is_none() {
            let mut tally = self.world.tally.borrow_mut();
            tally.failed += 1;
            tally.error("outbox_full");
        }
    }
}
