//! The one place that reads the clock: nanoseconds since the process began, for time stamps that
//! travel inside of messages and come back.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nanoseconds since the first call.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a load test is about real time")]
pub fn nanos() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// How long ago that was.
#[must_use]
pub fn since(nanos_before: u64) -> Duration {
    Duration::from_nanos(nanos().saturating_sub(nanos_before))
}
