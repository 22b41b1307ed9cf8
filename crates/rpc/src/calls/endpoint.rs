//! One endpoint of a role: its connection, made when it is first needed, and its rest after a failure.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::limits::{REST_FIRST, REST_LONGEST};

pub(super) struct Endpoint {
    pub(super) channel: Channel,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
    /// One call tries whether it is back; meanwhile the others stay away.
    probed: bool,
}

impl Endpoint {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, rest: Mutex::default() }
    }

    /// A call goes there. The first after a rest is the one that tries.
    pub(super) fn taken(&self, now: Instant) {
        let mut rest = self.rest.lock();
        if rest.until.is_some_and(|until| until <= now) {
            rest.until = Some(now + REST_LONGEST);
            rest.probed = true;
        }
    }

    /// It answered.
    pub(super) fn worked(&self) {
        *self.rest.lock() = Rest::default();
    }

    /// It did not. Of many calls that fail together the first counts.
    pub(super) fn failed(&self, now: Instant) {
        let mut rest = self.rest.lock();
        if rest.probed || rest.until.is_none() {
            let failures = rest.failures.saturating_add(1);
            *rest = Rest { failures, until: Some(now + length(rest.failures)), probed: false };
        }
    }

    /// Until when it is left out if others are there; `None` if it is not.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rest.lock().until.filter(|until| *until > now)
    }
}

fn length(failures: u32) -> Duration {
    REST_FIRST.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(REST_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rests_grow_to_a_bound_and_end_with_an_answer() {
        let endpoint = Endpoint::new(Channel::from_static("http://127.0.0.1:1").connect_lazy());
        let now = Instant::now();
        assert_eq!(endpoint.rests_until(now), None);
        endpoint.failed(now);
        endpoint.failed(now);
        assert_eq!(endpoint.rests_until(now), Some(now + REST_FIRST), "those that fail together count once");
        let mut at = now;
        let mut last = REST_FIRST;
        for _ in 0..100 {
            at += last;
            assert_eq!(endpoint.rests_until(at), None);
            endpoint.taken(at);
            assert!(endpoint.rests_until(at).is_some(), "one call tries");
            endpoint.failed(at);
            let rest = endpoint.rests_until(at).expect("rests") - at;
            assert_eq!(rest, (last * 2).min(REST_LONGEST));
            last = rest;
        }
        endpoint.worked();
        assert_eq!(endpoint.rests_until(at), None);
    }
}
