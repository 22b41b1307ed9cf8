//! Breaks a running server again and again while people write to each other, and judges what they saw.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | flags, and what is printed and kept |
//! | [`campaign`] | kills and pauses, one after the other, in rounds that are judged one by one |
//! | [`full`] | a disk without room, and with room again |
//! | [`crowd`] | the people of a round: some flood, some live a day |
//! | [`victim`] | the server: at fixed ports, so that clients find it again |
//! | [`disk`] | a small file system of its own |
//! | [`story`] | what a history says of retries; where breaks stand in it |
//! | [`report`] | the figures |
//!
//! The clients are the load test's: the client's own state machine, through the public protocol. All
//! of them live on one thread; only the server's start is waited for elsewhere, so that its clients
//! meet a closed port meanwhile.

pub mod campaign;
pub mod cli;
pub mod crowd;
pub mod disk;
pub mod full;
pub mod report;
pub mod story;
pub mod victim;
