//! 64-bit Snowflake ids: top bit 0, 41 bits of milliseconds since 2026-01-01T00:00:00Z,
//! 11 bits of generator, 11 bits of sequence. Persisted for ever: the layout never changes.
//!
//! Ids order a chat. They are integers in MessagePack and decimal strings in JSON, because
//! JavaScript's numbers end at 2^53.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// 2026-01-01T00:00:00Z in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
/// Bits of the sequence within one millisecond.
pub const SEQUENCE_BITS: u32 = 11;
/// Bits of the generator's number.
pub const GENERATOR_BITS: u32 = 11;
/// Largest sequence: 2,048 ids a millisecond and generator.
pub const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
/// Largest generator number.
pub const GENERATOR_MAX: u16 = (1 << GENERATOR_BITS) - 1;

/// A Snowflake id. Ordered by time, then generator, then sequence. 0 is "before every id".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

/// A number that is no id: its top bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ids are integers from 0 to 2^63 - 1")]
pub struct NotAnId;

impl Id {
    /// Before every id that a generator can take.
    pub const ZERO: Self = Self(0);
    /// After every id that a generator can take.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// Accepts any number with the top bit clear.
    pub const fn new(raw: u64) -> Result<Self, NotAnId> {
        if raw > Self::MAX.0 { Err(NotAnId) } else { Ok(Self(raw)) }
    }

    /// Puts an id together; `None` before 2026 or past the 41 bits (the year 2095), or if a part is out of range.
    #[must_use]
    pub fn from_parts(at: Timestamp, generator: u16, sequence: u64) -> Option<Self> {
        let millis = at.0.checked_sub(EPOCH_MS)?;
        let in_range = millis < 1 << 41 && generator <= GENERATOR_MAX && sequence <= SEQUENCE_MAX;
        in_range.then(|| {
            let generator = u64::from(generator) << SEQUENCE_BITS;
            Self(millis << (SEQUENCE_BITS + GENERATOR_BITS) | generator | sequence)
        })
    }

    /// The smallest id of a millisecond: the edge for reading "from a time".
    #[must_use]
    pub fn first_at(at: Timestamp) -> Self {
        let at = Timestamp(at.0.max(EPOCH_MS));
        Self::from_parts(at, 0, 0).unwrap_or(Self::MAX)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// When the id was taken, by its generator's clock.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        Timestamp((self.0 >> (SEQUENCE_BITS + GENERATOR_BITS)) + EPOCH_MS)
    }

    /// Who took it.
    #[must_use]
    pub const fn generator(self) -> u16 {
        ((self.0 >> SEQUENCE_BITS) & GENERATOR_MAX as u64) as u16
    }

    /// Which one it was in its millisecond.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.0 & SEQUENCE_MAX
    }

    /// The next number, saturating at [`Id::MAX`].
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 >= Self::MAX.0 { Self::MAX } else { Self(self.0 + 1) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map_err(|_| NotAnId).and_then(Self::new)
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Id);

        impl $name {
            /// Accepts any number with the top bit clear.
            pub const fn new(raw: u64) -> Result<Self, NotAnId> {
                match Id::new(raw) {
                    Ok(id) => Ok(Self(id)),
                    Err(error) => Err(error),
                }
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.parse().map(Self)
            }
        }
    };
}

typed_id!(
    /// A person with an account.
    UserId
);
typed_id!(
    /// A group of users, addressed as a user is.
    GroupId
);
typed_id!(
    /// One installed client of a user; issued at log-in and bound into its tokens.
    DeviceId
);
typed_id!(
    /// An id taken at `hello`, above the device's previous one: it fences what came before.
    SessionNumber
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layout_is_pinned() {
        let id = Id::from_parts(Timestamp(EPOCH_MS + 1), 1, 1);
        assert_eq!(id.map(Id::get), Some(1 << 22 | 1 << 11 | 1));
        assert_eq!(Id::from_parts(Timestamp(EPOCH_MS - 1), 0, 0), None);
        assert_eq!(Id::new(1 << 63), Err(NotAnId));
    }

    proptest! {
        #[test]
        fn parts_come_back(millis in 0u64..1 << 41, generator in 0..=GENERATOR_MAX, sequence in 0..=SEQUENCE_MAX) {
            let at = Timestamp(EPOCH_MS + millis);
            let id = Id::from_parts(at, generator, sequence).ok_or(TestCaseError::fail("in range"))?;
            prop_assert_eq!((id.time(), id.generator(), id.sequence()), (at, generator, sequence));
            prop_assert_eq!(id.to_string().parse::<Id>(), Ok(id));
        }

        #[test]
        fn order_is_time_order(a in 0u64..1 << 41, b in 0u64..1 << 41) {
            let id = |millis| Id::first_at(Timestamp(EPOCH_MS + millis));
            prop_assert_eq!(a.cmp(&b), id(a).cmp(&id(b)));
        }
    }
}
