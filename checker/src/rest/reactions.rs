//! G1 and G2 of reactions: a message that was not deleted shows of each user the reaction with the largest
//! acknowledged id, or a newer one, and under an id what was wanted under it.

use std::collections::HashMap;

use volery_kernel::id::{Id, UserId};

use super::{Timelines, name};
use crate::history::Act;
use crate::known::Known;
use crate::violation::{Findings, Promise};

pub(super) fn check(known: &Known<'_>, timelines: &Timelines<'_>, found: &mut Findings) {
    check_lost(known, timelines, found);
    check_altered(known, timelines, found);
}

fn check_lost(known: &Known<'_>, timelines: &Timelines<'_>, found: &mut Findings) {
    for ((target, by), (id, n)) in newest(known, timelines) {
        let intent = &known.intents[n];
        let Some(read) = timelines.get(&intent.chat) else { continue };
        let Some(row) = read.rows.get(&target).filter(|row| row.text.is_some()) else { continue };
        let shown = row.reactions.iter().find(|reaction| reaction.by == by);
        if shown.is_none_or(|shown| shown.change < id) {
            let is = name(known, target);
            let what = format!("{is} does not show the reaction {}, which was acknowledged", intent.name());
            let told = intent.taken.map(|(_, told)| told);
            found.add(Promise::G1, what, intent.steps().chain(told).chain([read.at]));
        }
    }
}

/// Of each message and user the reaction with the largest id that was told before the chat was read.
fn newest(known: &Known<'_>, timelines: &Timelines<'_>) -> HashMap<(Id, UserId), (Id, usize)> {
    let mut newest: HashMap<(Id, UserId), (Id, usize)> = HashMap::new();
    for (n, intent) in known.intents.iter().enumerate() {
        let (Act::React { target, .. }, Some((id, told))) = (intent.act, intent.taken) else { continue };
        if timelines.get(&intent.chat).is_some_and(|read| told < read.at) {
            let of = newest.entry((*target, intent.user)).or_insert((id, n));
            *of = (id, n).max(*of);
        }
    }
    newest
}

fn check_altered(known: &Known<'_>, timelines: &Timelines<'_>, found: &mut Findings) {
    for read in timelines.values() {
        let reactions = read.rows.values().flat_map(|row| &row.reactions);
        for (reaction, intent) in reactions.filter_map(|made| Some((made, known.intent_under(made.change)?))) {
            let Act::React { emoji, .. } = intent.act else { continue };
            if *emoji != reaction.emoji {
                let what = format!("{} is shown with another emoji", intent.name());
                found.add(Promise::G2, what, intent.steps().chain([read.at]));
            }
        }
    }
}
