//! Places: in one partition of the log (source positions), and in a user's stream (positions).
//!
//! A [`Source`] is totally ordered within its partition and fits one integer, so that stores can
//! keep a maximum of it. A [`Position`] also carries the id of the record it names: a log that was
//! restored or recreated disagrees about that id, and is noticed.

use crate::id::Id;
use crate::slot::Partition;

/// An offset within a partition; contiguous from 0 in a log generation.
pub type Offset = u64;

/// Largest offset: 48 bits.
pub const OFFSET_MAX: Offset = (1 << 48) - 1;

/// (log generation, offset) in one ordered number: 16 + 48 bits. 0 is "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u64);

impl Source {
    /// Before everything.
    pub const ZERO: Self = Self(0);

    /// Generations count from 1, so that no record's source is 0. Offsets are cut to 48 bits.
    #[must_use]
    pub const fn new(generation: u16, offset: Offset) -> Self {
        Self((generation as u64) << 48 | offset & OFFSET_MAX)
    }

    /// The smallest that is larger.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The log generation.
    #[must_use]
    pub const fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The offset within the partition.
    #[must_use]
    pub const fn offset(self) -> Offset {
        self.0 & OFFSET_MAX
    }

    /// Its place among all records that the partition ever had, those of earlier generations before it:
    /// what indexes are ordered by, lest a new log write over the old one's rows. In the first generation
    /// it is the offset.
    #[must_use]
    pub const fn place(self) -> u64 {
        self.0.saturating_sub(1 << 48)
    }
}

/// Everything up to and including this record is held. Opaque to clients. The default lies before every
/// record of every log; [`Position::beginning`] before those of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The partition whose stream this is.
    pub partition: Partition,
    /// The record.
    pub source: Source,
    /// The id of that record.
    pub id: Id,
}

/// Bytes that are no position of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position that this service has given out")]
pub struct NotAPosition;

impl Position {
    /// Length of the encoded form in bytes.
    pub const LEN: usize = 19;
    const VERSION: u8 = 1;

    /// The place before the first record of a log generation. It sorts between the generations: a device
    /// that holds nothing must not be taken, in the next log, for one that holds that log's beginning.
    #[must_use]
    pub const fn beginning(partition: Partition, generation: u16) -> Self {
        Self { partition, source: Source(Source::new(generation, 0).0.saturating_sub(1)), id: Id::ZERO }
    }

    /// The bytes that clients store and send back: version, partition, source, id, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = Self::VERSION;
        bytes[1..3].copy_from_slice(&self.partition.0.to_be_bytes());
        bytes[3..11].copy_from_slice(&self.source.0.to_be_bytes());
        bytes[11..].copy_from_slice(&self.id.get().to_be_bytes());
        bytes
    }

    /// # Errors
    /// [`NotAPosition`] for anything that [`Position::to_bytes`] cannot have made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAPosition> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| NotAPosition)?;
        let [version, p0, p1, rest @ ..] = *bytes;
        let (source, id) = rest.split_at(8);
        let number = |part: &[u8]| part.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        let id = Id::new(number(id)).map_err(|_| NotAPosition)?;
        let position = Self { partition: Partition(u16::from_be_bytes([p0, p1])), source: Source(number(source)), id };
        if version == Self::VERSION { Ok(position) } else { Err(NotAPosition) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_pinned() {
        let position = Position {
            partition: Partition(2),
            source: Source::new(1, 3),
            id: Id::first_at(crate::time::Timestamp(0)).next(),
        };
        assert_eq!(position.to_bytes(), [1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_beginning_lies_between_two_generations_and_is_no_record() {
        let beginning = Position::beginning(Partition(2), 3);
        assert!(Source::new(2, OFFSET_MAX) <= beginning.source && beginning.source < Source::new(3, 0));
        assert_eq!(beginning.id, Id::ZERO);
        assert_ne!(beginning, Position::beginning(Partition(2), 2));
        assert_eq!(Position::from_bytes(&beginning.to_bytes()), Ok(beginning));
    }

    proptest! {
        #[test]
        fn made_up_bytes_are_refused_or_mean_themselves(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Ok(position) = Position::from_bytes(&bytes) {
                prop_assert_eq!(&position.to_bytes()[..], &bytes[..]);
            }
        }

        #[test]
        fn sources_order_by_generation_then_offset(a in any::<(u16, u32)>(), b in any::<(u16, u32)>()) {
            let source = |(generation, offset): (u16, u32)| Source::new(generation, u64::from(offset));
            prop_assert_eq!(source(a).cmp(&source(b)), a.cmp(&b));
        }

        #[test]
        fn places_order_as_sources_do_and_keep_the_offset(a in (1..=u16::MAX, any::<u32>()), b in (1..=u16::MAX, any::<u32>())) {
            let source = |(generation, offset): (u16, u32)| Source::new(generation, u64::from(offset));
            prop_assert_eq!(source(a).place().cmp(&source(b).place()), a.cmp(&b));
            prop_assert_eq!(Source(source(a).place()).offset(), u64::from(a.1));
            prop_assert!(a.0 > 1 || source(a).place() == u64::from(a.1));
        }
    }
}
