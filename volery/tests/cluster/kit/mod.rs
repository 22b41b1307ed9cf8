//! What the tests of a running service share: a server as a child process, HTTP, a raw socket, and a
//! device that keeps the rules of `docs/protocol.md` and no more.
//!
//! Nothing here links the service: whatever is claimed about it was seen from outside. Every wait is for
//! a condition and ends with a panic that says for what. Trap avoided: a test that fails shows what the
//! server logged, else a red run on another machine teaches nothing.

pub(crate) mod authority;
pub(crate) mod backups;
pub(crate) mod device;
pub(crate) mod http;
pub(crate) mod operator;
pub(crate) mod server;
pub(crate) mod socket;

use std::time::{Duration, Instant};

pub(crate) use device::Device;
pub(crate) use server::Server;

/// How long anything may take before it counts as never: far above what it takes on a busy machine.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// The clock of the tests' deadlines.
#[expect(clippy::disallowed_methods, reason = "tests of real processes wait in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for a condition outside of this process, looking every few milliseconds.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + NEVER;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: not within {NEVER:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
