//! Moves: a device whose session was lost, and that is *back and caught up* at the same node or at another one.
//! It lasts from the loss of the socket to `synced`, however many attempts lie between.
//!
//! Bounded: times are counted by way (from, to, why), and told burst by burst only up to [`BURSTS_MOST`].

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use volery_kernel::code::Close;

/// Moves of one way within so much time are told as one, in ns.
const BURST: u64 = 100_000_000;
/// Bursts that are told; an hour of a fault every second, each felt for a few seconds.
const BURSTS_MOST: usize = 100_000;

/// Why a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The node said where the user is served now.
    Moved,
    /// The node closed with this number.
    Closed(u16),
    /// The connection broke without a word.
    Broken,
    /// The device gave it up: nothing came, or it was told to retry.
    Left,
    /// The load test cut it.
    Cut,
}

impl Why {
    /// A node closed with this number.
    #[must_use]
    pub const fn of_close(number: u16) -> Self {
        if number == Close::Moved.number() { Self::Moved } else { Self::Closed(number) }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("moved"),
            Self::Closed(number) => {
                write!(f, "closed {number}")?;
                Close::from_number(*number).map_or(Ok(()), |close| write!(f, " ({})", close.text()))
            }
            Self::Broken => f.write_str("broken"),
            Self::Left => f.write_str("left"),
            Self::Cut => f.write_str("cut"),
        }
    }
}

/// A session that is gone. Nodes are numbers, as the tally names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it was.
    pub from: usize,
    /// Why it is gone.
    pub why: Why,
    /// When, in ns of the monotonic clock.
    pub at: u64,
}

/// What moves have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Where devices were.
    pub from: usize,
    /// Where they were caught up.
    pub to: usize,
    /// What sent them away.
    pub why: Why,
}

/// Moves of one way whose sessions were lost at about the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// How many.
    pub count: u64,
    /// The longest, in µs.
    pub slowest: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Moves {
    blank: Histogram<u64>,
    ways: BTreeMap<Way, Histogram<u64>>,
    bursts: BTreeMap<(u64, Way), Burst>,
}

impl Moves {
    /// None yet; times are counted in such a histogram.
    pub(crate) fn new(blank: Histogram<u64>) -> Self {
        Self { blank, ways: BTreeMap::new(), bursts: BTreeMap::new() }
    }

    /// A device is caught up, at node `to`, after so many µs.
    pub(crate) fn took(&mut self, loss: Loss, to: usize, micros: u64) {
        let Loss { from, why, at } = loss;
        let way = Way { from, to, why };
        self.ways.entry(way).or_insert_with(|| self.blank.clone()).saturating_record(micros);
        let burst = (at / BURST, way);
        if self.bursts.len() < BURSTS_MOST || self.bursts.contains_key(&burst) {
            let burst = self.bursts.entry(burst).or_default();
            (burst.count, burst.slowest) = (burst.count + 1, burst.slowest.max(micros));
        }
    }

    /// How long they took, in µs, way by way.
    pub fn ways(&self) -> impl Iterator<Item = (Way, &Histogram<u64>)> {
        self.ways.iter().map(|(way, times)| (*way, times))
    }

    /// When they began, in ns of the monotonic clock, and how many they were.
    pub fn bursts(&self) -> impl Iterator<Item = (u64, Way, Burst)> {
        self.bursts.iter().map(|((at, way), burst)| (at * BURST, *way, *burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_told_by_way_and_moment() {
        let mut moves = Moves::new(Histogram::new(2).expect("a histogram"));
        for (from, at, took) in [(0, 0, 5_000), (0, BURST / 2, 50_000), (0, BURST, 100), (1, 0, 1)] {
            moves.took(Loss { from, why: Why::Moved, at }, 2, took);
        }
        let counts: Vec<_> = moves.ways().map(|(way, times)| (way.from, times.len())).collect();
        assert_eq!(counts, [(0, 3), (1, 1)]);
        let first = moves.bursts().next().expect("a burst");
        assert_eq!((first.0, first.2), (0, Burst { count: 2, slowest: 50_000 }));
        assert_eq!(moves.bursts().count(), 3);
    }

    #[test]
    fn reasons_read_well() {
        let said = [Why::Moved, Why::Closed(1001), Why::Closed(4999), Why::Cut].map(|why| why.to_string());
        assert_eq!(said, ["moved", "closed 1001 (going_away)", "closed 4999", "cut"]);
    }
}
