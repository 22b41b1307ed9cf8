//! The HTTP/1.1 upgrade (RFC 6455 §4): pure functions of the bytes that were exchanged.
//!
//! Everything that is not this one request is answered with a status and a problem document, so
//! that a person who points a browser here learns what to do. Extensions are never agreed to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub mod client;
mod http;
pub mod refusal;
pub mod server;

/// The only address of the door.
pub const PATH: &str = "/v1/ws";
/// The version of the WebSocket protocol (RFC 6455).
const VERSION: &str = "13";

/// What a server answers to a key, so that nobody takes it for another protocol's.
fn accept_key(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_of_the_rfc_is_answered_as_there() {
        assert_eq!(super::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
