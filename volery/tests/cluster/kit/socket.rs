//! A client's end of a WebSocket, blocking, that can also say what no client should.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use volery_door::frame::{Head, Header, Kind, Opcode, Role};
use volery_door::handshake::client::Offer;
use volery_door::mask;
use volery_wire::codec::Encoding;

use super::{NEVER, now};

const KEY: [u8; 4] = [0x11, 0x7f, 0x00, 0xa5];

/// What came, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Frame(Vec<u8>),
    /// The server's close frame.
    Closed(u16, String),
    /// The end of the connection without a close.
    Ended,
    /// Nothing until the deadline.
    Nothing,
}

/// See the module.
pub(crate) struct Socket {
    stream: TcpStream,
    encoding: Encoding,
    read: Vec<u8>,
}

impl Socket {
    /// Connects and shakes hands; an error if the server is not there.
    pub(crate) fn open(door: &str, encoding: Encoding) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(door)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(NEVER))?;
        let offer = Offer::new(encoding, [7; 16]);
        stream.write_all(&offer.request(door))?;
        let mut read = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => read.extend_from_slice(&buffer[..count]),
            }
            if let Some(head) = offer.check(&read).map_err(|declined| std::io::Error::other(declined.to_string()))? {
                read.drain(..head);
                return Ok(Self { stream, encoding, read });
            }
        }
    }

    /// A masked message of the encoding's type. Errors show when reading.
    pub(crate) fn send(&mut self, payload: &[u8]) {
        let kind = if self.encoding == Encoding::Json { Kind::Text } else { Kind::Binary };
        self.send_raw(&frame(Opcode::Data(kind), payload));
    }

    /// These very bytes.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        // A server that has closed refuses them: what it said before is read next.
        let _ = self.stream.write_all(bytes);
    }

    /// The next thing that comes before the deadline.
    pub(crate) fn next(&mut self, deadline: Instant) -> Came {
        loop {
            if let Some(came) = self.take() {
                return came;
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Came::Nothing;
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a time-out");
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Came::Ended,
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Came::Ended,
            }
        }
    }

    /// A whole frame of what was read.
    fn take(&mut self) -> Option<Came> {
        let header = Header::parse(&self.read, Role::Client).expect("a frame as RFC 6455 says")?;
        let end = header.size + usize::try_from(header.length).expect("a length");
        if self.read.len() < end {
            return None;
        }
        let payload: Vec<u8> = self.read.drain(..end).skip(header.size).collect();
        Some(match header.opcode {
            Opcode::Close => {
                let (number, reason) = payload.split_first_chunk().expect("a number");
                let reason = String::from_utf8(reason.to_vec()).expect("UTF-8");
                Came::Closed(u16::from_be_bytes(*number), reason)
            }
            Opcode::Data(_) => Came::Frame(payload),
            other => panic!("unasked: {other:?}"),
        })
    }

    /// The close that the server answers with, whatever else it says before.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let deadline = now() + NEVER;
        loop {
            match self.next(deadline) {
                Came::Closed(number, reason) => return (number, reason),
                Came::Frame(_) => {}
                other => panic!("no close: {other:?}"),
            }
        }
    }

    /// Ends the connection as a crashing client does.
    pub(crate) fn cut(self) {
        // It may be cut from the other side already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A whole, masked frame.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Head::new(opcode, payload.len(), Some(KEY)).as_bytes().to_vec();
    let head = bytes.len();
    bytes.extend_from_slice(payload);
    mask::apply(&mut bytes[head..], KEY, 0);
    bytes
}
