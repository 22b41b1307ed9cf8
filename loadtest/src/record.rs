//! What every device did and saw, for the checker: pushed into memory as it happens, in the event
//! loop itself, and judged after the measured run.
//!
//! Not every send carries its name, as a deletion has no text: a name is found by the device's own number of what was
//! wanted, and that, for a send that leaves, by its key on the device's disk. Trap avoided: a device that starts anew
//! counts on from what waits, so its numbers come again; the latest name counts.

use std::collections::BTreeMap;

use volery_checker::frames;
use volery_checker::history::{Act, History, Row, What};
use volery_checker::text::{Label, Text};
use volery_client::intent::{self, Key, Local};
use volery_client::outbox::Ended;
use volery_client::state::{KeptKey, State};
use volery_client::view::Line;
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_wire::client::Request;
use volery_wire::server::{Reaction, Reply};

use crate::clock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Recorder {
    history: History,
    begun: u64,
    /// What was wanted and does not stand yet, by device.
    labels: BTreeMap<(u32, Local), Label>,
}

impl Recorder {
    pub(crate) fn new(of: String) -> Self {
        Self { history: History::new(of), begun: clock::nanos(), labels: BTreeMap::new() }
    }

    pub(crate) fn into_history(self) -> History {
        self.history
    }

    pub(crate) fn push(&mut self, device: u32, what: What) {
        self.history.push(clock::since(self.begun).as_micros() as u64, device, what);
    }

    /// The user of a device wants something.
    pub(crate) fn wanted(&mut self, label: Label, chat: ChatId, act: &intent::Act, after: Id) {
        let Some(act) = wish(act) else { return };
        let after = Some(after).filter(|after| *after > Id::ZERO);
        self.push(label.device, What::Wanted { label, chat, act, after });
    }

    /// The device took it under this number; or it takes no more, and its user is told so at once.
    pub(crate) fn taken(&mut self, label: Label, local: Option<Local>) {
        if let Some(local) = local {
            self.labels.insert((label.device, local), label);
        } else {
            self.push(label.device, What::Ended { label, id: None });
        }
    }

    /// A request is handed to the socket.
    pub(crate) fn request(&mut self, device: u32, session: SessionNumber, request: &Request<'_>, disk: &State) {
        let head = match request {
            Request::Send(send) => send.head(),
            Request::Edit(change) | Request::Delete(change) | Request::React(change) | Request::Unreact(change) => {
                change.head()
            }
            other => return frames::requested(other).into_iter().for_each(|what| self.push(device, what)),
        };
        let (session, number, retry) = (head.retry_of.unwrap_or(session), head.number, head.retry_of.is_some());
        if let Some(label) = self.label_of(device, (session, number), disk) {
            self.push(device, What::Sent { label, session, number, retry, shown: head.shown });
        }
    }

    /// The name of a send by its key. What leaves is mostly the newest that waits.
    fn label_of(&self, device: u32, (session, number): Key, disk: &State) -> Option<Label> {
        let is_key = |key: KeptKey| (key.session, key.number) == (session, number);
        let kept = disk.outbox.values().rev().find(|kept| kept.key.is_some_and(is_key))?;
        self.labels.get(&(device, kept.intent.local)).copied()
    }

    /// A frame came in on the present socket.
    pub(crate) fn reply(&mut self, device: u32, session: SessionNumber, reply: &Reply<'_>) {
        let what = frames::told(session, reply).into_iter().chain(frames::shown(reply));
        what.for_each(|what| self.push(device, what));
    }

    /// An intent came to its end. What failed may turn out to stand after all: it keeps its name.
    pub(crate) fn ended(&mut self, device: u32, ended: &Ended) {
        let at = (device, ended.intent.local);
        let Some(label) = self.labels.get(&at).copied() else { return };
        let id = ended.outcome.as_ref().ok().map(|taken| taken.id);
        if id.is_some() {
            self.labels.remove(&at);
        }
        self.push(device, What::Ended { label, id });
    }
}

