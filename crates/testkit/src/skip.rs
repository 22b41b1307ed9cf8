//! How a test says that it cannot run here: it prints one line and returns. The gate counts it as
//! skipped, never as passed. What could be had with effort is no reason to skip.

/// Says that the test named `name` is skipped, and why; the test returns after it.
pub fn skipped(name: &str, reason: &str) {
    println!("SKIPPED: {name}: {reason}");
}
