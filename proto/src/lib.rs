//! The bytes of the log's events: [`encode`] and [`decode`], and nothing else.
//!
//! The format is `volery/log/v1/events.proto`; its generated types stay in here, so that only the
//! kernel's events travel through the code. Two traps are avoided:
//!
//! - An event of a kind that this version does not know is no error: it is [`Event::Unknown`] and
//!   encodes to the very bytes it came from.
//! - Bodies are slices of the input. Who keeps a body for long keeps the buffer that the record was
//!   read into; copy it there, not here.

mod from_wire;
mod to_wire;

use bytes::Bytes;
use prost::Message;
use volery_kernel::event::Event;

#[allow(clippy::all, unreachable_pub, reason = "made by the build script from the .proto")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/volery.log.v1.rs"));
}

/// Why bytes are no event. A newer version's event is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not Protocol Buffers, or a known field of another type.
    #[error("not an event: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A part is not there without which the event means nothing.
    #[error("an event without its {0}")]
    Missing(&'static str),
    /// An id is larger than 2^63 - 1.
    #[error("an event whose {0} is not an id")]
    NotAnId(&'static str),
    /// The chat's key names no chat.
    #[error("an event whose chat is not a chat")]
    NotAChat,
    /// A kind that belongs to a user stands in a group's stream.
    #[error("an event of a user in a group's stream")]
    NotAUser,
}

/// The event's bytes, in one allocation; an [`Event::Unknown`] gives back its own.
#[must_use]
pub fn encode(event: &Event) -> Bytes {
    match to_wire::kind(event) {
        Ok(kind) => to_wire::envelope(event, kind).encode_to_vec().into(),
        Err(to_wire::AsRead(bytes)) => bytes,
    }
}

/// What the log appends: the key that places the event, and [`encode`]'s bytes.
#[must_use]
pub fn encode_record(event: &Event) -> ([u8; 9], Bytes) {
    (event.stream().to_key(), encode(event))
}

/// The event of [`encode`], of this version or any other. Bodies are slices of `bytes`.
///
/// # Errors
/// [`DecodeError`], which names what is wrong. Whatever is in `bytes`, this does not panic.
pub fn decode(bytes: Bytes) -> Result<Event, DecodeError> {
    let wire = generated::Event::decode(bytes.clone())?;
    from_wire::event(wire, bytes)
}
