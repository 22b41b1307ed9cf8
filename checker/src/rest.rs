//! G1, G2 and G3 at rest: what was acknowledged stands in the timeline, once, ascending, with the
//! text that its sender's changes left, and everybody's newest reactions.
//!
//! The trap: an edit whose id nobody was told may be newer than one that was acknowledged. Where it
//! shows, it decides nothing.

mod reactions;
mod views;

use std::collections::HashMap;

use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};

use crate::history::{Act, Row, What};
use crate::known::{At, Intent, Known};
use crate::lives::Lives;
use crate::summary::Summary;
use crate::violation::{Findings, Promise};

/// What a chat holds, as it was last read whole.
pub(crate) struct Read<'h> {
    pub(crate) at: At,
    pub(crate) rows: HashMap<Id, &'h Row>,
}

/// Chats as they were last read whole.
pub(crate) type Timelines<'h> = HashMap<ChatId, Read<'h>>;

/// The chats of each user.
pub(crate) type ByUser<'t, 'h> = HashMap<UserId, Vec<(ChatId, &'t Read<'h>)>>;

pub(crate) fn by_user<'t, 'h>(timelines: &'t Timelines<'h>) -> ByUser<'t, 'h> {
    let mut chats = ByUser::new();
    for (chat, read) in timelines {
        let ChatId::Direct(one, other) = *chat else { continue };
        chats.entry(one).or_default().push((*chat, read));
        if one != other {
            chats.entry(other).or_default().push((*chat, read));
        }
    }
    chats
}

pub(crate) fn check<'h>(
    known: &Known<'h>,
    lives: &Lives,
    found: &mut Findings,
    summary: &mut Summary,
) -> Timelines<'h> {
    let timelines = read(known, found);
    summary.timelines = timelines.len();
    check_acknowledged(known, &timelines, found, summary);
    check_texts(known, &timelines, found);
    reactions::check(known, &timelines, found);
    views::check(known, lives, &timelines, found, summary);
    timelines
}

fn read<'h>(known: &Known<'h>, found: &mut Findings) -> Timelines<'h> {
    let mut timelines = Timelines::new();
    for (at, step) in known.steps.iter().enumerate() {
        let What::Timeline { chat, rows } = &step.what else { continue };
        check_ascending(known, at, &format!("{chat} read whole"), rows, found);
        let elsewhere = rows.iter().find(|row| row.chat != *chat);
        if let Some(row) = elsewhere {
            let what = format!("id {} of {} stands among the messages of {chat}", row.id, row.chat);
            found.add(Promise::G3, what, [at]);
        }
        let read = Read { at, rows: rows.iter().map(|row| (row.id, row)).collect() };
        if let Some(before) = timelines.get(chat) {
            check_same(known, before, &read, found);
        }
        timelines.insert(*chat, read);
    }
    timelines
}

/// Rows of one chat ascend by id, so none stands twice.
fn check_ascending(known: &Known<'_>, at: At, what: &str, rows: &[Row], found: &mut Findings) {
    let mut newest: HashMap<ChatId, Id> = HashMap::new();
    for row in rows {
        let before = newest.insert(row.chat, row.id);
        let Some(before) = before.filter(|before| *before >= row.id) else { continue };
        let what = if before == row.id {
            format!("{what} shows {} twice", name(known, row.id))
        } else {
            format!("{what} shows {} after {}", name(known, row.id), name(known, before))
        };
        return found.add(Promise::G3, what, [at]);
    }
}

/// Whoever reads a chat at rest reads the same.
fn check_same(known: &Known<'_>, one: &Read<'_>, other: &Read<'_>, found: &mut Findings) {
    let differs = |(id, row): (&Id, &&Row)| other.rows.get(id).is_none_or(|other| !same(row, other)).then_some(*id);
    let more = other.rows.keys().filter(|id| !one.rows.contains_key(*id)).copied();
    if let Some(id) = one.rows.iter().filter_map(differs).chain(more).min() {
        let what = format!("two readers at rest disagree about {}", name(known, id));
        found.add(Promise::G3, what, [one.at, other.at]);
    }
}

/// Whether two rows show the same message with the same text and reactions.
pub(crate) fn same(one: &Row, other: &Row) -> bool {
    (one.from, one.text, &one.reactions) == (other.from, other.text, &other.reactions)
}

pub(crate) fn name(known: &Known<'_>, id: Id) -> String {
    known.message_of(id).map_or_else(|| format!("id {id}"), |message| known.name(message))
}

/// G1 of messages.
fn check_acknowledged(known: &Known<'_>, timelines: &Timelines<'_>, found: &mut Findings, summary: &mut Summary) {
    for intent in known.intents.iter().filter(|intent| intent.acked.is_some() || intent.done.is_some()) {
        let Some((id, _)) = intent.taken else { continue };
        let promised = [intent.acked, intent.done].into_iter().flatten().min().unwrap_or_default();
        let Some(read) = timelines.get(&intent.chat).filter(|read| promised < read.at) else {
            summary.undecided.durable += 1;
            continue;
        };
        summary.durable += 1;
        if intent.is_message() && !read.rows.contains_key(&id) {
            let what = format!("{} was acknowledged and does not stand in {}", intent.name(), intent.chat);
            found.add(Promise::G1, what, intent.steps().chain([promised, read.at]));
        }
    }
}

/// What the sender of a message changed in it: the newest edit and a deletion, as far as their ids were told.
#[derive(Clone, Copy, Default)]
struct Changes {
    edit: Option<(Id, usize)>,
    deletion: Option<usize>,
}

fn changes(known: &Known<'_>) -> HashMap<(Id, UserId), Changes> {
    let mut changes: HashMap<(Id, UserId), Changes> = HashMap::new();
    for (n, intent) in known.intents.iter().enumerate() {
        let (Some(target), Some((id, _))) = (intent.act.target(), intent.taken) else { continue };
        let of = changes.entry((target, intent.user)).or_default();
        match intent.act {
            Act::Edit { .. } => of.edit = of.edit.max(Some((id, n))),
            Act::Delete(_) => of.deletion = Some(n),
            Act::Say(_) | Act::React { .. } => {}
        }
    }
    changes
}

/// G1 of edits and deletions: a deletion absorbs, else the newest edit shows.
fn check_texts(known: &Known<'_>, timelines: &Timelines<'_>, found: &mut Findings) {
    let changes = changes(known);
    for read in timelines.values() {
        for row in read.rows.values() {
            let (Some(text), Some(changes)) = (row.text, changes.get(&(row.id, row.from))) else { continue };
            let told = |n: usize| known.intents[n].taken.is_some_and(|(_, told)| told < read.at);
            let shows = known.intent_of(text.label);
            let lost = changes.deletion.or(changes.edit.filter(|edit| is_behind(shows, edit.0)).map(|(_, n)| n));
            let Some(n) = lost.filter(|n| told(*n)) else { continue };
            let (intent, is) = (&known.intents[n], name(known, row.id));
            let kind = if changes.deletion.is_some() { "deletion" } else { "edit" };
            let what = format!("{is} shows {}; its {kind} {} was acknowledged", text.label, intent.name());
            let told = intent.taken.map(|(_, told)| told);
            found.add(Promise::G1, what, intent.steps().chain(told).chain([read.at]));
        }
    }
}

/// Whether what a row shows is older than an edit with this id.
fn is_behind(shows: Option<&Intent<'_>>, edit: Id) -> bool {
    match shows {
        Some(shown) if shown.is_message() => true,
        Some(shown) => shown.taken.is_some_and(|(id, _)| id < edit),
        None => false,
    }
}
