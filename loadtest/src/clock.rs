//! The one place that reads the clocks of the machine. The monotonic one counts nanoseconds from an
//! origin that all programs share, so that a time stamp may travel inside of a message and come back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volery_kernel::time::Timestamp;

/// Nanoseconds of the monotonic clock.
#[must_use]
pub fn nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills in the structure that it is given; this clock cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How long ago that was.
#[must_use]
pub fn since(nanos_before: u64) -> Duration {
    Duration::from_nanos(nanos().saturating_sub(nanos_before))
}

/// The monotonic clock as the client's core takes it: milliseconds, never 0.
#[must_use]
pub fn stamp(nanos: u64) -> Timestamp {
    Timestamp(nanos / 1_000_000 + 1)
}

/// The wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tokens end by the wall clock")]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as u64)
}
