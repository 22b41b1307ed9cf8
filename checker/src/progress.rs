//! Everything comes to rest: who runs is synced, and who wanted something was told its end.

use crate::known::Known;
use crate::lives::{Lives, Rested};
use crate::violation::{Findings, Promise, and_more};

pub(crate) fn check(known: &Known<'_>, lives: &Lives, found: &mut Findings) {
    let Some(rest) = known.rest else { return };
    let mut owed: Vec<Vec<usize>> = vec![Vec::new(); lives.rested.len()];
    for (n, intent) in known.intents.iter().enumerate() {
        let ended = [intent.done, intent.given_up].into_iter().flatten().any(|end| end < rest);
        if !ended && let Some(rested) = lives.at_rest(intent.device).filter(|rested| rested.runs) {
            // What an older state of the disk does not hold is wanted no more.
            if intent.wanted < rest && rested.restored.is_none_or(|restored| restored < intent.wanted) {
                owed[intent.device as usize].push(n);
            }
        }
    }
    for (device, (rested, owed)) in lives.rested.iter().zip(owed).enumerate() {
        if rested.runs && !rested.synced {
            unsynced(device, rested, rest, found);
        }
        if let Some(&n) = owed.first() {
            let intent = &known.intents[n];
            let what = format!("d{device} is not told the end of {}{}", intent.label, and_more(owed.len()));
            found.add(Promise::Progress, what, intent.steps().chain([rest]));
        }
    }
}

fn unsynced(device: usize, rested: &Rested, rest: usize, found: &mut Findings) {
    let steps = rested.started.into_iter().chain(rested.hello).chain([rest]);
    found.add(Promise::Progress, format!("d{device} runs and is not synced when everything is at rest"), steps);
}
