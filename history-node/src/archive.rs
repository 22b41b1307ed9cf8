//! Archive: which rows a record causes, and how retries end. It alone writes the timeline.
//!
//! A state machine that is asked for its next [`Step`], one at a time, and told how it went. A retry
//! is looked up only after everything before it is applied; what is new is first noted under its
//! send key, then appended as a resolved record, then answered, so that a crash in between repeats
//! steps and never decides twice. Trap avoided: a derived event may be read before its origin was
//! archived; then the origin's row is written from it, else "archived" would promise too much. So that this
//! is rare, rows go in two steps: what was accepted here first, all else and the commit once others had the
//! chance to do the same. The first step waits for nobody, so no partitions can wait for each other.
//!
//! Another: an answer goes to the asker's partition, and if that takes nothing it must hold up nobody here. So
//! answers can be [set by](Archive::sets_by): rows are written on, and only what is committed stays behind.

mod batch;

use std::collections::{BTreeMap, VecDeque};

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Answer, Content, Event, Mark, MarkKind, Outcome, Record, Seen, Send};
use volery_kernel::id::Id;
use volery_kernel::position::{Offset, Source};
use volery_kernel::rules::{Rules, Verdict, is_late};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message, Sent, Write};

use self::batch::{Batch, lacks};

/// Writes collected before they are applied.
const WRITES_MOST: usize = 512;

/// Answers that may be set by, about 100 KiB of them: beyond that archive waits for the first.
const SET_BY_MOST: usize = 1_024;

/// What archive wants done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write these rows; then call [`Archive::wrote`] and tell the other partitions: this one has written the rows
    /// of what was accepted in it through this place.
    Write(Vec<Write>, Source),
    /// Wait until these partitions have written through these places, for
    /// [`volery_kernel::limits::ORIGIN_WITHIN_MS`] at most; then call [`Archive::waited`].
    Await(BTreeMap<Partition, Source>),
    /// Write these rows and then how far that was; then call [`Archive::applied`].
    Apply(Vec<Write>, Option<Commit>),
    /// Read the row of a send key; then call [`Archive::looked_up`].
    LookUp(volery_kernel::event::SendKey),
    /// Append, as often as it takes; then call [`Archive::appended`] with the offset.
    Append(Partition, Event),
    /// Everything given was done: [`Archive::read`] more.
    Read,
}

/// A flagged record on its way.
#[derive(Debug)]
enum Retry {
    LookUp,
    Note,
    Resolve,
    NoteSource(Source),
    Answer(Outcome),
}

/// Through which place a partition's own archive has written the rows of what was accepted there, be they committed
/// or not; `None` if that is not known here.
pub type Written<'a> = &'a dyn Fn(Partition) -> Option<Source>;

/// One partition's archive.
pub struct Archive {
    generation: u16,
    partitions: Partitions,
    rules: Rules,
    queue: VecDeque<Record>,
    batch: Batch,
    done: Option<Commit>,
    committed: Option<Commit>,
    /// What the last [`Step::Apply`] commits: an answer may be appended before that is written.
    offered: Option<Commit>,
    retry: Option<(Send, Retry)>,
    set_by: VecDeque<SetBy>,
    newest_stamp: Timestamp,
}

/// An answer whose target took nothing.
struct SetBy {
    /// What was done before its record; no later commit may be stored before it is appended.
    before: Option<Commit>,
    target: Partition,
    event: Event,
}

impl Archive {
    /// Begins after `committed`, or, where that is of an earlier log generation, at the beginning of this
    /// one; the records within the read-back before it go to [`Archive::warm`].
    #[must_use]
    pub fn new(generation: u16, partitions: Partitions, committed: Option<Commit>) -> Self {
        let newest_stamp = committed.map(|commit| commit.stamp).unwrap_or_default();
        let committed = committed.filter(|commit| commit.source.generation() == generation);
        Self {
            generation,
            partitions,
            rules: Rules::default(),
            queue: VecDeque::new(),
            batch: Batch::default(),
            done: committed,
            committed,
            offered: None,
            retry: None,
            set_by: VecDeque::new(),
            newest_stamp,
        }
    }

