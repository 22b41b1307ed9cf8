//! What the process of every role needs around its work. No role, engine or protocol is known here.
//!
//! Nothing is global but the subscriber of logs, which a binary installs once: several nodes live in
//! one process, each with its own configuration, metrics, health and shutdown.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the table of keys; defaults ← file ← environment ← flags; all mistakes at once |
//! | [`telemetry`] | where logs go and how they look |
//! | [`metrics`] | the table of metrics and the counters made of it |
//! | [`health`] | what each part says of itself, and what follows for probes |
//! | [`shutdown`] | two stages with a deadline, and who is still there |
//! | [`clock`] | the wall clock |

pub mod clock;
pub mod config;
pub mod health;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
