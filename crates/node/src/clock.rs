//! The wall clock of a process: the one place that reads it. Everything else takes a `Clock`.

use std::time::{SystemTime, UNIX_EPOCH};

use volery_kernel::time::{Clock, Timestamp};

/// The machine's clock. It may step back or leap; who depends on order uses ids, never this.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the shell that owns the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::id::EPOCH_MS;

    #[test]
    fn the_clock_is_past_the_epoch_of_ids_or_ids_cannot_be_taken() {
        assert!(SystemClock.now() > Timestamp(EPOCH_MS));
    }
}
