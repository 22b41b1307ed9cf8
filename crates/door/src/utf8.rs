//! UTF-8 over pieces: a text that arrives in parts is refused at its first wrong byte.
//!
//! Keeps at most the three bytes of an unfinished character. Trap avoided: validating only whole
//! messages lets a sender of broken text hold a buffer until it pleases to finish.

/// The text is no UTF-8, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub struct Invalid;

/// What is known of a text so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    begun: [u8; 4],
    length: u8,
}

impl Validator {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`Invalid`] as soon as no continuation could make the text valid.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push(byte)?;
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        piece[error.valid_up_to()..].iter().try_for_each(|&byte| self.push(byte))
    }

    /// Says that the text ends here.
    ///
    /// # Errors
    /// [`Invalid`] if a character is unfinished.
    pub const fn finish(self) -> Result<(), Invalid> {
        if self.length == 0 { Ok(()) } else { Err(Invalid) }
    }

    /// Adds one byte to the unfinished character.
    fn push(&mut self, byte: u8) -> Result<(), Invalid> {
        let length = usize::from(self.length);
        self.begun[length] = byte;
        match std::str::from_utf8(&self.begun[..=length]) {
            Ok(_) => self.length = 0,
            Err(error) if error.error_len().is_none() => self.length += 1,
            Err(_) => return Err(Invalid),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut validator = Validator::default();
        pieces.into_iter().all(|piece| validator.feed(piece).is_ok()) && validator.finish().is_ok()
    }

    #[test]
    fn every_split_in_three_agrees_with_the_whole() {
        let texts: [&[u8]; 9] = [
            "κόσμε 𐍈 €".as_bytes(),
            b"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
            b"plain",
            b"",
            b"a\xce",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc0\xaf",
            b"ok\xf8\x88\x80\x80\x80",
        ];
        for text in texts {
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(accepts(pieces), std::str::from_utf8(text).is_ok(), "{text:x?} {first} {second}");
                }
            }
        }
    }

    #[test]
    fn the_first_byte_that_cannot_be_right_is_refused() {
        let mut validator = Validator::default();
        assert!(validator.feed(b"\xce\xba\xf4").is_ok());
        assert_eq!(validator.feed(b"\x90"), Err(Invalid));
    }
}
