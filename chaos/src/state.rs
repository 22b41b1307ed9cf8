//! What a campaign has come to, in a file that is written after each round: whoever runs it again goes on from there. It is
//! the report's data, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use loadtest::failure::Failure;
use loadtest::report::save;
use loadtest::sample::Sample;
use loadtest::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::schedule::{Kind, Shape};

/// What makes two campaigns the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Says what is broken when; not what else the machine did then.
    pub seed: u64,
    /// Of what.
    pub shape: Shape,
    /// What kinds there are.
    pub kinds: Vec<Kind>,
}

/// A fault that was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Struck {
    /// What was done.
    pub fault: Fault,
    /// When, in seconds of the campaign.
    pub from: f64,
    /// When it was healed.
    pub to: f64,
    /// Sends that had no answer when it struck.
    pub under_way: usize,
    /// Whether another one was there at the same time.
    pub met: bool,
    /// Whether it counts.
    pub counts: bool,
    /// From the strike to the last moment at which somebody who is always there was not synced, in ms.
    pub away_ms: f64,
    /// From its healing, or the other one's, until everybody was synced, in ms; none if they were not in time.
    pub back_ms: Option<f64>,
}

/// Some faults, with people of their own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// Which one.
    pub number: usize,
    /// When its samples begin, in seconds of the campaign.
    pub at: f64,
    /// Second by second.
    pub samples: Vec<Sample>,
    /// In order.
    pub struck: Vec<Struck>,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// What clients were told or met, by code.
    pub errors: BTreeMap<String, u64>,
    /// What must not be, a sentence each.
    pub findings: Vec<String>,
    /// The checker's; none if nobody came to rest.
    pub verdict: Option<Verdict>,
    /// Where its history is, if it was kept.
    pub history: Option<PathBuf>,
}

impl Round {
    /// Whether every promise held.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.verdict.as_ref().is_some_and(Verdict::is_good)
    }
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Whose.
    pub of: Identity,
    /// Blows of the schedule that are done.
    pub blows: usize,
    /// Rounds that were begun: each has people of its own, the next one too if this one is never over.
    pub begun: usize,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// Those that are over.
    pub rounds: Vec<Round>,
}

impl State {
    /// Nothing was done yet.
    #[must_use]
    pub const fn new(of: Identity) -> Self {
        Self { of, blows: 0, begun: 0, seconds: 0.0, rounds: Vec::new() }
    }

    /// Reads what is there, if anything is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(file: &Path) -> Result<Option<Self>, Failure> {
        if !file.exists() {
            return Ok(None);
        }
        let wrong = |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", file.display()));
        let bytes = fs::read(file).map_err(|error| wrong(&error))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(&error))
    }

    /// Writes it: all of it or nothing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let aside = file.with_extension("new");
        save(&aside, &serde_json::to_vec(self)?)?;
        Ok(fs::rename(aside, file)?)
    }

    /// Every fault that struck.
    pub fn struck(&self) -> impl Iterator<Item = &Struck> {
        self.rounds.iter().flat_map(|round| &round.struck)
    }

    /// How many count.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.struck().filter(|struck| struck.counts).count()
    }

    /// Whether every promise held in every round, and there was one.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.rounds.is_empty() && self.rounds.iter().all(Round::is_good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Link, Process, Service, Way};

    fn struck(counts: bool) -> Struck {
        let asks = Link::Asks(Process { service: Service::Messaging, number: 1 }, Service::Config);
        let fault = Fault::Cut(asks, Way::Silent);
        Struck { fault, from: 1.0, to: 2.5, under_way: 9, met: false, counts, away_ms: 0.0, back_ms: Some(7.25) }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/campaign.json");
        let read = || State::read(&file).map_err(|failure| failure.0);
        assert!(read().is_ok_and(|state| state.is_none()));
        let of = Identity { seed: 7, shape: Shape { nodes: 2, copies: 3 }, kinds: vec![Kind::Kill, Kind::Drain] };
        let mut state = State::new(of.clone());
        assert!(!state.is_good());
        let round =
            Round { struck: vec![struck(true), struck(false)], samples: vec![Sample::default()], ..Round::default() };
        state.rounds.push(round);
        state.write(&file).map_err(|failure| failure.0).expect("written");
        let again = read().expect("readable").expect("there");
        assert_eq!((again.of.clone(), again.counted(), again.is_good()), (of, 1, false));
        assert_eq!(again.rounds[0].struck, state.rounds[0].struck);
        fs::write(&file, "{").expect("written");
        assert!(read().is_err_and(|why| why.contains("campaign.json")));
    }
}
