//! Retries are paid for by calls: a role that fails is not buried under them.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{CALLS_A_RETRY, RETRIES_BURST};

/// Counted in calls: each earns one, a retry costs [`CALLS_A_RETRY`]. Begins full.
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

const FULL: u32 = RETRIES_BURST * CALLS_A_RETRY;

impl Budget {
    /// A call was made.
    pub(super) fn earn(&self) {
        // Refused when it is full: nothing to do.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| (calls < FULL).then_some(calls + 1));
    }

    /// Whether a retry may be made; if so, it is paid for.
    pub(super) fn spend(&self) -> bool {
        let paid = |calls: u32| calls.checked_sub(CALLS_A_RETRY);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_calls_beyond_a_burst() {
        let budget = Budget::default();
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.earn();
            retries += u32::from(budget.spend());
        }
        assert_eq!(retries, RETRIES_BURST + 10_000 / CALLS_A_RETRY - 1);
    }

    #[test]
    fn calls_that_go_well_save_up_no_more_than_the_burst() {
        let budget = Budget::default();
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!((0..10_000).filter(|_| budget.spend()).count() as u32, RETRIES_BURST);
    }
}
