//! A client of Volery, as the terminal client, the load generator and the tests use it.
//!
//! What a device *decides* is [`core::Core`]: no I/O, no clock, no randomness of its own. What its
//! user *sees* is [`view::View`], made of the same frames. They are kept apart, because a load
//! generator holds ten thousand devices and not one message.
//!
//! | module | owns |
//! |---|---|
//! | [`intent`] | what a user wants done, before it is done |
//! | [`state`] | what must survive a restart of the client |
//! | [`store`] | where that is kept |
//! | [`outbox`] | intents until they are confirmed or failed |
//! | [`core`] | the connection: hello, resume, retries, confirmations, back-off |
//! | [`view`] | what a user sees: chats, lines, marks, unread counts |
//! | [`pages`] | which pages are wanted and asked for |
//! | [`device`] | connection, view and pages as one state machine: what a chat program drives |
//! | [`shell`] | sockets, files, clocks and HTTP around a device |

pub mod core;
pub mod device;
pub mod intent;
pub mod outbox;
pub mod pages;
pub mod shell;
pub mod state;
pub mod store;
pub mod view;
