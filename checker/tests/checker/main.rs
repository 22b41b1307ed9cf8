//! The checker against a small honest world, and against histories in which one thing is wrong.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod device;
mod honest;
mod world;
