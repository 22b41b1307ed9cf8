//! Archive: which rows a record causes, and how retries end. It alone writes the timeline.
//!
//! A state machine that is asked for its next [`Step`], one at a time, and told how it went. Retries
//! are looked up only after everything before them is applied, as many at once as stand together; what is new is first
//! noted under its send key, then appended as a resolved record, then answered, so that a crash in between repeats
//! steps and never decides twice. Trap avoided: a derived event may be read before its origin was
//! archived; then the origin's row is written from it, else "archived" would promise too much. So that this
//! is rare, rows go in two steps: what was accepted here first, all else and the commit once others had the
//! chance to do the same. The first step waits for nobody, so no partitions can wait for each other.
//!
//! Another: an answer goes to the asker's partition, and if that takes nothing it must hold up nobody here. So
//! answers can be [set by](Archive::sets_by): rows are written on, and only what is committed stays behind.

mod batch;
mod retries;

use std::collections::{BTreeMap, VecDeque};

use volery_kernel::chat::Recipient;
use volery_kernel::event::{Content, Event, Mark, MarkKind, Record, Seen, Send, SendKey};
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::rules::{Rules, Verdict, is_late};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Entry, Message, Sent, Write};

use self::batch::{Batch, lacks};
use self::retries::Retries;
pub use self::retries::{Found, Lane};

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
    /// Read the rows of these send keys, all at once; then call [`Archive::looked_up`].
    LookUp(Vec<SendKey>),
    /// Write these rows; then call [`Archive::noted`].
    Note(Vec<Write>),
    /// Append what each lane has, all lanes at once, and as often as it takes; call [`Archive::appended`] with the
    /// offsets of each.
    Append(BTreeMap<Lane, Vec<Event>>),
    /// Everything given was done: [`Archive::read`] more.
    Read,
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
    /// The last record that was taken up; done, once the batch is applied.
    done: Option<Commit>,
    committed: Option<Commit>,
    /// What the last [`Step::Apply`] commits: an answer may be appended before that is written.
    offered: Option<Commit>,
    retries: Retries,
    set_by: VecDeque<SetBy>,
    newest_stamp: Timestamp,
}

/// An answer whose target took nothing.
#[derive(Debug)]
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
            retries: Retries::default(),
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
        while self.batch.len() < WRITES_MOST && self.queue.front().is_some_and(|record| self.takes(record)) {
            let Some(record) = self.queue.pop_front() else { break };
            self.take(record, written);
        }
        self.write().or_else(|| self.retries.step(self.partitions)).or_else(|| self.rest(written)).unwrap_or(Step::Read)
    }

    /// A batch that has retries begins with one: what stands before it waits for no append.
    fn takes(&self, record: &Record) -> bool {
        match &record.event {
            Event::Send(send) if send.flagged && self.retries.is_empty() => self.batch.is_empty(),
            Event::Send(send) if send.flagged => self.retries.joins(send.key),
            _ => true,
        }
    }

    /// The last record that was taken up.
    #[must_use]
    pub fn taken(&self) -> Source {
        self.done.map(|done| done.source).unwrap_or_default()
    }

    fn write(&self) -> Option<Step> {
        let own = self.batch.own();
        (!own.is_empty()).then(|| Step::Write(own.to_vec(), self.taken()))
    }

    fn rest(&self, written: Written<'_>) -> Option<Step> {
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

    fn commit(&self) -> Option<Commit> {
        let through = self.through();
        if through == self.committed { None } else { through }
    }

    /// The last record before which everything is done, answers included.
    fn through(&self) -> Option<Commit> {
        let before = self.set_by.iter().map(|answer| answer.before);
        before.min_by_key(|before| before.map(|commit| commit.source)).unwrap_or(self.done)
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
    }

    /// What is known of the keys of the last [`Step::LookUp`], in their order. Where that cannot be read the record is
    /// set aside.
    pub fn looked_up(&mut self, found: Vec<Found>) {
        let aside = self.retries.looked_up(found);
        aside.into_iter().for_each(|write| self.batch.add(write));
    }

    /// The rows of the last [`Step::Note`] are there.
    pub fn noted(&mut self) {
        self.retries.noted();
    }

    /// The events of a lane of the last [`Step::Append`] are durable at these offsets.
    pub fn appended(&mut self, lane: Lane, offsets: &[Offset]) {
        self.retries.appended(lane, offsets, self.partitions);
    }

    /// A lane's target took nothing. Answers are set by, to be appended later as [`Archive::set_by`] says; false if
    /// that cannot be, and the step is to be tried again.
    pub fn sets_by(&mut self, lane: Lane) -> bool {
        if self.set_by.len() + limits::RETRIES_AT_ONCE.value > SET_BY_MOST {
            return false;
        }
        let answers = self.retries.take_answers(lane, self.partitions);
        let any = !answers.is_empty();
        self.set_by.extend(answers);
        any
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
        let (offset, stamp, before) = (record.offset, record.stamp, self.done);
        let source = Source::new(self.generation, offset);
        self.done = Some(Commit { source, id: record.event.id(), stamp: self.newest_stamp });
        match (verdict, record.event) {
            (Verdict::Flagged, Event::Send(send)) => self.retries.join(send, source, before),
            (Verdict::Accept, event) => self.apply(offset, stamp, event, written),
            _ => {}
        }
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
