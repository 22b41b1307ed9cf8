//! recipient → slot → partition.
//!
//! Both functions are constants of the log generation: a record once written must be found in the
//! same partition for ever, so the golden vectors below may never change.

use xxhash_rust::xxh3::xxh3_64;

use crate::chat::Recipient;

/// Number of slots, for ever.
pub const SLOTS: u16 = 16_384;

/// The slot of a recipient: xxh3-64, seed 0, of kind byte and id, modulo [`SLOTS`].
#[must_use]
pub fn slot_of(recipient: Recipient) -> u16 {
    (xxh3_64(&recipient.to_key()) % u64::from(SLOTS)) as u16
}

/// A partition of the log, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How many partitions this log generation has, and therefore where everything lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(u16);

impl Partitions {
    /// `None` unless `1 <= count <= SLOTS`.
    #[must_use]
    pub const fn new(count: u16) -> Option<Self> {
        if count == 0 || count > SLOTS { None } else { Some(Self(count)) }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.0
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// The partition that holds everything addressed to `recipient`.
    #[must_use]
    pub fn of(self, recipient: Recipient) -> Partition {
        Partition(slot_of(recipient) % self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{GroupId, Id, UserId};

    fn user(raw: u64) -> Recipient {
        Recipient::User(UserId(Id::new(raw).unwrap_or(Id::ZERO)))
    }

    #[test]
    fn golden_vectors() {
        let group = Recipient::Group(GroupId(Id::new(1).unwrap_or(Id::ZERO)));
        let slots: Vec<_> = [user(0), user(1), user(1 << 40), user(u64::MAX >> 1), group].map(slot_of).into();
        assert_eq!(slots, GOLDEN);
    }

    const GOLDEN: [u16; 5] = [11904, 5628, 1898, 15356, 3618];

    #[test]
    fn a_million_users_spread_evenly_over_360_partitions() {
        let partitions = Partitions(360);
        let mut load = vec![0u32; 360];
        for n in 0..1_000_000u64 {
            load[usize::from(partitions.of(user(n << 22)).0)] += 1;
        }
        let mean = 1_000_000.0 / 360.0;
        let largest = f64::from(load.into_iter().max().unwrap_or(0));
        assert!(largest / mean < 1.1, "largest over mean: {}", largest / mean);
    }
}
