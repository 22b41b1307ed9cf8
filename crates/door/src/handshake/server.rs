//! The server's side: from a request to an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Header, Request, Status};
use volery_kernel::limits;
use volery_wire::codec::Encoding;

use super::http::{Ambiguous, list, lists, single};
use super::refusal::{Refusal, encoding};
use super::{PATH, VERSION, accept_key};

/// A request that opens a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What both will speak.
    pub encoding: Encoding,
    /// Bytes of the request; what follows them are frames.
    pub consumed: usize,
    accept: String,
    offered: bool,
}

impl Upgrade {
    /// Reads a request; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`Refusal`], which is to be answered.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        let mut headers = [EMPTY_HEADER; limits::HANDSHAKE_HEADERS.value];
        let mut request = Request::new(&mut headers);
        let parsed = request.parse(&bytes[..bytes.len().min(limits::HANDSHAKE_BYTES.value)]);
        match parsed {
            Ok(Status::Complete(consumed)) => Self::judge(&request, consumed).map(Some),
            Ok(Status::Partial) if bytes.len() < limits::HANDSHAKE_BYTES.value => Ok(None),
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooLarge),
            Err(_) => Err(Refusal::Malformed("This is no HTTP/1.1 request.")),
        }
    }

    fn judge(request: &Request<'_, '_>, consumed: usize) -> Result<Self, Refusal> {
        let target = request.path.unwrap_or_default();
        if target.split('?').next() != Some(PATH) {
            return Err(Refusal::Path);
        }
        if request.method != Some("GET") {
            return Err(Refusal::Method);
        }
        let headers = &*request.headers;
        check_http(request.version, headers)?;
        check_upgrade(headers)?;
        let encoding = choose(headers)?;
        let offered = list(headers, "sec-websocket-protocol").next().is_some();
        Ok(Self { encoding, consumed, accept: accept_key(key(headers)?), offered })
    }

    /// The answer that opens the socket. A subprotocol is named only to those who offered one.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let mut response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
            self.accept
        );
        if self.offered {
            response.push_str("Sec-WebSocket-Protocol: ");
            response.push_str(self.encoding.subprotocol());
            response.push_str("\r\n");
        }
        response.push_str("\r\n");
        response.into_bytes()
    }
}

/// A body would be taken for frames: there must be none.
fn check_http(version: Option<u8>, headers: &[Header<'_>]) -> Result<(), Refusal> {
    let host = single(headers, "host").map_err(|Ambiguous| Refusal::Malformed("Host stands twice."))?;
    let length = single(headers, "content-length").map_err(|Ambiguous| BODY)?;
    let coded = list(headers, "transfer-encoding").next().is_some();
    match (version, host) {
        (Some(1), Some(_)) if !coded && matches!(length, None | Some("0")) => Ok(()),
        (Some(1), Some(_)) => Err(BODY),
        (Some(1), None) => Err(Refusal::Malformed("Host is missing.")),
        _ => Err(Refusal::Malformed("The socket is opened by HTTP/1.1.")),
    }
}

const BODY: Refusal = Refusal::Malformed("The request must have no body.");

fn check_upgrade(headers: &[Header<'_>]) -> Result<(), Refusal> {
    if !lists(headers, "upgrade", "websocket") {
        return Err(Refusal::Version);
    }
    if !lists(headers, "connection", "upgrade") {
        return Err(Refusal::Malformed("Connection must list Upgrade."));
    }
    match single(headers, "sec-websocket-version") {
        Ok(Some(VERSION)) => Ok(()),
        _ => Err(Refusal::Version),
    }
}

/// The client's key: 16 bytes in base64.
fn key<'a>(headers: &[Header<'a>]) -> Result<&'a str, Refusal> {
    let key = single(headers, "sec-websocket-key").ok().flatten();
    key.filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .ok_or(Refusal::Malformed("Sec-WebSocket-Key must be 16 bytes in base64."))
}

/// The first offered subprotocol that is ours; MessagePack for who offers none.
fn choose(headers: &[Header<'_>]) -> Result<Encoding, Refusal> {
    let mut offered = list(headers, "sec-websocket-protocol").peekable();
    if offered.peek().is_none() {
        return Ok(Encoding::MessagePack);
    }
    offered.find_map(encoding).ok_or(Refusal::Subprotocol)
}
