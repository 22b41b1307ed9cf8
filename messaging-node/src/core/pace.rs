//! How fast a session may send: a token bucket. Above the rate nothing is refused; the session is
//! read later, so order holds and the sender's own socket tells it to slow down.

use volery_kernel::time::Timestamp;

/// Sustained rate and burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Sends a second.
    pub per_second: u32,
    /// Sends at once.
    pub burst: u32,
}

/// See the module. Kept as the time at which the bucket would be full again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: Rate,
    full_at_us: u64,
}

impl Pace {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, full_at_us: 0 }
    }

    /// The rate that it goes by.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Goes by another rate from now on. Sends that were made count as before, but no more of them than the
    /// new burst: nobody waits longer than for one send at the new rate.
    pub fn change(&mut self, rate: Rate, now: Timestamp) {
        let now = now.0.saturating_mul(1000);
        let owed = self.full_at_us.saturating_sub(now).saturating_mul(u64::from(self.rate.per_second.max(1)));
        let most = u64::from(rate.burst).saturating_mul(1_000_000);
        self.full_at_us = now.saturating_add(owed.min(most) / u64::from(rate.per_second.max(1)));
        self.rate = rate;
    }

    /// Takes one send; the bucket may go below empty by what was read at once.
    pub fn take(&mut self, now: Timestamp) {
        let now = now.0.saturating_mul(1000);
        self.full_at_us = self.full_at_us.max(now) + 1_000_000 / u64::from(self.rate.per_second.max(1));
    }

    /// Until when nothing more should be read; `None` while there is something left.
    #[must_use]
    pub fn wait_until(&self, now: Timestamp) -> Option<Timestamp> {
        let depth = u64::from(self.rate.burst) * 1_000_000 / u64::from(self.rate.per_second.max(1));
        let ready_us = self.full_at_us.saturating_sub(depth);
        (ready_us > now.0.saturating_mul(1000)).then(|| Timestamp(ready_us.div_ceil(1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever waits as told never exceeds burst + rate × time.
        #[test]
        fn never_faster(rate in 1u32..1000, burst in 1u32..500, sends in 1usize..2000) {
            let mut pace = Pace::new(Rate { per_second: rate, burst });
            let start = Timestamp(1_000_000);
            let mut now = start;
            for _ in 0..sends {
                if let Some(until) = pace.wait_until(now) {
                    prop_assert!(until > now);
                    now = until;
                }
                pace.take(now);
            }
            let allowed = u64::from(burst) + 1 + u64::from(rate) * (now.since(start) + 1) / 1000;
            prop_assert!(sends as u64 <= allowed + 1, "{sends} in {} ms, allowed {allowed}", now.since(start));
        }

        /// Whatever was sent under the old rate: from the change on it is as under the new one, and nobody
        /// who waited under the old one waits for more than a send under the new one.
        #[test]
        fn another_rate_holds_from_the_change_on(
            before in (1u32..1000, 1u32..500), after in (1u32..1000, 1u32..500), made in 0usize..600, sends in 1usize..600,
        ) {
            let rate = |(per_second, burst)| Rate { per_second, burst };
            let (mut pace, changed, after) = (Pace::new(rate(before)), Timestamp(1_000_000), rate(after));
            (0..made).for_each(|_| pace.take(changed));
            pace.change(after, changed);
            let mut now = changed;
            for _ in 0..sends {
                if let Some(until) = pace.wait_until(now) {
                    prop_assert!(until.since(now) <= 1000 / u64::from(after.per_second) + 2, "waits until {until:?}");
                    now = until;
                }
                pace.take(now);
            }
            let allowed = u64::from(after.burst) + u64::from(after.per_second) * (now.since(changed) + 1) / 1000;
            prop_assert!(sends as u64 <= allowed + 2, "{sends} in {} ms, allowed {allowed}", now.since(changed));
        }
    }
}
