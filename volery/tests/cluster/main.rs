//! A whole cluster in one process, proven from outside: clients that speak the real protocol with real
//! child processes on real sockets and disks, which are killed, filled, misused and stopped.
//!
//! | module | proves |
//! |---|---|
//! | [`script`] | a client written from the document alone works |
//! | [`killed`] | `kill -9` in the middle of a conversation loses and doubles nothing (G1–G4) |
//! | [`streams`] | echoes, resume, reset, positions, replaced and slow sessions (G4, G5) |
//! | [`marks`] | delivered, read, unread |
//! | [`lively`] | typing and presence |
//! | [`bad_input`] | a code or a numbered close, counted, with nobody else disturbed (G9) |
//! | [`stale`] | a send that was long on its way is refused, and its retry taken once (G2) |
//! | [`settings`] | what an operator sets takes hold of who is connected; refusals change nothing |
//! | [`orders`] | nodes that are drained and partitions that are moved from the command line, while config-nodes restart |
//! | [`logout`] | a device that was logged out is out at once (G8) |
//! | [`encrypted`] | TLS at both doors, certificates replaced in the middle of a chat, and who is not let in |
//! | [`backups`] | restored timelines replay by themselves; restored logs are noticed, and replaced (G4) |
//! | [`restored`] | all that is stored comes back out of backups made in their order, and every promise holds |
//! | [`full`] | a full log refuses, keeps, and goes on |
//! | [`process`] | signals, exit codes, configuration, help |

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests too")]

mod backups;
mod bad_input;
mod encrypted;
mod full;
mod killed;
mod kit;
mod lively;
mod logout;
mod marks;
mod orders;
mod process;
mod restored;
mod script;
mod settings;
mod slow;
mod stale;
mod streams;
