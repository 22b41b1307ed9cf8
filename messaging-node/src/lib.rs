//! messaging-node: holds sessions, appends what they send, delivers what the log brings.

pub mod core;
