//! messaging-node: holds sessions, appends what they send, delivers what the log brings.
//!
//! A map says which partitions are this node's; they come and go while it runs. Every thread is an actix
//! arbiter that has some of them: the socket of a session, its actor
//! and its partition's tail live on one thread, so delivery takes no lock and crosses no thread. A
//! socket is accepted anywhere, authenticated, and then handed to its thread.
//!
//! | module | owns |
//! |---|---|
//! | [`core`] | what sessions and partitions decide (pure) |
//! | [`node`] | threads and their parts put together: options, start, stop |
//! | `greeter` | accepting: handshake, `hello`, authentication |
//! | `worker` | one thread: its sessions, partitions, generator; who comes and what moves |
//! | `partition` | the actor that reads a partition and wakes its sessions |
//! | `session` | the actor that owns a socket |
//! | `timing` | appends, and what their stamps say of the node's clock |
//! | `voice` | what the node says of typing and presence |
//! | `errand` | what a session asks of log, accounts and history |

pub mod core;
mod errand;
mod greeter;
pub mod node;
mod partition;
mod session;
mod timing;
mod voice;
mod worker;

pub use node::{MessagingNode, Options, Parts, StartError};
