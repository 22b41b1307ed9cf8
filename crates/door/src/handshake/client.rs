//! The client's side: a request, and what its answer must say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Response, Status};
use volery_kernel::limits;
use volery_wire::codec::Encoding;

use super::http::{Ambiguous, lists, single};
use super::{PATH, VERSION, accept_key};

/// Why an answer opens no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// The server answered with this status instead of 101.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// It answered 101 and did not mean it.
    #[error("the answer is none to this request: {0}")]
    Answer(&'static str),
}

/// A request that was, or will be, sent.
#[derive(Clone, Debug)]
pub struct Offer {
    key: String,
    encoding: Encoding,
}

impl Offer {
    /// A request for a socket that speaks `encoding`. The nonce is random, and new each time.
    #[must_use]
    pub fn new(encoding: Encoding, nonce: [u8; 16]) -> Self {
        Self { key: STANDARD.encode(nonce), encoding }
    }

    /// The request's bytes; `host` is the server's name and port.
    #[must_use]
    pub fn request(&self, host: &str) -> Vec<u8> {
        let (key, subprotocol) = (&self.key, self.encoding.subprotocol());
        format!(
            "GET {PATH} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        )
        .into_bytes()
    }

    /// Reads the answer: how many bytes it has, frames follow; `None` if more are needed.
    ///
    /// # Errors
    /// [`Declined`], after which the connection is of no use.
    pub fn check(&self, bytes: &[u8]) -> Result<Option<usize>, Declined> {
        let mut headers = [EMPTY_HEADER; limits::HANDSHAKE_HEADERS.value];
        let mut response = Response::new(&mut headers);
        match response.parse(&bytes[..bytes.len().min(limits::HANDSHAKE_BYTES.value)]) {
            Ok(Status::Complete(consumed)) => self.judge(&response).map(|()| Some(consumed)),
            Ok(Status::Partial) if bytes.len() < limits::HANDSHAKE_BYTES.value => Ok(None),
            Ok(Status::Partial) => Err(Declined::Answer("too long")),
            Err(_) => Err(Declined::Answer("no HTTP/1.1")),
        }
    }

    fn judge(&self, response: &Response<'_, '_>) -> Result<(), Declined> {
        let headers = &*response.headers;
        let one = |name| single(headers, name).map_err(|Ambiguous| Declined::Answer("a header stands twice"));
        if response.code != Some(101) {
            return Err(Declined::Status(response.code.unwrap_or_default()));
        }
        if !lists(headers, "upgrade", "websocket") || !lists(headers, "connection", "upgrade") {
            return Err(Declined::Answer("no upgrade to WebSocket"));
        }
        if one("sec-websocket-accept")? != Some(&*accept_key(&self.key)) {
            return Err(Declined::Answer("Sec-WebSocket-Accept is for another key"));
        }
        if one("sec-websocket-protocol")? != Some(self.encoding.subprotocol()) {
            return Err(Declined::Answer("another subprotocol"));
        }
        match one("sec-websocket-extensions")? {
            None => Ok(()),
            Some(_) => Err(Declined::Answer("an extension that was not offered")),
        }
    }
}
