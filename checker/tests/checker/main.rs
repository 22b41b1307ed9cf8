//! The checker against a small honest world, and against histories in which one thing is wrong.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod binary;
mod device;
mod format;
mod honest;
mod mutations;
mod open;
mod scene;
mod sending;
mod size;
mod telling;
mod world;
