//! The newest event of each stream that a tail has dropped: who missed nothing reads nothing.
//!
//! Bounded: of two generations the older one goes as a whole once the younger is full. Trap avoided: what is not
//! known here any more may have been missed.

use std::collections::HashMap;

use volery_kernel::chat::Recipient;
use volery_kernel::position::Offset;

/// See the module.
pub(crate) struct Dropped {
    /// Everything that was dropped from here on is known.
    known_from: Offset,
    younger: Newest,
    older: Newest,
}

/// Of each stream its newest; and one past the newest of all.
#[derive(Default)]
struct Newest {
    of: HashMap<Recipient, Offset>,
    end: Offset,
}

impl Dropped {
    /// Of a tail that begins there.
    pub(crate) fn new(start: Offset) -> Self {
        Self { known_from: start, younger: Newest::default(), older: Newest::default() }
    }

    /// An event went. `most` streams are kept of each generation. What was read back may go twice, so offsets do not only
    /// grow.
    pub(crate) fn note(&mut self, stream: Recipient, offset: Offset, most: usize) {
        if self.younger.of.len() >= most && !self.younger.of.contains_key(&stream) {
            let gone = std::mem::replace(&mut self.older, std::mem::take(&mut self.younger));
            self.known_from = self.known_from.max(gone.end);
        }
        let newest = self.younger.of.entry(stream).or_default();
        *newest = offset.max(*newest);
        self.younger.end = self.younger.end.max(offset + 1);
    }

    /// Whether an event of the stream at `from` or after it may have been dropped.
    pub(crate) fn may_hold(&self, stream: Recipient, from: Offset) -> bool {
        let holds = |newest: &Newest| newest.of.get(&stream).is_some_and(|offset| *offset >= from);
        from < self.known_from || holds(&self.younger) || holds(&self.older)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use volery_kernel::id::UserId;

    use super::*;

    fn stream(number: u64) -> Recipient {
        Recipient::User(UserId::new(number + 1).unwrap_or_default())
    }

    proptest! {
        /// Nothing that was missed is denied, whatever was read back and dropped again.
        #[test]
        fn who_is_said_to_have_missed_nothing_has(noted in proptest::collection::vec((0..8u64, 0..64u64), 0..64)) {
            let (mut dropped, mut newest) = (Dropped::new(0), BTreeMap::new());
            for (number, offset) in noted {
                dropped.note(stream(number), offset, 3);
                let newest: &mut Offset = newest.entry(number).or_default();
                *newest = offset.max(*newest);
            }
            for (number, newest) in newest {
                prop_assert!(dropped.may_hold(stream(number), newest));
            }
        }
    }

    #[test]
    fn who_missed_nothing_is_told_so_as_long_as_it_is_known() {
        let mut dropped = Dropped::new(10);
        dropped.note(stream(1), 10, 2);
        dropped.note(stream(2), 11, 2);
        assert!(
            dropped.may_hold(stream(1), 10) && !dropped.may_hold(stream(1), 11) && !dropped.may_hold(stream(3), 10)
        );
        assert!(dropped.may_hold(stream(3), 9), "before it began");
        for (number, offset) in [(4, 12), (5, 13), (6, 14)] {
            dropped.note(stream(number), offset, 2);
        }
        assert!(dropped.may_hold(stream(3), 11) && !dropped.may_hold(stream(3), 12), "the older two are forgotten");
    }
}
