//! How a test says that it cannot run here: it prints one line and returns. The gate counts it as
//! skipped, never as passed. What could be had with effort is no reason to skip.
//!
//! A build server must have everything: where `CI` is set, such a test fails.

/// Says that the test named `name` is skipped, and why; the test returns after it.
///
/// # Panics
/// Where `CI` is set.
pub fn skipped(name: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{name} cannot run here, and CI is set: {reason}");
    println!("SKIPPED: {name}: {reason}");
}
