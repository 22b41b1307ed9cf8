//! Answers to requests that open no socket: problem documents of the same form as the HTTP edge's.

use volery_kernel::code::Code;
use volery_wire::codec::Encoding;

/// Why a request opens no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no HTTP/1.1 request, or a header is missing, double or wrong.
    #[error("{0}")]
    Malformed(&'static str),
    /// The door speaks TLS, and this is none.
    #[error("This door speaks TLS: connect to wss:// instead of ws://.")]
    Unencrypted,
    /// It is longer, or has more headers, than is read.
    #[error("The request is larger than allowed.")]
    TooLarge,
    /// It is for another address.
    #[error("There is nothing at this address; the socket is at /v1/ws.")]
    Path,
    /// It is no GET.
    #[error("The socket is opened with GET.")]
    Method,
    /// It asks for no WebSocket, or for another version of the protocol.
    #[error("This address speaks WebSocket version 13 only.")]
    Version,
    /// It offers subprotocols, none of which is ours.
    #[error("None of the offered subprotocols is known; there are volery.v1.msgpack and volery.v1.json.")]
    Subprotocol,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Unencrypted | Self::Subprotocol => 400,
            Self::Path => 404,
            Self::Method => 405,
            Self::Version => 426,
            Self::TooLarge => 431,
        }
    }

    /// The code in the answer.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Malformed(_) | Self::Unencrypted | Self::Subprotocol | Self::Version => Code::BadRequest,
            Self::Path => Code::NotFound,
            Self::Method => Code::MethodNotAllowed,
            Self::TooLarge => Code::TooLarge,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Unencrypted | Self::Subprotocol => "Bad Request",
            Self::Path => "Not Found",
            Self::Method => "Method Not Allowed",
            Self::Version => "Upgrade Required",
            Self::TooLarge => "Request Header Fields Too Large",
        }
    }

    const fn headers(self) -> &'static str {
        match self {
            Self::Method => "Allow: GET\r\n",
            Self::Version => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        }
    }

    /// The answer, after which the connection ends. No text of the request is repeated in it.
    #[must_use]
    pub fn response(self) -> Vec<u8> {
        let (status, reason, headers, body) = (self.status(), self.reason(), self.headers(), self.body());
        let connection = if self == Self::Version { "upgrade, close" } else { "close" };
        let length = body.len();
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\
             {headers}Connection: {connection}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// None of the texts needs escaping: they are ours, and a test reads them back.
    fn body(self) -> String {
        let (status, code, title, retryable) =
            (self.status(), self.code(), self.code().meaning(), self.code().retryable());
        format!(
            r#"{{"type":"urn:volery:error:{code}","code":"{code}","title":"{title}","status":{status},"detail":"{self}","retryable":{retryable}}}"#
        )
    }
}

/// The encoding of a subprotocol.
pub(super) fn encoding(subprotocol: &str) -> Option<Encoding> {
    [Encoding::MessagePack, Encoding::Json].into_iter().find(|encoding| encoding.subprotocol() == subprotocol)
}
