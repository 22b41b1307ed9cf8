//! Frame headers (RFC 6455 §5.2): reading them with every check, and writing them.
//!
//! A header is refused at its first wrong byte, before its payload is waited for. Trap avoided:
//! lengths are 64 bits wide and believed by nobody; they are compared with a limit before they
//! become a size in memory.

use volery_kernel::code::Close;

/// Longest header: two bytes, a length of eight, a key of four.
pub const HEADER_MOST: usize = 14;
/// Longest payload of a control frame.
pub const CONTROL_MOST: usize = 125;

/// Which side of a connection we are. Clients mask, servers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We accepted the connection: what we read must be masked.
    Server,
    /// We made the connection: what we read must not be masked.
    Client,
}

/// What a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that has begun.
    Continuation,
    /// The beginning of a message, often all of it.
    Data(Kind),
    /// The end of the conversation.
    Close,
    /// To be answered by a pong with the same payload.
    Ping,
    /// Answers a ping, or nothing.
    Pong,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Data(Kind::Text),
            0x2 => Self::Data(Kind::Binary),
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Data(Kind::Text) => 0x1,
            Self::Data(Kind::Binary) => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Control frames are short, whole, and may stand between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub key: Option<[u8; 4]>,
    /// Bytes of payload that follow, as the sender says.
    pub length: u64,
    /// Bytes of this header.
    pub size: usize,
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The close that answers reserved bits, an unknown opcode, a fragmented or long control
    /// frame, masking that does not fit the role, or a length that is not in its shortest form.
    pub fn parse(bytes: &[u8], role: Role) -> Result<Option<Self>, Close> {
        let Some((&first, bytes)) = bytes.split_first() else { return Ok(None) };
        let (fin, opcode) = kind_of_frame(first)?;
        let Some((&second, bytes)) = bytes.split_first() else { return Ok(None) };
        let masked = second & 0x80 != 0;
        if masked != (role == Role::Server) {
            return Err(Close::ProtocolError);
        }
        let short = second & 0x7f;
        if opcode.is_control() && usize::from(short) > CONTROL_MOST {
            return Err(Close::ProtocolError);
        }
        let Some((length, taken)) = length(short, bytes)? else { return Ok(None) };
        if !masked {
            return Ok(Some(Self { fin, opcode, key: None, length, size: 2 + taken }));
        }
        let key = bytes[taken..].first_chunk::<4>().copied();
        Ok(key.map(|key| Self { fin, opcode, key: Some(key), length, size: 6 + taken }))
    }
}

fn kind_of_frame(first: u8) -> Result<(bool, Opcode), Close> {
    let fin = first & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Close::ProtocolError)?;
    if first & 0x70 != 0 || (opcode.is_control() && !fin) {
        return Err(Close::ProtocolError);
    }
    Ok((fin, opcode))
}

/// The length and how many bytes said it beyond the second of the header.
fn length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Close> {
    let (length, taken, least) = match short {
        126 => match bytes.first_chunk() {
            Some(&long) => (u64::from(u16::from_be_bytes(long)), 2, 126),
            None => return Ok(None),
        },
        127 => match bytes.first_chunk() {
            Some(&long) => (u64::from_be_bytes(long), 8, 1 << 16),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, 0),
    };
    if length < least || length >> 63 != 0 {
        return Err(Close::ProtocolError);
    }
    Ok(Some((length, taken)))
}

/// A header to be written.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    bytes: [u8; HEADER_MOST],
    size: usize,
    key: Option<[u8; 4]>,
}

impl Head {
    /// The header of a whole, unfragmented frame, masked if there is a key.
    #[must_use]
    pub fn new(opcode: Opcode, length: usize, key: Option<[u8; 4]>) -> Self {
        let mut head = Self { bytes: [0; HEADER_MOST], size: 0, key };
        let mask = if key.is_some() { 0x80 } else { 0 };
        head.push(&[0x80 | opcode.bits()]);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => head.push(&[mask | short]),
            (_, Ok(middle)) => {
                head.push(&[mask | 126]);
                head.push(&middle.to_be_bytes());
            }
            _ => {
                head.push(&[mask | 127]);
                head.push(&(length as u64).to_be_bytes());
            }
        }
        if let Some(key) = key {
            head.push(&key);
        }
        head
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.size..self.size + bytes.len()].copy_from_slice(bytes);
        self.size += bytes.len();
    }

    /// The key that the payload is to be masked with.
    #[must_use]
    pub const fn key(&self) -> Option<[u8; 4]> {
        self.key
    }

    /// The header's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_no_shorter_beginning_is() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 24] {
            for (role, key) in [(Role::Client, None), (Role::Server, Some([1, 2, 3, 4]))] {
                let opcode = Opcode::Data(Kind::Binary);
                let head = Head::new(opcode, length, key);
                let bytes = head.as_bytes();
                let read = Header { fin: true, opcode, key, length: length as u64, size: bytes.len() };
                assert_eq!(Header::parse(bytes, role), Ok(Some(read)));
                for end in 0..bytes.len() {
                    assert_eq!(Header::parse(&bytes[..end], role), Ok(None));
                }
            }
        }
    }
}
