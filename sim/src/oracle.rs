//! What the log means, by the rules of design §3.6 written a second time: with a memory that never
//! forgets and nothing shared with the cores. Checks compare with it.

use std::collections::{BTreeMap, BTreeSet};

use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Event, Outcome, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;

use crate::log::GENERATION;

/// What every reader must have decided about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Counts,
    /// It counts, and was derived before: it changes nothing.
    Again,
    /// It waits for archive.
    Flagged,
    /// A newer session of its device was read before.
    Fenced,
    /// It, or something before it from its session, came too late.
    Late,
}

/// Who reads a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An owner, for its tail.
    Owner,
    /// Fan-out.
    Fanout,
    /// Archive.
    Archive,
}

/// A message as it stands in a user's stream.
#[derive(Clone, Debug)]
pub struct InStream {
    /// Where in the user's partition.
    pub offset: Offset,
    /// The send.
    pub send: Send,
    /// Whether it came in from somebody else.
    pub incoming: bool,
}

/// See the module.
#[derive(Default)]
pub struct Oracle {
    derived: BTreeSet<(Source, Id, UserId)>,
    newest: BTreeMap<(Partition, DeviceId), (SessionNumber, bool)>,
    /// What counts in each user's stream, by offset.
    pub streams: BTreeMap<UserId, Vec<InStream>>,
    /// Accepted sends: every id that a key was accepted under, smallest source first.
    pub accepted: BTreeMap<SendKey, Vec<(Id, Source)>>,
    /// The first accepted send of a key.
    pub sends: BTreeMap<SendKey, Send>,
    /// The flagged record of each resolved message.
    pub flagged: BTreeMap<Id, Source>,
    /// How archive answered.
    pub answers: BTreeMap<SendKey, Vec<Outcome>>,
}

impl Oracle {
    /// The next record of a partition.
    pub fn read(&mut self, partition: Partition, record: &Record) -> Fate {
        match &record.event {
            Event::Send(send) => {
                let fate = self.judge(partition, send, record);
                if fate == Fate::Counts {
                    self.accept(send, record.offset);
                }
                return fate;
            }
            Event::Resolved { send, flagged } => {
                self.flagged.insert(send.id, *flagged);
                self.accept(send, record.offset);
            }
            Event::Echo { origin, send } => {
                self.stands(send.sender, send, record.offset, false);
                return self.derive(*origin, send.id, send.sender);
            }
            Event::Answer(answer) => self.answers.entry(answer.key).or_default().push(answer.outcome),
            Event::PeerMark { origin, to, mark } => return self.derive(*origin, mark.id, *to),
            Event::Mark(_) | Event::DeviceRevoked { .. } | Event::Unknown { .. } => {}
        }
        Fate::Counts
    }

    fn judge(&mut self, partition: Partition, send: &Send, record: &Record) -> Fate {
        let late = record.stamp.0 > send.id.time().0 + limits::LATE_AFTER_MS.value;
        let newest = self.newest.entry((partition, send.key.device)).or_insert((send.session, false));
        if send.session < newest.0 {
            return Fate::Fenced;
        }
        *newest = (send.session, late || (newest.1 && newest.0 == send.session));
        match (newest.1, send.flagged) {
            (true, _) => Fate::Late,
            (false, true) => Fate::Flagged,
            (false, false) => Fate::Counts,
        }
    }

    fn derive(&mut self, origin: Source, id: Id, to: UserId) -> Fate {
        if self.derived.insert((origin, id, to)) { Fate::Counts } else { Fate::Again }
    }

    /// The newest session of a device that was read in a partition.
    #[must_use]
    pub fn newest_session(&self, partition: Partition, device: DeviceId) -> Option<SessionNumber> {
        self.newest.get(&(partition, device)).map(|(newest, _)| *newest)
    }

    fn accept(&mut self, send: &Send, offset: Offset) {
        self.accepted.entry(send.key).or_default().push((send.id, Source::new(GENERATION, offset)));
        self.sends.entry(send.key).or_insert_with(|| send.clone());
        if let Recipient::User(user) = send.recipient {
            self.stands(user, send, offset, user != send.sender);
        }
    }

    fn stands(&mut self, user: UserId, send: &Send, offset: Offset, incoming: bool) {
        self.streams.entry(user).or_default().push(InStream { offset, send: send.clone(), incoming });
    }

    /// Messages that came in to `user` in `chat` up to `source`.
    pub fn incoming(&self, user: UserId, chat: ChatId, source: Source) -> impl Iterator<Item = &InStream> {
        let stream = self.streams.get(&user).map(Vec::as_slice).unwrap_or_default();
        stream.iter().filter(move |held| {
            let here = Source::new(GENERATION, held.offset) <= source;
            here && held.incoming && held.send.content.target().is_none() && held.send.chat() == chat
        })
    }
}
