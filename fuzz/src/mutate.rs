//! Inputs from a seed: valid ones damaged in the ways that decoders meet, and made up ones.
//!
//! Pure: the same seed, valid inputs and words give the same inputs. Trap avoided: random bytes alone
//! are refused at their first byte, so made up inputs are put together of a format's own words.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Longest input that is made.
pub const LONGEST: usize = 65_536;
/// Longest made up input, but for the repeated ones.
const SHORT: usize = 512;
/// One in so many inputs is a piece repeated up to [`LONGEST`]: what is quadratic shows there.
const REPEATED_ONE_IN: u32 = 100;

/// Numbers at which widths, signs and limits end.
const INTERESTING: &[u64] = &[
    0,
    1,
    2,
    15,
    16,
    31,
    32,
    100,
    125,
    126,
    127,
    128,
    255,
    256,
    4_095,
    8_192,
    16_384,
    32_767,
    32_768,
    65_535,
    65_536,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 48) - 1,
    1 << 48,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// Makes inputs.
pub struct Maker<'a> {
    rng: StdRng,
    valid: &'a [Vec<u8>],
    words: &'a [&'a [u8]],
}

impl<'a> Maker<'a> {
    /// Everything follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, valid: &'a [Vec<u8>], words: &'a [&'a [u8]]) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), valid, words }
    }

    /// A valid input with one to eight damages.
    pub fn mutated(&mut self) -> Vec<u8> {
        let mut input = self.valid.choose(&mut self.rng).cloned().unwrap_or_default();
        for _ in 0..=self.below(8) {
            self.damage(&mut input);
        }
        if self.rng.random_ratio(1, REPEATED_ONE_IN) {
            self.repeat(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    /// Random bytes, or the format's words and numbers in no order.
    pub fn made_up(&mut self) -> Vec<u8> {
        let length = self.length(SHORT);
        let mut input = Vec::new();
        if self.words.is_empty() || self.rng.random_ratio(1, 4) {
            input = self.bytes(length);
        }
        while input.len() < length {
            let part = self.part();
            input.extend_from_slice(&part);
        }
        if self.rng.random_ratio(1, REPEATED_ONE_IN) {
            self.repeat(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn part(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => self.number(),
            1 => {
                let length = self.length(16);
                self.bytes(length)
            }
            2 => self.piece(),
            3 => {
                let number = self.interesting();
                number.to_string().into_bytes()
            }
            _ => self.words.choose(&mut self.rng).map(|word| word.to_vec()).unwrap_or_default(),
        }
    }

    fn damage(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(10) {
            0 | 1 => flip(input, at, 1 << self.below(8)),
            2 => flip(input, at, self.rng.random_range(1..=255)),
            3 => input.truncate(at),
            4 => drop(input.drain(at..self.end(input, at))),
            5 => self.put_in(input, at, Self::piece),
            6 => self.put_in(input, at, Self::part),
            7 => {
                let again = input[at..self.end(input, at)].to_vec();
                input.splice(at..at, again);
            }
            8 => {
                let number = self.number();
                let end = (at + number.len()).min(input.len());
                input.splice(at..end, number);
            }
            _ => self.nudge(input, at),
        }
    }

    fn put_in(&mut self, input: &mut Vec<u8>, at: usize, what: fn(&mut Self) -> Vec<u8>) {
        let part = what(self);
        input.splice(at..at, part);
    }

    /// A length or a count that is off by a little.
    fn nudge(&mut self, input: &mut [u8], at: usize) {
        if let Some(byte) = input.get_mut(at) {
            *byte = byte.wrapping_add_signed(self.rng.random_range(-4..=4));
        }
    }

    /// Somewhere behind `at`, near it more often than not.
    fn end(&mut self, input: &[u8], at: usize) -> usize {
        at + self.length(input.len() - at)
    }

    /// A piece of a valid input.
    fn piece(&mut self) -> Vec<u8> {
        let Some(valid) = self.valid.choose(&mut self.rng) else { return Vec::new() };
        let at = self.below(valid.len() + 1);
        valid[at..self.end(valid, at)].to_vec()
    }

    /// An integer of any width in either order.
    fn number(&mut self) -> Vec<u8> {
        let number = self.interesting();
        let width = 1 << self.below(4);
        if self.rng.random() {
            number.to_le_bytes()[..width].to_vec()
        } else {
            number.to_be_bytes()[8 - width..].to_vec()
        }
    }

    fn interesting(&mut self) -> u64 {
        let number = INTERESTING.choose(&mut self.rng).copied().unwrap_or_default();
        number.wrapping_add_signed(if self.rng.random_ratio(1, 4) { self.rng.random_range(-2..=2) } else { 0 })
    }

    /// Fills up to a long input with a piece of this one between a beginning and an end.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len() + 1);
        let to = self.end(input, from).max((from + 1).min(input.len()));
        let piece = input[from..to].to_vec();
        let times = LONGEST.saturating_sub(input.len()).checked_div(piece.len()).unwrap_or_default();
        input.splice(to..to, piece.repeat(times));
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Up to `most`, short ones as often as long ones.
    fn length(&mut self, most: usize) -> usize {
        let most = self.below(most + 1);
        let shift = self.below(8);
        (most >> shift).max(usize::from(most > 0))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound.max(1))
    }
}

fn flip(input: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_another_one_others() {
        let valid = [b"[\"send\",1,{}]".to_vec(), vec![0; 40]];
        let make = |seed| {
            let mut maker = Maker::new(seed, &valid, &[b"{", b"}"]);
            (0..500).map(|n| if n % 2 == 0 { maker.mutated() } else { maker.made_up() }).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert!(make(1).iter().all(|input| input.len() <= LONGEST));
        assert!(make(1).iter().any(|input| input.len() > LONGEST / 2), "long ones are among them");
        assert!(make(1).iter().any(Vec::is_empty), "and empty ones");
    }
}
