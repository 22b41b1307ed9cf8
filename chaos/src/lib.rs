//! Breaks a whole cluster on real engines, part by part, while people write to each other, and judges what they saw.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | flags, and what is printed and kept |
//! | [`fault`] | what can be broken, and how |
//! | [`schedule`] | what is broken when: pure, from a seed |
//! | [`campaign`] | faults in rounds, each with people of its own, judged one by one |
//! | [`state`] | what a campaign has come to: it goes on from there |
//! | [`ground`] | the cluster and its engines, by the tools that people have for them |
//! | [`wiring`] | which link goes through which proxy |
//! | [`tools`] | programs that are run to their end |
//! | [`report`], [`page`] | the figures, and the picture |
//!
//! People and their clients are those of `crash`; so is the thread that they live on, which waits for no program.

pub mod campaign;
pub mod cli;
pub mod fault;
pub mod ground;
pub mod page;
pub mod report;
pub mod schedule;
pub mod state;
pub mod tools;
pub mod wiring;
