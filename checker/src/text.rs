//! Texts that name themselves: the first word of every text that a checked client sends is a
//! [`Label`] that was never used before, so that a message is recognised wherever it turns up.
//!
//! The trap: two intents with one label would look like one message that stands twice.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `number`th thing that a device of the history wanted: `d12.345`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The device, as the history numbers them.
    pub device: u32,
    /// Counts from 1 within the device.
    pub number: u32,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d{}.{}", self.device, self.number)
    }
}

/// A word that is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label reads like d12.345")]
pub struct NotALabel;

impl FromStr for Label {
    type Err = NotALabel;

    fn from_str(word: &str) -> Result<Self, NotALabel> {
        let (device, number) = word.strip_prefix('d').and_then(|rest| rest.split_once('.')).ok_or(NotALabel)?;
        let parse = |digits: &str| digits.parse().map_err(|_| NotALabel);
        Ok(Self { device: parse(device)?, number: parse(number)? })
    }
}

/// A text: who it says it is, and a hash of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text {
    /// Its first word.
    pub label: Label,
    /// Of the whole text. Comparable within one build of the checker only.
    pub hash: u64,
}

impl Text {
    /// # Errors
    /// [`NotALabel`] if the first word is none: a checked client did not send this text.
    pub fn of(text: &str) -> Result<Self, NotALabel> {
        let label = text.split(' ').next().unwrap_or_default().parse()?;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Ok(Self { label, hash: hasher.finish() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_itself() {
        let text = Text::of("d12.345 and more").expect("a label");
        assert_eq!(text.label, Label { device: 12, number: 345 });
        assert_eq!(text.label.to_string(), "d12.345");
        assert_ne!(text.hash, Text::of("d12.345 and less").expect("a label").hash);
    }

    #[test]
    fn other_words_are_no_labels() {
        for word in ["", "d", "d1", "1.2", "d1.", "d.2", "d-1.2", "dx.y"] {
            assert_eq!(Text::of(word), Err(NotALabel), "{word}");
        }
    }
}
