//! G3 by ids: what one device sent into one chat has ids in the order in which it was wanted, and
//! what was wanted after something was shown has a larger one.

use std::collections::HashMap;

use crate::known::Known;
use crate::violation::{Findings, Promise};

pub(crate) fn check(known: &Known<'_>, found: &mut Findings) {
    let mut newest = HashMap::new();
    for (n, intent) in known.intents.iter().enumerate() {
        let Some((id, told)) = intent.taken else { continue };
        if let Some(after) = intent.after.filter(|after| *after >= id) {
            let shown = known.message_of(after);
            let question = shown.map_or_else(|| format!("id {after}"), |message| known.name(message));
            let what = format!("{} was wanted after {question} was shown, and stands before it", intent.name());
            let first = shown.map(|message| known.messages[message].first);
            found.add(Promise::G3, what, intent.steps().chain([told]).chain(first));
        }
        let last = newest.entry((intent.device, intent.chat)).or_insert((id, n));
        if last.0 > id {
            let before = &known.intents[last.1];
            let what = format!("{} was wanted after {} and stands before it", intent.name(), before.name());
            let before = before.taken.map(|(_, told)| told).into_iter().chain([before.wanted]);
            found.add(Promise::G3, what, before.chain([intent.wanted, told]));
        } else {
            *last = (id, n);
        }
    }
}