/// As the checker says it; `None` of a text without a name.
fn wish(act: &intent::Act) -> Option<Act> {
    Some(match act {
        intent::Act::Say { text, .. } => Act::Say(Text::of(text).ok()?),
        intent::Act::Edit { id, text } => Act::Edit { target: *id, text: Text::of(text).ok()? },
        intent::Act::Delete { id } => Act::Delete(*id),
        intent::Act::React { id, emoji } => Act::React { target: *id, emoji: emoji.clone() },
        intent::Act::Unreact { id } => Act::React { target: *id, emoji: String::new() },
    })
}

/// A line of a view.
pub(crate) fn row_of_line(chat: ChatId, line: &Line) -> Row {
    let text = Text::of(&line.text).ok().filter(|_| line.deleted.is_none());
    let reaction = |(by, change, emoji): (UserId, Id, &str)| Reaction { by, emoji: emoji.to_owned(), change };
    let reactions = line.newest_reactions().map(reaction).collect();
    Row { chat, id: line.id, from: line.from, source: line.source, text, reactions }
}

#[cfg(test)]
mod tests {
    use volery_client::intent::{Act as Wanted, Intent};
    use volery_client::outbox::Taken;
    use volery_client::state::Change;
    use volery_kernel::time::Timestamp;

    use super::*;

    fn id(raw: u64) -> Id {
        Id::new(raw).expect("an id")
    }

    /// A device wants this as its first thing, and sends it.
    fn sends(recorder: &mut Recorder, disk: &mut State, label: Label, act: Wanted, number: u32) -> Intent {
        let (session, me, to) = (SessionNumber(id(9)), UserId(id(1)), UserId(id(2)));
        recorder.wanted(label, ChatId::direct(me, to), &act, Id::ZERO);
        recorder.taken(label, Some(0));
        let intent = Intent { local: 0, to, act, at: Timestamp(1), shown: None };
        disk.apply(Change::Wanted(intent.clone()));
        disk.apply(Change::Keyed { local: 0, session, number });
        recorder.request(label.device, session, &intent.request(number, 0, None, None), disk);
        intent
    }

    #[test]
    fn changes_are_known_by_their_keys_and_a_number_that_comes_again_names_what_is_new() {
        let (mut recorder, mut disk) = (Recorder::new("a test".to_owned()), State::default());
        let label = |number| Label { device: 3, number };
        let intent = sends(&mut recorder, &mut disk, label(1), Wanted::Delete { id: id(5) }, 1);
        disk.apply(Change::Gone(0));
        let outcome = Ok(Taken { id: id(7), source: None });
        recorder.ended(3, &Ended { intent, key: None, outcome });
        sends(&mut recorder, &mut disk, label(2), Wanted::Unreact { id: id(6) }, 2);
        let told: Vec<_> = recorder.into_history().steps.into_iter().map(|step| step.what).collect();
        let (chat, session) = (ChatId::direct(UserId(id(1)), UserId(id(2))), SessionNumber(id(9)));
        let sent = |n| What::Sent { label: label(n), session, number: n, retry: false, shown: None };
        let wanted = |n, act| What::Wanted { label: label(n), chat, act, after: None };
        let taken_back = Act::React { target: id(6), emoji: String::new() };
        let ended = What::Ended { label: label(1), id: Some(id(7)) };
        assert_eq!(told, [wanted(1, Act::Delete(id(5))), sent(1), ended, wanted(2, taken_back), sent(2)]);
    }

    #[test]
    fn who_takes_no_more_says_so_at_once() {
        let mut recorder = Recorder::new("a test".to_owned());
        let label = Label { device: 3, number: 1 };
        recorder.taken(label, None);
        let steps = recorder.into_history().steps;
        assert_eq!(steps.first().map(|step| &step.what), Some(&What::Ended { label, id: None }));
    }
}
