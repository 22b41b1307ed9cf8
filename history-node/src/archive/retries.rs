//! The flagged records of one batch on their way to an answer. All take each step together, so a storm of them costs
//! the round trips of one.
//!
//! Who waits for whom: a record for the batch with an earlier one of the same send key, for it must find what that one
//! left; and what is appended for a device for what was appended for it before. Nobody else waits for anybody.
//!
//! Trap avoided: what is looked up must find all that stands before it. Who comes when others were looked up already
//! joins the next batch, after the rows of this one.

use std::collections::BTreeMap;

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Answer, Event, Outcome, Send, SendKey};
use volery_kernel::id::DeviceId;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_ports::timeline::{Commit, Sent, Write};

use super::{SetBy, Step, sent};

/// What is appended in log order: a device's events to one partition. Lanes wait for no other lane.
pub type Lane = (Partition, DeviceId);

/// What is known of a send key, or why that cannot be read, now or later.
pub type Found = Result<Option<Sent>, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    LookUp,
    Note,
    Resolve,
    NoteSource(Source),
    Answer(Outcome),
}

#[derive(Debug)]
struct Retry {
    send: Send,
    flagged: Source,
    /// What was done before its record.
    before: Option<Commit>,
    stage: Stage,
}

/// See the module; in log order.
#[derive(Debug, Default)]
pub(super) struct Retries(Vec<Retry>);

impl Retries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record of this key may be looked up with those that are here.
    pub(super) fn joins(&self, key: SendKey) -> bool {
        let apart = |retry: &Retry| retry.stage == Stage::LookUp && retry.send.key != key;
        self.0.len() < limits::RETRIES_AT_ONCE.value && self.0.iter().all(apart)
    }

    pub(super) fn join(&mut self, send: Send, flagged: Source, before: Option<Commit>) {
        self.0.push(Retry { send, flagged, before, stage: Stage::LookUp });
    }

    /// What is next for those that are least far.
    pub(super) fn step(&self, partitions: Partitions) -> Option<Step> {
        self.look_ups().or_else(|| self.notes()).or_else(|| self.appends(partitions))
    }

    fn look_ups(&self) -> Option<Step> {
        let due = self.0.iter().filter(|retry| retry.stage == Stage::LookUp);
        let keys: Vec<_> = due.map(|retry| retry.send.key).collect();
        (!keys.is_empty()).then_some(Step::LookUp(keys))
    }

    fn notes(&self) -> Option<Step> {
        let rows: Vec<_> = self.0.iter().filter_map(Retry::note).collect();
        (!rows.is_empty()).then_some(Step::Note(rows))
    }

    fn appends(&self, partitions: Partitions) -> Option<Step> {
        let resolving = self.resolving();
        let mut appends = BTreeMap::<Lane, Vec<Event>>::new();
        for retry in &self.0 {
            if let Some((lane, event)) = retry.append(resolving, partitions) {
                appends.entry(lane).or_default().push(event);
            }
        }
        (!appends.is_empty()).then_some(Step::Append(appends))
    }

    /// Resolved records go before all answers.
    fn resolving(&self) -> bool {
        self.0.iter().any(|retry| retry.stage == Stage::Resolve)
    }

    /// What was found of the keys that were asked for, in their order. Answers with what is to be set aside.
    pub(super) fn looked_up(&mut self, found: Vec<Found>) -> Vec<Write> {
        let (mut found, mut aside) = (found.into_iter(), Vec::new());
        self.0.retain_mut(|retry| match found.next() {
            Some(Ok(sent)) => {
                retry.stage = retry.judge(sent);
                true
            }
            Some(Err(reason)) => {
                aside.push(retry.set_aside(reason));
                false
            }
            None => true,
        });
        aside
    }

    /// The rows of the last [`Step::Note`] are there.
    pub(super) fn noted(&mut self) {
        for retry in &mut self.0 {
            retry.stage = match retry.stage {
                Stage::Note => Stage::Resolve,
                Stage::NoteSource(source) => Stage::Answer(Outcome::Accepted { id: retry.send.id, source }),
                stage => stage,
            };
        }
    }

    /// A lane's events are durable at these offsets: each is one step further, or done with.
    pub(super) fn appended(&mut self, lane: Lane, offsets: &[Offset], partitions: Partitions) {
        let (resolving, mut offsets) = (self.resolving(), offsets.iter());
        self.0.retain_mut(|retry| {
            let due = retry.append(resolving, partitions).filter(|(of, _)| *of == lane);
            let Some(offset) = due.and_then(|_| offsets.next()) else { return true };
            retry.stage = Stage::NoteSource(Source::new(retry.flagged.generation(), *offset));
            resolving
        });
    }

    /// Takes the answers of a lane away; none while it appends something else.
    pub(super) fn take_answers(&mut self, lane: Lane, partitions: Partitions) -> Vec<SetBy> {
        let (resolving, mut taken) = (self.resolving(), Vec::new());
        self.0.retain(|retry| match retry.append(resolving, partitions) {
            Some((of, event)) if of == lane && !resolving => {
                taken.push(SetBy { before: retry.before, target: lane.0, event });
                false
            }
            _ => true,
        });
        taken
    }
}

impl Retry {
    /// By the row of its key, as it was after everything before.
    fn judge(&self, found: Option<Sent>) -> Stage {
        match found {
            Some(sent) if sent.fingerprint != self.send.fingerprint() => Stage::Answer(Outcome::KeyReused),
            // Our own note of an attempt that a crash ended, or its resolved record is on its way.
            Some(Sent { id, source: None, .. }) if id == self.send.id => Stage::Resolve,
            Some(Sent { id, source, .. }) => {
                Stage::Answer(Outcome::Accepted { id, source: source.unwrap_or_default() })
            }
            None if self.send.resolve_only => Stage::Answer(Outcome::Refused),
            None => Stage::Note,
        }
    }

    /// Its device is told nothing, since nobody knows whether its send was accepted; it asks again when it reconnects.
    fn set_aside(&self, reason: String) -> Write {
        let batch = volery_reader::to_batch(&[Event::Send(self.send.clone())]);
        let bytes = batch.into_iter().next().map(|record| record.value).unwrap_or_default();
        Write::SetAside { offset: self.flagged.place(), reason, bytes }
    }

    fn note(&self) -> Option<Write> {
        match self.stage {
            Stage::Note => Some(sent(&self.send, None)),
            Stage::NoteSource(source) => Some(sent(&self.send, Some(source))),
            Stage::LookUp | Stage::Resolve | Stage::Answer(_) => None,
        }
    }

    fn append(&self, resolving: bool, partitions: Partitions) -> Option<(Lane, Event)> {
        let Send { id, sender, key, recipient, .. } = self.send;
        let (stream, event) = match self.stage {
            Stage::Resolve => {
                let send = Send { flagged: false, ..self.send.clone() };
                (recipient, Event::Resolved { send, flagged: self.flagged })
            }
            Stage::Answer(outcome) if !resolving => {
                (Recipient::User(sender), Event::Answer(Answer { id, sender, key, outcome }))
            }
            Stage::LookUp | Stage::Note | Stage::NoteSource(_) | Stage::Answer(_) => return None,
        };
        Some(((partitions.of(stream), key.device), event))
    }
}
