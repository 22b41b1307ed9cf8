//! A clock and a generator for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use volery_kernel::generator::Refused;
use volery_kernel::id::{EPOCH_MS, Id};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::ids::Ids;

/// A clock that stands until it is moved.
pub struct ManualClock(AtomicU64);

impl Default for ManualClock {
    /// Stands a day after the ids' epoch, on a whole second.
    fn default() -> Self {
        Self(AtomicU64::new(EPOCH_MS + 86_400_000))
    }
}

impl ManualClock {
    /// Moves it forward.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves it back, as whoever sets a machine's clock may.
    pub fn step_back(&self, millis: u64) {
        self.0.fetch_sub(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Ids from 1 on.
#[derive(Default)]
pub struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn take(&self) -> Result<Id, Refused> {
        Ok(super::id(self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}
