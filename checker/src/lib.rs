//! Decides whether the promises G1–G4 held, from nothing but what clients did and saw.
//!
//! | module | owns |
//! |---|---|
//! | [`history`] | the one format in which simulation, load test and real clusters tell what happened |
//! | [`frames`] | what the protocol's frames say in that format, for all who record |
//! | [`text`] | the names that texts carry, by which the same message is known everywhere |
//! | [`violation`] | a broken promise, and how it is told to a person |
//! | [`summary`] | how much a history decides: one that decides nothing is noticed |
//! | `known` | first reading: every send, id and message, and what contradicts itself (G2, G3) |
//! | `lives`, `sync`, `marks` | second reading: what a device held when it was told or said something (G4, marks) |
//! | `order`, `rest`, `progress` | what stands in the end, and in which order (G1, G3, G4) |
//!
//! Each reading feeds every step once; whatever is asked about a stretch of a stream goes on from
//! where the last question ended. So the time is linear in the history, up to sorting.

mod known;
mod lives;
mod marks;
mod order;
mod progress;
mod rest;
mod sync;
mod tell;

pub mod frames;
pub mod history;
pub mod summary;
pub mod text;
pub mod violation;

use history::History;
use known::Known;
use lives::Lives;
use marks::Marks;
use summary::Summary;
use sync::Syncs;
use violation::{Findings, Violation};

/// What a history shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they came to light.
    pub violations: Vec<Violation>,
    /// How much was decided.
    pub summary: Summary,
}

/// Every promise that was broken, in the order in which it came to light.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    examine(history).violations
}

/// As [`check`], and how much the history decides.
#[must_use]
pub fn examine(history: &History) -> Report {
    let mut found = Findings::default();
    let known = Known::read(&history.steps, &mut found);
    let mut summary = known.summary();
    let mut marks = Marks::new(&known, &mut found);
    let lives = second_reading(&known, &mut marks, &mut found, &mut summary);
    order::check(&known, &mut found);
    let rest = rest::check(&known, &lives, &mut found, &mut summary);
    marks.check_at_rest(&known, &lives, &rest, &mut found, &mut summary);
    progress::check(&known, &lives, &mut found);
    Report { violations: found.in_order(), summary }
}

fn second_reading(known: &Known<'_>, marks: &mut Marks, found: &mut Findings, summary: &mut Summary) -> Lives {
    let mut lives = Lives::new(known);
    let mut syncs = Syncs::new(known);
    for (at, step) in known.steps.iter().enumerate() {
        if known.rest == Some(at) {
            lives.rest();
        }
        lives.take(known, at, step);
        syncs.take(known, &lives, (at, step), found, summary);
        marks.take(known, &lives, (at, step), found, summary);
    }
    lives
}
