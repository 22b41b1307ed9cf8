//! G4 while things happen: whoever is told `synced` holds everything that the user's stream is known
//! to have held at that connection's `hello`.
//!
//! Known to the stream of a user is a message or change *to* the user from the first step that shows that
//! it was accepted (its record is in the user's own partition), and one *of* the user from the
//! first time that a device of the user was shown it in the stream (before that its echo may be on
//! its way). A device's own send that it was not told the end of is not asked for, nor a change that
//! changes nothing: somebody else's edit or deletion.
//!
//! The trap: looking at the whole stream at every `synced` is quadratic. What was held once is held
//! until the next reset, so each device goes on from where its last `synced` ended.

use crate::history::{Step, What};
use crate::known::{At, Held, Known};
use crate::lives::{Life, Lives};
use crate::summary::Summary;
use crate::violation::{Findings, Promise, and_more};

/// How far a device's stream was compared, in which epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    epoch: u32,
    up_to: usize,
}

/// See the module.
pub(crate) struct Syncs {
    compared: Vec<Compared>,
}

impl Syncs {
    pub(crate) fn new(known: &Known<'_>) -> Self {
        Self { compared: vec![Compared::default(); known.devices.len()] }
    }

    pub(crate) fn take(
        &mut self,
        known: &Known<'_>,
        lives: &Lives,
        (at, step): (At, &Step),
        found: &mut Findings,
        summary: &mut Summary,
    ) {
        let (What::Synced, Some(life)) = (&step.what, lives.of(step.device)) else { return };
        let device = step.device;
        let Some(hello) = life.hello else {
            return found.add(Promise::History, format!("d{device} is told synced and said no hello"), [at]);
        };
        if let Some(reset) = life.resetting {
            let what = format!("d{device} is told synced between its reset and its pages");
            return found.add(Promise::G4, what, [hello, reset, at]);
        }
        if life.blank {
            summary.undecided.syncs += 1;
            return;
        }
        summary.syncs += 1;
        self.compare(known, life, device, (hello, at), found, summary);
    }

    fn compare(
        &mut self,
        known: &Known<'_>,
        life: &Life,
        device: u32,
        (hello, at): (At, At),
        found: &mut Findings,
        summary: &mut Summary,
    ) {
        let stream = known.user_of(device).and_then(|user| known.streams.get(&user)).map(Vec::as_slice);
        let Some(compared) = self.compared.get_mut(device as usize) else { return };
        if compared.epoch != life.epoch {
            *compared = Compared { epoch: life.epoch, up_to: 0 };
        }
        let rest = stream.unwrap_or_default().get(compared.up_to..).unwrap_or_default();
        let due = rest.iter().take_while(|(witness, _)| *witness < hello);
        let lacks = |(_, held): &&(At, Held)| !holds(known, life, *held) && !is_under_way(known, device, *held, at);
        let count = due.clone().count();
        (compared.up_to, summary.required) = (compared.up_to + count, summary.required + count);
        let lacking: Vec<_> = due.filter(lacks).copied().collect();
        let Some(&(witness, held)) = lacking.first() else { return };
        let what = format!(
            "d{device} is told synced and lacks {}{}, which its stream held before its hello",
            name(known, held),
            and_more(lacking.len())
        );
        let steps = origin(known, held).into_iter().chain([witness, hello, at]).chain(life.emptied);
        found.add(Promise::G4, what, steps);
    }
}

fn holds(known: &Known<'_>, life: &Life, held: Held) -> bool {
    match held {
        Held::Message(message) => life.holds(message),
        Held::Change(n) => known
            .part_of(n)
            .zip(known.intents[n].taken)
            .is_none_or(|((target, part), (id, _))| life.holds_change(target, part, id)),
    }
}

/// A send of the device itself, of which it was not told the end.
fn is_under_way(known: &Known<'_>, device: u32, held: Held, at: At) -> bool {
    let intent = match held {
        Held::Message(message) => known.messages[message].intent,
        Held::Change(n) => Some(n),
    };
    let intent = intent.map(|n| &known.intents[n]);
    intent.is_some_and(|intent| intent.device == device && intent.done.is_none_or(|done| done > at))
}

fn name(known: &Known<'_>, held: Held) -> String {
    match held {
        Held::Message(message) => known.name(message),
        Held::Change(n) => known.intents[n].name(),
    }
}

fn origin(known: &Known<'_>, held: Held) -> Vec<At> {
    match held {
        Held::Message(message) => known.origin(message).collect(),
        Held::Change(n) => known.intents[n].steps().collect(),
    }
}
