//! A broken promise: which, about which messages, shown by which few steps.
//!
//! The trap: one fault seen by a hundred devices would be a hundred violations that hide the next
//! one. [`Findings`] takes the same contradiction once.

use std::collections::HashSet;
use std::fmt;

/// What was promised; docs/guarantees.md and docs/protocol.md say it at length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Acknowledged means durable.
    G1,
    /// Once in the timeline, under one id, and nothing that nobody sent.
    G2,
    /// One order.
    G3,
    /// Complete after any reconnect, and `synced` is true.
    G4,
    /// Marks cover what was shown; statuses and unread counts follow from them.
    Marks,
    /// Everything comes to rest: running devices are synced, nothing wanted is without an end.
    Progress,
    /// The history contradicts itself: its recorder or its client is at fault, or does not keep a key.
    History,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G1 => "G1",
            Self::G2 => "G2",
            Self::G3 => "G3",
            Self::G4 => "G4",
            Self::Marks => "marks",
            Self::Progress => "progress",
            Self::History => "history",
        })
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// One sentence, which names the messages by label and id.
    pub what: String,
    /// Indexes of the few steps that show it, ascending.
    pub steps: Vec<usize>,
}

/// Violations as they come to light.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    violations: Vec<Violation>,
    told: HashSet<(&'static str, u64, u64)>,
}

impl Findings {
    /// A violation, with the steps that show it, in any order.
    pub(crate) fn add(&mut self, promise: Promise, what: String, steps: impl IntoIterator<Item = usize>) {
        let mut steps: Vec<usize> = steps.into_iter().collect();
        steps.sort_unstable();
        steps.dedup();
        self.violations.push(Violation { promise, what, steps });
    }

    /// Whether this rule meets these two for the first time.
    pub(crate) fn once(&mut self, rule: &'static str, a: u64, b: u64) -> bool {
        self.told.insert((rule, a, b))
    }

    /// By the step that brought them to light.
    pub(crate) fn in_order(mut self) -> Vec<Violation> {
        let key = |violation: &Violation| (violation.steps.last().copied(), violation.promise);
        self.violations.sort_by(|one, other| key(one).cmp(&key(other)).then_with(|| one.what.cmp(&other.what)));
        self.violations
    }
}

/// "and 3 more", or nothing.
pub(crate) fn and_more(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}
