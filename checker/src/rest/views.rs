//! G4 at rest: a running device shows exactly what the chats of its user hold.

use std::collections::HashMap;

use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;

use super::{Read, Timelines, by_user, check_ascending, name, same};
use crate::history::{Row, What};
use crate::known::{At, Known};
use crate::lives::Lives;
use crate::summary::Summary;
use crate::violation::{Findings, Promise, and_more};

/// What a device shows, by chat.
type Shown<'h> = HashMap<ChatId, HashMap<Id, &'h Row>>;

pub(super) fn check(
    known: &Known<'_>,
    lives: &Lives,
    timelines: &Timelines<'_>,
    found: &mut Findings,
    summary: &mut Summary,
) {
    let mut last: Vec<Option<At>> = vec![None; known.devices.len()];
    for (at, step) in known.steps.iter().enumerate() {
        if let (What::View { .. }, Some(last)) = (&step.what, last.get_mut(step.device as usize)) {
            *last = Some(at);
        }
    }
    let chats = by_user(timelines);
    for (device, (at, user)) in (0..).zip(last.into_iter().zip(&known.devices)) {
        let runs = lives.at_rest(device).is_some_and(|rested| rested.runs);
        let (Some(at), true) = (at, runs) else {
            summary.undecided.views += 1;
            continue;
        };
        let What::View { rows, .. } = &known.steps[at].what else { continue };
        summary.views += 1;
        check_ascending(known, at, &format!("d{device}"), rows, found);
        let mut shown = Shown::new();
        rows.iter().for_each(|row| {
            shown.entry(row.chat).or_default().insert(row.id, row);
        });
        for (chat, read) in chats.get(user).into_iter().flatten() {
            compare(known, (device, at), (*chat, read), shown.get(chat), found);
        }
    }
}

fn compare(
    known: &Known<'_>,
    (device, at): (u32, At),
    (chat, read): (ChatId, &Read<'_>),
    shown: Option<&HashMap<Id, &Row>>,
    found: &mut Findings,
) {
    let nothing = HashMap::new();
    let shown = shown.unwrap_or(&nothing);
    let lacks = read.rows.keys().filter(|id| !shown.contains_key(*id));
    let strange = shown.keys().filter(|id| !read.rows.contains_key(*id));
    let other = shown.iter().filter(|(id, row)| read.rows.get(*id).is_some_and(|read| !same(read, row)));
    let mut tell = |ids: Vec<Id>, verb: &str, how: &str| {
        let Some(id) = ids.iter().min() else { return };
        let what = format!("d{device} {verb} {}{} of {chat}{how}", name(known, *id), and_more(ids.len()));
        let origin: Vec<At> = known.message_of(*id).map(|message| known.origin(message).collect()).unwrap_or_default();
        found.add(Promise::G4, what, origin.into_iter().chain([read.at, at]));
    };
    tell(lacks.copied().collect(), "lacks", "");
    tell(strange.copied().collect(), "shows", ", which does not stand there");
    tell(other.map(|(id, _)| *id).collect(), "shows", " with another text or other reactions than stand there");
}
