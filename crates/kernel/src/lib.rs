//! What every part of Volery agrees on, without I/O, clock or randomness of its own.
//!
//! Everything here is a value or a pure decision about values: a function of what it is given.
//! Whoever needs the time passes a [`time::Timestamp`] in; nothing in this crate reads one.
//!
//! | module | owns |
//! |---|---|
//! | [`id`] | 64-bit Snowflake ids and the typed ids made of them |
//! | [`generator`] | taking new ids, above a floor, never twice |
//! | [`chat`] | recipients and chats |
//! | [`slot`] | recipient → slot → partition |
//! | [`map`] | partition → node, for each kind of node |
//! | [`served`] | which partitions a node serves, as maps come |
//! | [`position`] | places in the log and in a user's stream |
//! | [`event`] | what stands on the log |
//! | [`rules`] | which records count: the fence, lateness, flagged retries |
//! | [`limits`] | every number that bounds something, with its reason |
//! | [`code`] | error codes and close codes, as clients meet them |

pub mod chat;
pub mod code;
pub mod event;
pub mod generator;
pub mod id;
pub mod limits;
pub mod map;
pub mod position;
pub mod rules;
pub mod served;
pub mod slot;
pub mod time;