    /// A record before the start, for the rules only.
    pub fn warm(&mut self, record: &Record) {
        self.rules.judge(record);
    }

    /// The offset of the record to read next.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        let queued = self.queue.back().map(|record| record.offset + 1);
        queued.or(self.done.map(|commit| commit.source.offset() + 1)).unwrap_or(0)
    }

    /// Records of the log, in order.
    pub fn read(&mut self, records: impl IntoIterator<Item = Record>) {
        self.queue.extend(records);
    }

    /// What to do next. Asked again without an answer, it says the same; but waits no more for what is there.
    pub fn next(&mut self, written: Written<'_>) -> Step {
        let step = self.step(written);
        if let Step::Apply(_, commit) = step {
            self.offered = commit;
        }
        step
    }

    fn step(&mut self, written: Written<'_>) -> Step {
        if let Some(step) = self.retry_step() {
            return step;
        }
        while self.retry.is_none() && self.batch.len() < WRITES_MOST {
            let Some(record) = self.queue.pop_front() else { break };
            self.take(record, written);
        }
        self.batch_step(written).or_else(|| self.retry_step()).unwrap_or(Step::Read)
    }

    fn batch_step(&self, written: Written<'_>) -> Option<Step> {
        if !self.batch.own().is_empty() {
            let through = self.done.map(|done| done.source).unwrap_or_default();
            return Some(Step::Write(self.batch.own().to_vec(), through));
        }
        let awaited = self.batch.awaited(written);
        if !awaited.is_empty() {
            return Some(Step::Await(awaited));
        }
        let any = !self.batch.is_empty() || self.commit().is_some();
        any.then(|| Step::Apply(self.batch.rest(written), self.commit()))
    }

    /// The rows of the last [`Step::Write`] are there.
    pub fn wrote(&mut self) {
        self.batch.wrote();
    }

    /// The last [`Step::Await`] is over, with success or without.
    pub fn waited(&mut self, written: Written<'_>) {
        self.batch.waited(written);
    }

    /// While a retry is under way its own record is not committed: a crash takes it up again.
    fn commit(&self) -> Option<Commit> {
        let through = self.through();
        if through == self.committed { None } else { through }
    }

    /// The last record before which everything is done, answers included.
    fn through(&self) -> Option<Commit> {
        self.set_by.front().map_or(self.done, |first| first.before)
    }

    /// Everything below this is committed.
    #[must_use]
    pub fn committed_below(&self) -> Offset {
        self.committed.map_or(0, |commit| commit.source.offset() + 1)
    }

    /// The rows of the last [`Step::Apply`] are there.
    pub fn applied(&mut self) {
        self.batch.clear();
        self.committed = self.offered.take().or(self.committed);
        if let Some((send, retry @ (Retry::Note | Retry::NoteSource(_)))) = &mut self.retry {
            *retry = match *retry {
                Retry::NoteSource(source) => Retry::Answer(Outcome::Accepted { id: send.id, source }),
                _ => Retry::Resolve,
            };
        }
    }

    fn retry_step(&self) -> Option<Step> {
        let (send, retry) = self.retry.as_ref()?;
        match retry {
            // What came before must be there when the key is looked up.
            Retry::LookUp if self.batch.is_empty() && self.commit().is_none() => Some(Step::LookUp(send.key)),
            Retry::LookUp => None,
            Retry::Note => Some(Step::Apply(vec![sent(send, None)], None)),
            Retry::NoteSource(source) => Some(Step::Apply(vec![sent(send, Some(*source))], None)),
            Retry::Resolve => {
                let resolved = Send { flagged: false, ..send.clone() };
                let flagged = Source::new(self.generation, self.retry_offset());
                Some(Step::Append(self.partitions.of(send.recipient), Event::Resolved { send: resolved, flagged }))
            }
            Retry::Answer(outcome) => {
                let answer = Answer { id: send.id, sender: send.sender, key: send.key, outcome: *outcome };
                Some(Step::Append(self.partitions.of(Recipient::User(send.sender)), Event::Answer(answer)))
            }
        }
    }

    /// The flagged record follows the last one that is done.
    fn retry_offset(&self) -> Offset {
        self.done.map_or(0, |done| done.source.offset() + 1)
    }

    /// The row of the send key, as it was after everything before.
    pub fn looked_up(&mut self, found: Option<Sent>) {
        let Some((send, retry)) = &mut self.retry else { return };
        *retry = match found {
            Some(sent) if sent.fingerprint != send.fingerprint() => Retry::Answer(Outcome::KeyReused),
            // Our own note of an attempt that a crash ended, or its resolved record is on its way.
            Some(Sent { id, source: None, .. }) if id == send.id => Retry::Resolve,
            Some(Sent { id, source, .. }) => {
                Retry::Answer(Outcome::Accepted { id, source: source.unwrap_or_default() })
            }
            None if send.resolve_only => Retry::Answer(Outcome::Refused),
            None => Retry::Note,
        };
    }

    /// What is known of the key cannot be read, for this reason: the record is set aside. Its device is told nothing,
    /// since nobody knows whether its send was accepted; it asks again when it reconnects.
    pub fn set_aside(&mut self, reason: String) {
        let offset = Source::new(self.generation, self.retry_offset()).place();
        let Some((send, _)) = &self.retry else { return };
        let batch = volery_reader::to_batch(&[Event::Send(send.clone())]);
        let bytes = batch.into_iter().next().map(|record| record.value).unwrap_or_default();
        self.batch.add(Write::SetAside { offset, reason, bytes });
        self.retry_done();
    }

    /// The event of the last [`Step::Append`] is durable at this offset.
    pub fn appended(&mut self, offset: Offset) {
        let Some((_, retry)) = &mut self.retry else { return };
        match retry {
            Retry::Resolve => *retry = Retry::NoteSource(Source::new(self.generation, offset)),
            Retry::Answer(_) => self.retry_done(),
            Retry::LookUp | Retry::Note | Retry::NoteSource(_) => {}
        }
    }

    fn retry_done(&mut self) {
        if let Some((send, _)) = self.retry.take() {
            self.done(self.retry_offset(), send.id);
        }
    }

    /// The target of the last [`Step::Append`] took nothing. An answer for another partition is set by, to be
    /// appended later as [`Archive::set_by`] says; false if that cannot be, and the step is to be tried again.
    pub fn sets_by(&mut self) -> bool {
        let answers = matches!(&self.retry, Some((_, Retry::Answer(_)))) && self.set_by.len() < SET_BY_MOST;
        let Some(Step::Append(target, event)) = self.retry_step().filter(|_| answers) else { return false };
        self.set_by.push_back(SetBy { before: self.done, target, event });
        self.retry_done();
        true
    }

    /// Whether answers for this partition were set by: the next one would take nothing but time.
    #[must_use]
    pub fn waits_for(&self, target: Partition) -> bool {
        self.set_by.iter().any(|answer| answer.target == target)
    }

    /// The oldest answer that was set by; call [`Archive::answered`] once it is appended.
    #[must_use]
    pub fn set_by(&self) -> Option<(Partition, &Event)> {
        self.set_by.front().map(|first| (first.target, &first.event))
    }

    /// What [`Archive::set_by`] said last is durable. What it held back is committed with the next step.
    pub fn answered(&mut self) {
        self.set_by.pop_front();
    }

    fn take(&mut self, record: Record, written: Written<'_>) {
        self.newest_stamp = self.newest_stamp.max(record.stamp);
        let verdict = self.rules.judge(&record);
        match (verdict, record.event) {
            (Verdict::Flagged, Event::Send(send)) => {
                self.retry = Some((send, Retry::LookUp));
            }
            (Verdict::Accept, event) => {
                let (offset, stamp) = (record.offset, record.stamp);
                self.done(offset, event.id());
                self.apply(offset, stamp, event, written);
            }
            (_, event) => self.done(record.offset, event.id()),
        }
    }

    fn done(&mut self, offset: Offset, id: Id) {
        self.done = Some(Commit { source: Source::new(self.generation, offset), id, stamp: self.newest_stamp });
    }

    fn apply(&mut self, offset: Offset, stamp: Timestamp, event: Event, written: Written<'_>) {
        let here = Source::new(self.generation, offset);
        let stream = event.stream();
        match event {
            Event::Send(send) => self.accepted(send, here, stamp, false),
            Event::Resolved { send, .. } => self.accepted(send, here, stamp, true),
            Event::Echo { origin, send } => {
                let target = self.partitions.of(send.recipient);
                if lacks(written, target, origin) {
                    self.batch.echoed(target, origin, rows(&send, origin, true));
                }
                self.seen_by(send.sender, &send, offset, None);
            }
            Event::Answer(answer) => self.index(stream, offset, Entry::Answer(answer)),
            Event::Mark(Mark { reader, chat, kind, seen, .. }) => {
                self.batch.add(Write::Mark { user: reader, chat, kind, seen });
                self.index(stream, offset, Entry::Mark { reader, chat, kind, seen });
            }
            Event::PeerMark { to, mark: Mark { reader, chat, kind, seen, .. }, .. } => {
                self.batch.add(Write::PeerMark { user: to, chat, kind, seen });
                self.index(stream, offset, Entry::Mark { reader, chat, kind, seen });
            }
            Event::DeviceRevoked { .. } => {}
            Event::Unknown { bytes, .. } => {
                let offset = here.place();
                self.batch.add(Write::SetAside { offset, reason: "unknown kind".to_owned(), bytes });
            }
        }
    }

    /// An accepted send in its recipient's stream.
    fn accepted(&mut self, send: Send, here: Source, stamp: Timestamp, resolved: bool) {
        self.batch.accepted(rows(&send, here, resolved));
        let Recipient::User(user) = send.recipient else { return };
        let incoming = (user != send.sender).then_some(here);
        self.seen_by(user, &send, here.offset(), incoming);
        let counts = incoming.is_some() && send.content.target().is_none();
        if resolved && counts && is_late(send.id, stamp) {
            let seen = Seen { source: here, id: send.id };
            self.batch.add(Write::ResolvedLate { user, chat: send.chat(), seen });
        }
    }

    /// What a send changes in the view of one user, in whose stream it stands at `offset`.
    fn seen_by(&mut self, user: volery_kernel::id::UserId, send: &Send, offset: Offset, incoming: Option<Source>) {
        let chat = send.chat();
        let entry = match send.content.target() {
            None => Entry::Message { chat, id: send.id },
            Some(target) => Entry::Change { chat, target, change: send.id },
        };
        self.index(Recipient::User(user), offset, entry);
        if send.content.target().is_none() {
            self.batch.add(Write::Newest { user, chat, id: send.id, incoming });
        }
        if let Some(seen) = send.shown {
            let kind = MarkKind::Read;
            self.batch.add(match incoming {
                Some(_) => Write::PeerMark { user, chat, kind, seen },
                None => Write::Mark { user, chat, kind, seen },
            });
        }
    }

    fn index(&mut self, recipient: Recipient, offset: Offset, entry: Entry) {
        let offset = Source::new(self.generation, offset).place();
        self.batch.index(recipient, offset, entry);
    }
}

/// The rows of an accepted send that do not depend on who looks.
fn rows(send: &Send, source: Source, resolved: bool) -> [Write; 2] {
    let chat = send.chat();
    let change = |target: Id, what| {
        let change = Change { id: send.id, actor: send.sender, what };
        Write::Change { chat, target, change }
    };
    let row = match &send.content {
        Content::Message { body, reply_to } => {
            let message = Message {
                id: send.id,
                sender: send.sender,
                key: send.key,
                source,
                body: body.clone(),
                reply_to: *reply_to,
            };
            Write::Message { chat, message, resolved }
        }
        Content::Edit { target, body } => change(*target, ChangeKind::Edit(body.clone())),
        Content::Delete { target } => change(*target, ChangeKind::Delete),
        Content::React { target, emoji } => change(*target, ChangeKind::React(emoji.clone())),
    };
    [row, sent(send, Some(source))]
}

fn sent(send: &Send, source: Option<Source>) -> Write {
    Write::Sent { key: send.key, sent: Sent { id: send.id, source, fingerprint: send.fingerprint() } }
}
