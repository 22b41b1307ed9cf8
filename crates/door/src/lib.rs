//! WebSockets as RFC 6455 says, for the messaging node's door, our Rust client and the load
//! generator. No extensions: compression costs more memory a session than everything else.
//!
//! A session's memory is what it holds while nothing happens, so nothing is held then: bytes are
//! read into one buffer per thread, whole messages are lent out of it, and a frame goes to the
//! kernel before anything of it is queued.
//!
//! | module | owns |
//! |---|---|
//! | [`frame`] | headers: reading with every check, writing |
//! | [`mask`] | masking, in place |
//! | [`utf8`] | UTF-8 over pieces |
//! | [`close`] | payloads of close frames |
//! | [`assembler`] | bytes in, messages out: the pure half of reading |
//! | [`handshake`] | the HTTP upgrade, both sides, pure |
//! | [`address`] | where a door is, as people and nodes write it |
//! | [`stream`] | TCP, with TLS on it or not |
//! | [`socket`] | a stream with frames on it, polled by the actor that owns it |
//! | [`outbound`] | writing: try first, then queue; corking |
//! | [`listener`] | a handshake over a stream, within a deadline, both sides |

pub mod address;
pub mod assembler;
pub mod close;
pub mod frame;
pub mod handshake;
pub mod listener;
pub mod mask;
pub mod outbound;
mod scratch;
pub mod socket;
pub mod stream;
pub mod utf8;
