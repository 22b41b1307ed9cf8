//! The rows that the records of one apply cause, sorted by who else may write them.
//!
//! Rows of what was *accepted here* are written first and wait for nobody: once they are there, no other partition
//! writes them. Rows of what was *accepted elsewhere* are written here only if their own partition has not done so
//! after a bounded wait. The *rest* is this partition's alone: indexes, chat rows, what is set aside.
//!
//! Trap avoided: a partition that does not get on must not cost the others a wait at each apply. Who was waited for in
//! vain is not waited for again before it has moved.

use std::collections::BTreeMap;

use volery_kernel::chat::Recipient;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Entry, Write};

use super::Written;

/// Rows of a send that an echo brought.
struct Ahead {
    partition: Partition,
    origin: Source,
    rows: [Write; 2],
}

/// See the module.
#[derive(Default)]
pub(super) struct Batch {
    own: Vec<Write>,
    ahead: Vec<Ahead>,
    rest: Vec<Write>,
    /// Where in the rest the newest index row of each recipient is.
    newest: BTreeMap<Recipient, usize>,
    /// What is missing was waited for.
    waited: bool,
    /// How far partitions were that were waited for in vain.
    in_vain: BTreeMap<Partition, Option<Source>>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.own.len() + 2 * self.ahead.len() + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A send that was accepted in this partition.
    pub(super) fn accepted(&mut self, rows: [Write; 2]) {
        self.own.extend(rows);
    }

    /// A send that was accepted at `origin` in `partition`.
    pub(super) fn echoed(&mut self, partition: Partition, origin: Source, rows: [Write; 2]) {
        self.ahead.push(Ahead { partition, origin, rows });
    }

    pub(super) fn add(&mut self, write: Write) {
        self.rest.push(write);
    }

    /// A row of an index. Of two marks that follow each other in a stream, one that the other covers is left out. Not
    /// if anything stands between them: who has read so far and not further would lack the mark.
    pub(super) fn index(&mut self, recipient: Recipient, offset: Offset, entry: Entry) {
        let at = *self.newest.get(&recipient).unwrap_or(&self.rest.len());
        if let Some(Write::Index { offset: held_at, entry: held, .. }) = self.rest.get_mut(at) {
            if covers(held, &entry) {
                return;
            }
            if covers(&entry, held) {
                (*held_at, *held) = (offset, entry);
                return;
            }
        }
        self.newest.insert(recipient, self.rest.len());
        self.rest.push(Write::Index { recipient, offset, entry });
    }

    /// The rows to be written first.
    pub(super) fn own(&self) -> &[Write] {
        &self.own
    }

    /// They are there.
    pub(super) fn wrote(&mut self) {
        self.own.clear();
    }

    /// The newest origin in each partition that is worth a wait.
    pub(super) fn awaited(&self, written: Written<'_>) -> BTreeMap<Partition, Source> {
        let mut missing = BTreeMap::new();
        for Ahead { partition, origin, .. } in self.missing(written).filter(|_| !self.waited) {
            let newest = missing.entry(*partition).or_insert(*origin);
            *newest = (*newest).max(*origin);
        }
        missing.retain(|partition, _| self.in_vain.get(partition) != Some(&written(*partition)));
        missing
    }

    /// They were waited for, long enough.
    pub(super) fn waited(&mut self, written: Written<'_>) {
        self.waited = true;
        let missing: Vec<_> = self.missing(written).map(|ahead| (ahead.partition, written(ahead.partition))).collect();
        self.in_vain.extend(missing);
    }

    /// The rest, with what is still missing elsewhere.
    pub(super) fn rest(&self, written: Written<'_>) -> Vec<Write> {
        let missing = self.missing(written).flat_map(|ahead| ahead.rows.iter());
        self.rest.iter().chain(missing).cloned().collect()
    }

    fn missing(&self, written: Written<'_>) -> impl Iterator<Item = &Ahead> {
        self.ahead.iter().filter(move |ahead| lacks(written, ahead.partition, ahead.origin))
    }

    /// All of it is there.
    pub(super) fn clear(&mut self) {
        *self = Self { in_vain: std::mem::take(&mut self.in_vain), ..Self::default() };
    }
}

/// Whether a partition's own archive has, as far as is known, not written what was accepted at `origin`.
pub(super) fn lacks(written: Written<'_>, partition: Partition, origin: Source) -> bool {
    written(partition).is_none_or(|through| through < origin)
}

/// Whether whoever holds the first mark gains nothing by the second. Read implies delivered.
fn covers(held: &Entry, other: &Entry) -> bool {
    let Entry::Mark { reader, chat, kind, seen } = held else { return false };
    let Entry::Mark { reader: other_reader, chat: other_chat, kind: less, seen: before } = other else { return false };
    (reader, chat) == (other_reader, other_chat) && less <= kind && before.source <= seen.source && before.id <= seen.id
}

