//! A real node behind its door, on the model of the log.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

mod answers;
mod clocks;
mod kit;
mod measured;
mod moves;
mod pacing;
