//! Payloads of close frames: a number, then a reason (RFC 6455 §5.5.1, §7.4).

use volery_kernel::code::Close;

/// Whether a peer may send this number. 1004–1006 and 1015 never stand on the wire; 1012–1014 were
/// registered later; 3000–4999 belong to libraries and applications.
#[must_use]
pub const fn is_valid(number: u16) -> bool {
    matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads a payload; `None` for an empty one.
///
/// # Errors
/// The close that answers a payload of one byte, a number nobody may send or a reason that is not
/// UTF-8.
pub fn parse(payload: &[u8]) -> Result<Option<(u16, &str)>, Close> {
    let (number, reason) = match *payload {
        [] => return Ok(None),
        [high, low, ref reason @ ..] => (u16::from_be_bytes([high, low]), reason),
        [_] => return Err(Close::ProtocolError),
    };
    if !is_valid(number) {
        return Err(Close::ProtocolError);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Close::InvalidUtf8)?;
    Ok(Some((number, reason)))
}
