//! What a history says of retries, and where breaks stand in it. Pure.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use volery_checker::history::{History, Step, WORLD, What};
use volery_kernel::id::SessionNumber;

/// How a retry was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The first attempt had been accepted: its id came back.
    Existed,
    /// It had not: the send was taken now.
    New,
    /// Nothing was written, then or now.
    Refused,
}

/// A retry that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When, in microseconds of the history.
    pub at: u64,
    /// How.
    pub outcome: Outcome,
}

/// One device as far as retries go.
#[derive(Default)]
struct Retrying {
    session: Option<SessionNumber>,
    open: HashSet<(SessionNumber, u32)>,
}

/// All retries that were answered, in order.
#[must_use]
pub fn answered(history: &History) -> Vec<Answered> {
    let mut devices: HashMap<u32, Retrying> = HashMap::new();
    let mut found = Vec::new();
    for step in &history.steps {
        let device = devices.entry(step.device).or_default();
        found.extend(device.take(&step.what).map(|outcome| Answered { at: step.at, outcome }));
    }
    found
}

impl Retrying {
    fn take(&mut self, what: &What) -> Option<Outcome> {
        match *what {
            What::Welcome(session) => self.session = Some(session),
            What::Sent { session, number, retry: true, .. } => {
                self.open.insert((session, number));
            }
            // Ids are taken above the number of the session that takes them.
            What::Acked { session, number, id, .. } if self.open.remove(&(session, number)) => {
                let now = self.session.is_some_and(|present| id > present.0);
                return Some(if now { Outcome::New } else { Outcome::Existed });
            }
            What::Refused { session, number, .. } if self.open.remove(&(session, number)) => {
                return Some(Outcome::Refused);
            }
            _ => {}
        }
        None
    }
}

/// Puts breaks where they belong; each is a time in microseconds and what broke, in order.
pub fn place(history: &mut History, breaks: Vec<(u64, String)>) {
    let fault = |(at, what)| Step { at, device: WORLD, what: What::Fault(what) };
    history.steps.extend(breaks.into_iter().map(fault));
    // Stable: what was seen within one microsecond keeps its order.
    history.steps.sort_by_key(|step| step.at);
}

#[cfg(test)]
mod tests {
    use volery_kernel::id::Id;
    use volery_kernel::position::Source;

    use super::*;

    fn id(raw: u64) -> Id {
        Id::new(raw).expect("an id")
    }

    fn session(raw: u64) -> SessionNumber {
        SessionNumber(id(raw))
    }

    fn sent(number: u32, retry: bool) -> What {
        What::Sent { label: "d0.1".parse().expect("a label"), session: session(10), number, retry, shown: None }
    }

    fn acked(number: u32, raw: u64) -> What {
        What::Acked { session: session(10), number, id: id(raw), source: Source::ZERO }
    }

    #[test]
    fn a_retry_is_told_by_its_id_from_what_is_new() {
        let mut history = History::new("by hand");
        let refused = What::Refused { session: session(10), number: 4, code: "no".to_owned() };
        let steps = [
            What::Welcome(session(10)),
            sent(1, false),
            acked(1, 11),
            What::Welcome(session(20)),
            sent(2, true),
            sent(3, true),
            sent(4, true),
            acked(2, 12),
            acked(3, 21),
            acked(3, 21),
            refused,
        ];
        (0..).zip(steps).for_each(|(at, what)| history.push(at, 0, what));
        let found = answered(&history);
        let outcomes: Vec<_> = found.iter().map(|answered| (answered.at, answered.outcome)).collect();
        assert_eq!(outcomes, [(7, Outcome::Existed), (8, Outcome::New), (10, Outcome::Refused)]);
    }

    #[test]
    fn breaks_stand_at_their_time() {
        let mut history = History::new("by hand");
        [1, 3, 3, 9].into_iter().for_each(|at| history.push(at, 0, What::Closed));
        place(&mut history, vec![(2, "kill".to_owned()), (3, "kill".to_owned()), (20, "kill".to_owned())]);
        let at: Vec<_> = history.steps.iter().map(|step| (step.at, step.device == WORLD)).collect();
        assert_eq!(at, [(1, false), (2, true), (3, false), (3, false), (3, true), (9, false), (20, true)]);
    }
}