#[cfg(test)]
mod tests {
    use volery_kernel::chat::ChatId;
    use volery_kernel::event::{MarkKind, Seen};
    use volery_kernel::id::{Id, UserId};

    use super::*;

    const NEAR: Partition = Partition(1);
    const FAR: Partition = Partition(2);

    fn id(raw: u64) -> Id {
        Id::new(raw).unwrap()
    }

    /// Two rows that can be told from others.
    fn rows(raw: u64) -> [Write; 2] {
        let (user, chat) = (UserId(id(1)), ChatId::direct(UserId(id(1)), UserId(id(2))));
        [raw, raw + 1].map(|raw| Write::Newest { user, chat, id: id(raw), incoming: None })
    }

    fn echoed(origins: &[(Partition, u64)]) -> Batch {
        let mut batch = Batch::default();
        for (partition, offset) in origins {
            batch.echoed(*partition, Source::new(1, *offset), rows(10 * offset));
        }
        batch
    }

    fn through(near: u64, far: u64) -> impl Fn(Partition) -> Option<Source> {
        move |partition| Some(Source::new(1, if partition == NEAR { near } else { far }))
    }

    #[test]
    fn what_its_own_partition_has_written_is_not_written_again() {
        let batch = echoed(&[(NEAR, 3), (FAR, 5), (NEAR, 7)]);
        let awaited = batch.awaited(&through(3, 4));
        assert_eq!(awaited, BTreeMap::from([(NEAR, Source::new(1, 7)), (FAR, Source::new(1, 5))]));
        assert_eq!(batch.rest(&through(3, 4)), [rows(50), rows(70)].concat());
        assert!(batch.awaited(&through(7, 5)).is_empty());
        assert_eq!(batch.rest(&through(7, 5)), []);
        assert_eq!(batch.rest(&|_| None), [rows(30), rows(50), rows(70)].concat(), "of whom nothing is known");
    }

    #[test]
    fn who_was_waited_for_in_vain_is_not_before_it_has_moved() {
        let mut batch = echoed(&[(NEAR, 3), (FAR, 5)]);
        batch.waited(&through(3, 1));
        assert!(batch.awaited(&through(3, 2)).is_empty(), "one apply waits once");
        batch.clear();
        batch.echoed(FAR, Source::new(1, 9), rows(90));
        assert!(batch.awaited(&through(3, 1)).is_empty());
        assert_eq!(batch.rest(&through(3, 1)), rows(90));
        assert_eq!(batch.awaited(&through(3, 2)), BTreeMap::from([(FAR, Source::new(1, 9))]));
    }

    fn mark(kind: MarkKind, offset: u64) -> Entry {
        let (reader, peer) = (UserId(id(1)), UserId(id(2)));
        let seen = Seen { source: Source::new(1, offset), id: id(offset) };
        Entry::Mark { reader, chat: ChatId::direct(reader, peer), kind, seen }
    }

    fn kept(entries: &[Entry]) -> Vec<Offset> {
        let mut batch = Batch::default();
        for (entry, offset) in entries.iter().zip(0..) {
            batch.index(Recipient::User(UserId(id(1))), offset, entry.clone());
        }
        let offset = |write: &Write| if let Write::Index { offset, .. } = write { Some(*offset) } else { None };
        batch.rest.iter().filter_map(offset).collect()
    }

    #[test]
    fn of_marks_that_follow_each_other_the_one_that_says_more_is_kept() {
        use MarkKind::{Delivered, Read};
        assert_eq!(kept(&[mark(Delivered, 5), mark(Delivered, 7), mark(Read, 7)]), [2]);
        assert_eq!(kept(&[mark(Delivered, 7), mark(Delivered, 7), mark(Delivered, 5)]), [0]);
        assert_eq!(kept(&[mark(Read, 7), mark(Delivered, 6), mark(Delivered, 8)]), [0, 2]);
        assert_eq!(kept(&[mark(Delivered, 8), mark(Read, 7)]), [0, 1], "not all that was delivered is read");
    }

    #[test]
    fn a_mark_stays_if_anything_stands_between_it_and_the_next() {
        let chat = ChatId::direct(UserId(id(1)), UserId(id(2)));
        let message = Entry::Message { chat, id: id(6) };
        assert_eq!(kept(&[mark(MarkKind::Read, 5), message, mark(MarkKind::Read, 7)]), [0, 1, 2]);
        let mut batch = Batch::default();
        batch.index(Recipient::User(UserId(id(1))), 0, mark(MarkKind::Read, 5));
        batch.index(Recipient::User(UserId(id(2))), 1, mark(MarkKind::Read, 7));
        assert_eq!(batch.rest.len(), 2, "streams of two users");
    }
}
