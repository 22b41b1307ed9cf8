//! What the people at the devices do: talk, change what was said, try to change what others said,
//! answer, read.

use volery_client::intent::{Act, Draft};
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::time::Timestamp;

use crate::plan::SENDS_LEAST;
use crate::story::{What, tell};
use crate::world::{Task, World, user_of};

/// Whether a device is backed up is looked at this often.
const BACKUP_MS: u64 = 4_000;
/// Of so many looks in a thousand it is.
const BACKUP_PER_MILLE: u64 = 150;

impl World {
    /// Now and then a device is backed up.
    pub(crate) fn consider_backup(&mut self, n: usize) {
        if self.devices[n].gone {
            return;
        }
        self.at((self.now + BACKUP_MS).max(self.night_until), Task::BackUp(n));
        if self.rng.chance(BACKUP_PER_MILLE) && self.devices[n].core.is_some() {
            self.devices[n].back_up();
        }
    }

    /// A user says something, to anybody; on any device that runs, if this one does not.
    pub(crate) fn talk(&mut self, n: usize) {
        if self.healed && self.sends >= SENDS_LEAST {
            return;
        }
        let running = |n: &usize| self.devices[*n].core.is_some();
        let count = self.devices.len();
        let Some(n) = (n..n + count).map(|n| n % count).find(running) else {
            let at = (self.now + 500).max(self.night_until + 500);
            return self.at(at, Task::Talk(n));
        };
        let to = user_of(self.rng.index(self.plan.users));
        self.say(n, to);
    }

    /// People who are quick answer what they have just seen.
    pub(crate) fn consider_answer(&mut self, n: usize, to: UserId) {
        if self.rng.chance(300) {
            self.answers_left -= 1;
            let at = self.rng.within(1, 60);
            self.after(at, Task::Answer(n, to));
        }
    }

    pub(crate) fn answer_to(&mut self, n: usize, to: UserId) {
        if self.devices[n].core.is_some() && !self.healed {
            self.say(n, to);
        }
    }

    fn say(&mut self, n: usize, to: UserId) {
        let act = self.draw_act(n, to);
        let device = &self.devices[n];
        let chat = ChatId::direct(device.user, to);
        let synced = device.is_synced();
        let shown = device.view.shown_of(chat).filter(|_| synced);
        let shown = if self.plan.sends_mark && self.rng.chance(500) { shown } else { None };
        self.record_wish(n, chat, &act);
        tell!(self, [format!("d{n}"), label(&act)], "d{n} wants {} to u{to}", label(&act));
        let draft = Draft { to, act, at: Timestamp(self.now), shown };
        let _ = self.device(n, |core, turn| core.intend(draft, turn));
    }

    fn draw_act(&mut self, n: usize, to: UserId) -> Act {
        let chat = ChatId::direct(self.devices[n].user, to);
        let (forges, kind) = (self.rng.chance(100), self.rng.index(20));
        let view = &self.devices[n].view;
        let targets = match kind {
            3.. => [view.own(chat), view.others(chat)].concat(),
            _ if forges => view.others(chat),
            _ => view.own(chat),
        };
        self.devices[n].said += 1;
        let said = self.devices[n].said;
        if let Some(&id) = targets.get(self.rng.index(targets.len().max(1)))
            && kind < 5
        {
            if forges && kind < 3 {
                self.story.count(What::Forged);
            }
            return match kind {
                0 | 1 => Act::Edit { id, text: format!("d{n}.{said} (new)") },
                2 => Act::Delete { id },
                3 => Act::React { id, emoji: format!("🐦{n}.{said}") },
                _ => Act::Unreact { id },
            };
        }
        let mut text = format!("d{n}.{said}");
        if self.plan.long_texts && self.rng.chance(700) {
            text.push_str(&" long".repeat(1_500));
        }
        Act::Say { text, reply_to: None }
    }

    /// A user reads a chat.
    pub(crate) fn read(&mut self, n: usize) {
        if self.healed || !self.devices[n].is_synced() {
            return;
        }
        let chats: Vec<ChatId> = self.devices[n].view.chats().collect();
        if chats.is_empty() {
            return;
        }
        let chat = chats[self.rng.index(chats.len())];
        if let Some(shown) = self.devices[n].view.shown_of(chat) {
            tell!(self, [format!("d{n}")], "the user of d{n} reads {chat} up to {}", shown.source.offset());
            self.device(n, |core, turn| core.read(chat, shown, turn));
        }
    }
}

/// The word by which a text is known in stories and checks.
pub(crate) fn word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn label(act: &Act) -> String {
    match act {
        Act::Say { text, .. } => word(text),
        Act::Edit { id, text } => format!("edit of {id} to {}", word(text)),
        Act::Delete { id } => format!("deletion of {id}"),
        Act::React { id, .. } => format!("reaction to {id}"),
        Act::Unreact { id } => format!("no reaction to {id}"),
    }
}
