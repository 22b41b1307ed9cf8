//! What breaks, and how often: the kinds of faults, and the mix of them that a seed draws.

use volery_kernel::map::NodeKind;

use crate::rng::Rng;

/// Something that breaks. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A device's connection breaks.
    Cut(usize),
    /// A device has no network for so long.
    Offline(usize, u64),
    /// A device's app ends and starts again after so long.
    Restart(usize, u64),
    /// A device does not read its socket for so long.
    Stall(usize, u64),
    /// A device stores a position that is wrong in one of several ways.
    Garble(usize),
    /// A device comes back from its last backup: with the old view, or (`true`) with none.
    Restore(usize, bool),
    /// A device is lost; its user gets a new one.
    Replace(usize),
    /// A node is killed and comes back after so long.
    Crash(NodeKind, usize, u64),
    /// A node does nothing for so long.
    Pause(NodeKind, usize, u64),
    /// A node can neither renew its lease nor hear of maps for so long; all else goes on.
    Sever(NodeKind, usize, u64),
    /// A node is to own nothing for so long.
    Drain(NodeKind, usize, u64),
    /// A node's clock moves, within the bound.
    Step(usize),
    /// A node's clock begins to run faster or slower, by so many milliseconds a second.
    Drift(usize, i64),
    /// A partition's fan-out starts anew, so many commits back.
    Fanout(u16, usize),
    /// A partition's archive starts anew, so many commits back.
    Archive(u16, usize),
    /// The timeline is away for so long.
    Outage(u64),
    /// Appends go wrong in so many of a thousand cases, for so long.
    Log(u64, u64),
    /// Readers of a partition learn of new records only after so long.
    Lag(u16, u64),
    /// One record is stamped so much too late. Outside of the clocks' bound: no seed draws it by itself.
    LogAhead(u64),
}

/// The kinds of faults, and how often each comes in an ordinary seed.
pub const USUAL: [(Kind, u64); 22] = [
    (Kind::Cut, 7),
    (Kind::Offline, 2),
    (Kind::Restart, 2),
    (Kind::Stall, 2),
    (Kind::Garble, 1),
    (Kind::Restore, 1),
    (Kind::Replace, 1),
    (Kind::Crash, 3),
    (Kind::Pause, 1),
    (Kind::Sever, 2),
    (Kind::Drain, 2),
    (Kind::HistoryCrash, 1),
    (Kind::HistoryPause, 1),
    (Kind::HistorySever, 2),
    (Kind::HistoryDrain, 1),
    (Kind::Step, 1),
    (Kind::Drift, 1),
    (Kind::Fanout, 2),
    (Kind::Archive, 3),
    (Kind::Outage, 1),
    (Kind::Log, 3),
    (Kind::Lag, 1),
];

/// A fault without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Fault::Cut`]
    Cut,
    /// [`Fault::Offline`]
    Offline,
    /// [`Fault::Restart`]
    Restart,
    /// [`Fault::Stall`]
    Stall,
    /// [`Fault::Garble`]
    Garble,
    /// [`Fault::Restore`]
    Restore,
    /// [`Fault::Replace`]
    Replace,
    /// [`Fault::Crash`] of a messaging node.
    Crash,
    /// [`Fault::Pause`] of a messaging node.
    Pause,
    /// [`Fault::Sever`] of a messaging node.
    Sever,
    /// [`Fault::Drain`] of a messaging node.
    Drain,
    /// [`Fault::Crash`] of a history node.
    HistoryCrash,
    /// [`Fault::Pause`] of a history node.
    HistoryPause,
    /// [`Fault::Sever`] of a history node.
    HistorySever,
    /// [`Fault::Drain`] of a history node.
    HistoryDrain,
    /// [`Fault::Step`]
    Step,
    /// [`Fault::Drift`]
    Drift,
    /// [`Fault::Fanout`]
    Fanout,
    /// [`Fault::Archive`]
    Archive,
    /// [`Fault::Outage`]
    Outage,
    /// [`Fault::Log`]
    Log,
    /// [`Fault::Lag`]
    Lag,
    /// [`Fault::LogAhead`]
    LogAhead,
}

/// How an append goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused and nothing is written.
    Refused,
    /// It fails and nothing is written.
    Lost,
    /// It fails, and some of it is there, a little later.
    Kept,
    /// It fails, and some of it is there long after.
    KeptLate,
    /// It takes long and is well.
    Slow,
    /// It stands there twice.
    Twice,
}

/// How the troubles of an ordinary seed are spread.
pub const TROUBLES: [(Trouble, u64); 6] = [
    (Trouble::Refused, 2),
    (Trouble::Lost, 1),
    (Trouble::Kept, 2),
    (Trouble::KeptLate, 1),
    (Trouble::Slow, 1),
    (Trouble::Twice, 1),
];

/// Things to draw from, each with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix<T>(pub Vec<(T, u64)>);

impl<T: Copy + PartialEq> Mix<T> {
    /// A seed's own mix of the usual: mostly of everything, sometimes of one or two things alone.
    pub fn draw(usual: &[(T, u64)], rng: &mut Rng) -> Self {
        let mut mix: Vec<_> = usual.iter().map(|&(kind, weight)| (kind, weight * rng.within(0, 6))).collect();
        if rng.chance(250) {
            let rules = [rng.index(mix.len()), rng.index(mix.len())];
            mix.iter_mut().enumerate().filter(|(n, _)| !rules.contains(n)).for_each(|(_, (_, weight))| *weight = 0);
            rules.into_iter().for_each(|n| mix[n].1 = mix[n].1.max(2));
        }
        if mix.iter().all(|(_, weight)| *weight == 0) {
            mix[0].1 = 1;
        }
        Self(mix)
    }

    /// Exactly this.
    pub fn of(mix: &[(T, u64)]) -> Self {
        Self(mix.to_vec())
    }

    /// One of them.
    pub fn pick(&self, rng: &mut Rng) -> T {
        let all: u64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.within(1, all.max(1));
        for &(kind, weight) in &self.0 {
            if left <= weight {
                return kind;
            }
            left -= weight;
        }
        self.0[0].0
    }
}
