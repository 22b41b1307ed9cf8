//! How ids, numbers and times stand in columns: as 64-bit integers with a sign.

use volery_kernel::id::Id;
use volery_kernel::time::Timestamp;

/// A number below 2^63 as SQL holds it.
pub(crate) fn int(number: u64) -> i64 {
    number.cast_signed()
}

/// A time as SQL holds it.
pub(crate) fn millis(time: Timestamp) -> i64 {
    int(time.0)
}

/// A time as it was written.
pub(crate) fn time(column: i64) -> Timestamp {
    Timestamp(column.cast_unsigned())
}

/// An id as it was written; a negative number can only be damage, and names nobody.
pub(crate) fn id(column: i64) -> sqlx::Result<Id> {
    Id::new(column.cast_unsigned()).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// A number of two bytes as it was written.
pub(crate) fn small(column: i64) -> sqlx::Result<u16> {
    u16::try_from(column).map_err(|error| sqlx::Error::Decode(error.into()))
}
