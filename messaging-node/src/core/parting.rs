//! How fast the sessions of a lost partition are told where to go. No storm at the new owner's, and nobody late.

use volery_kernel::limits;

/// They are told in steps of this many milliseconds.
pub const STEP_MS: u64 = 10;

/// How many of a lost partition's sessions are told now, if so many wait and the first were told
/// `since_ms` ago: evenly, so that the last are told in time.
#[must_use]
pub fn told_now(waiting: usize, since_ms: u64) -> usize {
    let steps_left = limits::MOVED_WITHIN_MS.value.saturating_sub(since_ms) / STEP_MS;
    waiting.div_ceil(steps_left.max(1) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_lost_partitions_sessions_are_told_in_time_and_never_all_at_once(sessions in 0usize..20_000) {
            let steps = limits::MOVED_WITHIN_MS.value / STEP_MS;
            let (mut waiting, mut most) = (sessions, 0);
            for step in 0..steps {
                let told = told_now(waiting, step * STEP_MS);
                (waiting, most) = (waiting - told, most.max(told));
            }
            prop_assert_eq!(waiting, 0);
            prop_assert!(most <= sessions.div_ceil(steps as usize), "{} of {} in one step", most, sessions);
            prop_assert_eq!(told_now(sessions, limits::MOVED_WITHIN_MS.value + 1), sessions, "late: all at once");
        }
    }
}
