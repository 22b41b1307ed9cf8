//! How long to wait before the next attempt: jitter keeps a hundred thousand devices apart.

/// Ends of the first three intervals, in milliseconds.
const FIRST_MS: [u64; 3] = [250, 500, 1_000];
/// No interval is longer than this, in milliseconds.
const MOST_MS: u64 = 30_000;
/// The first attempt of those that were told to come later.
const LATER: u32 = 2;

/// Counts attempts since something last went well.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Something went well.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next attempt need not be soon.
    pub(super) fn later(&mut self) {
        self.attempts = self.attempts.max(LATER);
    }

    /// Milliseconds to wait where the server said how many: those, and no storm after them.
    pub(super) fn told(ms: u64, random: u64) -> u64 {
        ms.saturating_add(random % (FIRST_MS[0] + 1))
    }

    /// Milliseconds to wait: uniform up to 250 ms, 500 ms, 1 s, then up to twice as long each time,
    /// 30 s at most.
    pub(super) fn next(&mut self, random: u64) -> u64 {
        let end = match FIRST_MS.get(self.attempts as usize) {
            Some(&end) => end,
            None => MOST_MS.min(1_000 << (self.attempts - 2).min(5)),
        };
        self.attempts = self.attempts.saturating_add(1);
        random % (end + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow_to_half_a_minute_and_start_anew() {
        let mut backoff = Backoff::default();
        let ends: Vec<u64> = (0..10)
            .map(|_| {
                let mut longest = 0;
                for random in 0..40_000 {
                    longest = longest.max(backoff.clone().next(random));
                }
                backoff.next(0);
                longest
            })
            .collect();
        assert_eq!(ends, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        backoff.reset();
        assert!(backoff.next(u64::MAX) <= 250);
        backoff.reset();
        backoff.later();
        assert_eq!(backoff.next(1_000), 1_000);
    }

    #[test]
    fn the_servers_word_comes_first() {
        assert_eq!((Backoff::told(1_000, 0), Backoff::told(1_000, 250)), (1_000, 1_250));
        assert_eq!(Backoff::told(u64::MAX, 7), u64::MAX);
    }
}
