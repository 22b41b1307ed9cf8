//! The newest records of one partition, judged by the rules, in memory.
//!
//! Dense: every offset from `start` to `head` has a slot with its id, so positions can be checked
//! and given out; only what counts has an [`Entry`]. For each stream the offsets of its entries
//! are kept, and the newest that was dropped, so that who missed nothing reads nothing. Trap avoided: offsets before
//! `start` may hold events for a session, so a cursor below `start` is moved forward only where [`Tail::missed`] denies it.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use volery_kernel::chat::Recipient;
use volery_kernel::event::Record;
use volery_kernel::id::Id;
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::rules::{Rules, Verdict};
use volery_kernel::slot::Partition;

use super::dropped::Dropped;
use super::entry::Entry;

/// A stream of which something was dropped is known for each of so many bytes of the budget: a twentieth of them, in two
/// generations.
const BYTES_A_STREAM: usize = 2_048;
const STREAMS_LEAST: usize = 16;
/// Entries this far behind the head have been handed to whoever is live: their encoded forms go.
const ENCODED_KEPT: usize = 64;

struct Slot {
    id: Id,
    entry: Option<Rc<Entry>>,
}

/// See the module.
pub struct Tail {
    partition: Partition,
    generation: u16,
    rules: Rules,
    start: Offset,
    before: Option<Id>,
    slots: VecDeque<Slot>,
    streams: HashMap<Recipient, VecDeque<Offset>>,
    dropped: Dropped,
    bytes: usize,
    budget: usize,
}

impl Tail {
    /// An empty tail: first it is told where to [begin](Tail::begin), then it is given records by [`Tail::push`].
    /// `budget` bounds the bytes of the events held.
    #[must_use]
    pub fn new(partition: Partition, generation: u16, start: Offset, budget: usize) -> Self {
        Self {
            partition,
            generation,
            rules: Rules::default(),
            start,
            before: None,
            slots: VecDeque::new(),
            streams: HashMap::new(),
            dropped: Dropped::new(start),
            bytes: 0,
            budget,
        }
    }

    /// Which partition this is.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The log generation it reads.
    #[must_use]
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// The position of somebody who holds nothing of this log.
    #[must_use]
    pub fn beginning(&self) -> Position {
        Position::beginning(self.partition, self.generation)
    }

    /// First offset whose events are held.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offset that the next record will have.
    #[must_use]
    pub fn head(&self) -> Offset {
        self.start + self.slots.len() as u64
    }

    /// Bytes of the events held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that an extension backwards may still take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.budget.saturating_sub(self.bytes)
    }

    /// Other bounds from now on; what is beyond them goes.
    pub fn set_budget(&mut self, budget: usize) {
        self.budget = budget;
        self.shrink();
    }

    /// Begins at the log's end. `before` is what lies before it, as far back as the rules need it; that may be
    /// nothing, because of a partition that was quiet for long everything is deleted.
    pub fn begin(&mut self, end: Offset, before: &[Record]) {
        self.start = end;
        for record in before {
            self.rules.judge(record);
            self.before = Some(record.event.id());
            self.start = record.offset + 1;
        }
        self.dropped = Dropped::new(self.start);
    }

    /// The next record of the log. Answers whose stream has news.
    pub fn push(&mut self, record: Record) -> Option<Recipient> {
        debug_assert_eq!(record.offset, self.head(), "offsets are contiguous");
        let verdict = self.rules.judge(&record);
        let id = record.event.id();
        let entry = (verdict == Verdict::Accept).then(|| Rc::new(Entry::new(self.generation, self.partition, record)));
        let stream = entry.as_ref().map(|entry| entry.event().stream());
        if let (Some(entry), Some(stream)) = (&entry, stream) {
            self.bytes += entry.weight();
            self.streams.entry(stream).or_default().push_back(entry.offset());
        }
        self.slots.push_back(Slot { id, entry });
        self.forget_encoded();
        self.shrink();
        stream
    }

    fn shrink(&mut self) {
        while self.bytes > self.budget && self.slots.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Puts older records in front. `older` must end right before [`Tail::start`]; its first
    /// `warm_up` records only teach the rules and stay out. Answers whether it fitted.
    pub fn extend(&mut self, older: Vec<Record>, warm_up: usize) -> bool {
        if older.last().is_none_or(|last| last.offset + 1 != self.start) {
            return false;
        }
        let mut rules = Rules::default();
        self.before = None;
        let mut slots = Vec::with_capacity(older.len());
        for (n, record) in older.into_iter().enumerate() {
            let verdict = rules.judge(&record);
            if n < warm_up {
                self.before = Some(record.event.id());
                continue;
            }
            let id = record.event.id();
            let shown = verdict == Verdict::Accept;
            slots.push(Slot { id, entry: shown.then(|| Rc::new(Entry::new(self.generation, self.partition, record))) });
        }
        for slot in slots.into_iter().rev() {
            self.start -= 1;
            if let Some(entry) = &slot.entry {
                self.bytes += entry.weight();
                self.streams.entry(entry.event().stream()).or_default().push_front(self.start);
            }
            self.slots.push_front(slot);
        }
        true
    }

    fn forget_encoded(&mut self) {
        let Some(behind) = self.slots.len().checked_sub(ENCODED_KEPT + 1) else { return };
        let entry = self.slots.get_mut(behind).and_then(|slot| slot.entry.as_mut());
        entry.and_then(Rc::get_mut).into_iter().for_each(Entry::forget_encoded);
    }

    fn drop_oldest(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        self.before = Some(slot.id);
        self.start += 1;
        let Some(entry) = slot.entry else { return };
        self.bytes -= entry.weight();
        let stream = entry.event().stream();
        self.dropped.note(stream, entry.offset(), STREAMS_LEAST.max(self.budget / BYTES_A_STREAM));
        if let Some(offsets) = self.streams.get_mut(&stream) {
            offsets.pop_front();
            if offsets.is_empty() {
                self.streams.remove(&stream);
            }
        }
    }

    /// The entries of a stream at `from` and after it. `from` must not lie below [`Tail::start`].
    pub fn entries_of(&self, stream: Recipient, from: Offset) -> impl Iterator<Item = &Rc<Entry>> {
        debug_assert!(from >= self.start, "a cursor below the start would skip events");
        let offsets = self.streams.get(&stream).map(|offsets| {
            let first = offsets.partition_point(|&offset| offset < from);
            offsets.range(first..)
        });
        offsets.into_iter().flatten().filter_map(|offset| {
            let slot = usize::try_from(offset - self.start).ok()?;
            self.slots.get(slot)?.entry.as_ref()
        })
    }

    /// Whether who holds a stream up to `from` may lack some of it that is held here no more.
    #[must_use]
    pub fn missed(&self, stream: Recipient, from: Offset) -> bool {
        from < self.start && self.dropped.may_hold(stream, from)
    }

    /// The id of the record at an offset; `None` outside `start - 1 .. head`.
    #[must_use]
    pub fn id_at(&self, offset: Offset) -> Option<Id> {
        if offset + 1 == self.start {
            return self.before;
        }
        let slot = offset.checked_sub(self.start)?;
        self.slots.get(usize::try_from(slot).ok()?).map(|slot| slot.id)
    }

    /// The position of somebody who holds everything below `next`; `None` if its id is not known here.
    #[must_use]
    pub fn position_before(&self, next: Offset) -> Option<Position> {
        let Some(offset) = next.checked_sub(1) else { return Some(self.beginning()) };
        let id = self.id_at(offset)?;
        Some(Position { partition: self.partition, source: Source::new(self.generation, offset), id })
    }
}
