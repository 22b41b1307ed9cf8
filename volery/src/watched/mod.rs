//! Engines watched from outside: how long calls take, how many fail, and what health says of that. Thin, and
//! without a decision: every answer is passed on as it came.
//!
//! | module | watches |
//! |---|---|
//! | [`log`] | a log that is reached over a network; partitions, appends and reads apart |
//! | [`ailing`] | which of those do not work |
//! | [`timeline`] | the timeline |
//! | [`accounts`] | the account store |
//! | [`cluster`] | the cluster store |
//! | [`bus`] | typing and presence |

pub(crate) mod accounts;
mod ailing;
pub(crate) mod bus;
pub(crate) mod cluster;
pub(crate) mod log;
pub(crate) mod timeline;
