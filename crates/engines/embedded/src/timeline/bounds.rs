//! From where an index is complete, and how it forgets: decisions, and the filter that carries them out.
//!
//! An index row's key holds no day, because a replay may bring a row in an apply of another day: it
//! must land on the same key. Instead each (partition, day) remembers its first offset, and to forget
//! the days before one means to cut the partition's index at that day's first offset. Rows below the
//! cut are not read any more, and compaction drops them in passing: no tombstones, no scans.
//!
//! The trap: the filter may only see a cut that is on disk. Otherwise a crash could bring back an
//! older cut that promises rows which are gone.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

use super::layout;

const DAY_MS: u64 = 86_400_000;

/// The UTC day of a stamp.
pub(super) fn day_of(stamp: Timestamp) -> u32 {
    u32::try_from(stamp.0 / DAY_MS).unwrap_or(u32::MAX)
}

/// Where a partition's index was begun, and where it was cut since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Smallest offset that ever was applied.
    pub(super) first: Offset,
    /// Rows below are forgotten.
    pub(super) cut: Offset,
}

impl Bounds {
    /// The index is complete from here on.
    pub(super) fn start(self) -> Offset {
        self.first.max(self.cut)
    }

    /// With another apply whose smallest offset is `first`.
    pub(super) fn reaching(held: Option<Self>, first: Offset) -> Self {
        held.map_or(Self { first, cut: 0 }, |held| Self { first: held.first.min(first), ..held })
    }
}

/// Where to cut so that only days wholly before `before` are forgotten. `days` holds each day's first
/// offset; `end` is one past the newest commit, if the partition has one.
pub(super) fn cut_before(days: &[(u32, Offset)], before: Timestamp, end: Option<Offset>) -> Option<Offset> {
    let kept = days.iter().filter(|(day, _)| *day >= day_of(before)).map(|(_, first)| *first).min();
    kept.or(end)
}

/// The cuts that are on disk, by partition.
#[derive(Default)]
pub(super) struct Cuts(RwLock<HashMap<Partition, Offset>>);

impl Cuts {
    /// Tells of a cut; call it only when the cut is durable.
    pub(super) fn tell(&self, partition: Partition, cut: Offset) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(partition, cut);
    }

    fn now(&self) -> HashMap<Partition, Offset> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes a filter for each compaction.
pub(super) struct Forgetting(pub(super) Arc<Cuts>);

impl Factory for Forgetting {
    fn name(&self) -> &str {
        "expired index rows"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(BelowCut(self.0.now()))
    }
}

struct BelowCut(HashMap<Partition, Offset>);

impl CompactionFilter for BelowCut {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let gone = layout::index_place(item.key())
            .is_some_and(|(partition, offset)| self.0.get(&partition).is_some_and(|cut| offset < *cut));
        // An older version that comes back below the cut is not read either: no tombstone is needed.
        Ok(if gone { Verdict::Destroy } else { Verdict::Keep })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_days_are_cut() {
        let days = [(10, 0), (11, 100), (12, 250)];
        let noon = |day: u64| Timestamp(day * DAY_MS + DAY_MS / 2);
        assert_eq!(cut_before(&days, noon(10), Some(300)), Some(0));
        assert_eq!(cut_before(&days, noon(11), Some(300)), Some(100));
        assert_eq!(cut_before(&days, noon(13), Some(300)), Some(300));
        assert_eq!(cut_before(&days, noon(13), None), None);
    }

    #[test]
    fn a_replay_from_before_a_day_keeps_its_rows() {
        assert_eq!(cut_before(&[(10, 50), (11, 20)], Timestamp(11 * DAY_MS), Some(60)), Some(20));
    }
}
