//! Marks: nobody says or is told that something was delivered or read that no device had shown, and
//! nobody is told more than was said.
//!
//! Sources are compared within one user's partition only: among messages *to* that user. Messages
//! whose source nobody told are left out. Two things make a source ambiguous, and the checker lenient: a
//! retry may be resolved twice, and a log may take an append twice. The smallest source counts as
//! covered; the other may be one that no device was told of, so *delivered* is not bounded by what was
//! told, only by what some device of its reader had shown (confirmations, `received`, are no steps).

mod lines;

use std::collections::{HashMap, HashSet};

use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::position::Source;
use volery_wire::server::MarkKind;

use crate::history::{Step, What};
use crate::known::{At, Known};
use crate::lives::Lives;
use crate::summary::Summary;
use crate::violation::{Findings, Promise, and_more};

/// One side of a chat.
type Side = (UserId, ChatId);

/// What came in on one side, as far as its source was told; ascending.
#[derive(Debug, Default)]
struct Incoming {
    by_source: Vec<(Source, usize)>,
    /// How many have no known source.
    unknown: usize,
}

/// A source and the step that told it.
type Told = (Source, Option<At>);

/// How far the devices of a user have come.
#[derive(Debug, Default)]
struct Said {
    read: Told,
    /// Every read mark.
    reads: HashSet<Source>,
    /// Whether read marks rode on sends: views may not be told of those.
    rides: bool,
    /// What the mark that was told covers was looked at up to here.
    looked: usize,
}

/// The newest read mark that an app has said, and in which life.
#[derive(Clone, Copy, Debug)]
struct Kept {
    life: u32,
    source: Source,
    at: At,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    incoming: HashMap<Side, Incoming>,
    said: HashMap<Side, Said>,
    /// What a device's marks cover was looked at up to here.
    looked: HashMap<(u32, ChatId), usize>,
    kept: HashMap<(u32, ChatId), Kept>,
}

impl Marks {
    pub(crate) fn new(known: &Known<'_>, found: &mut Findings) -> Self {
        let mut incoming: HashMap<Side, Incoming> = HashMap::new();
        for (n, message) in known.messages.iter().enumerate() {
            let Some(to) = message.recipient().filter(|to| *to != message.from) else { continue };
            let side = incoming.entry((to, message.chat)).or_default();
            match message.sources {
                Some((source, _)) => side.by_source.push((source, n)),
                None => side.unknown += 1,
            }
        }
        incoming.values_mut().for_each(|side| side.by_source.sort_unstable());
        check_sources(known, found);
        Self { incoming, ..Self::default() }
    }

    pub(crate) fn take(
        &mut self,
        known: &Known<'_>,
        lives: &Lives,
        (at, step): (At, &Step),
        found: &mut Findings,
        summary: &mut Summary,
    ) {
        let Some(user) = known.user_of(step.device) else { return };
        match &step.what {
            What::SaidMark { chat, kind, source } => {
                summary.marks += 1;
                self.covers(known, lives, step.device, *chat, (at, *source), found);
                self.says((user, *chat), *kind, *source, at);
                self.keeps(lives, step.device, *chat, *kind, (at, *source));
            }
            What::Sent { label, shown: Some(shown), .. } => {
                let Some(chat) = known.intent_of(*label).map(|intent| intent.chat) else { return };
                summary.marks += 1;
                self.covers(known, lives, step.device, chat, (at, shown.source), found);
                self.says((user, chat), MarkKind::Read, shown.source, at);
                self.said.entry((user, chat)).or_default().rides = true;
            }
            What::Marked { chat, reader, kind, source } if known.users.contains(reader) => {
                summary.marks += 1;
                self.told(known, (*reader, *chat), *kind, (at, *source), found);
            }
            _ => {}
        }
    }

    fn says(&mut self, side: Side, kind: MarkKind, source: Source, at: At) {
        let said = self.said.entry(side).or_default();
        if kind == MarkKind::Read {
            raise(&mut said.read, source, at);
            said.reads.insert(source);
        }
    }

    fn keeps(&mut self, lives: &Lives, device: u32, chat: ChatId, kind: MarkKind, (at, source): (At, Source)) {
        let (MarkKind::Read, Some(life)) = (kind, lives.of(device).map(|life| life.number)) else { return };
        let new = Kept { life, source, at };
        let kept = self.kept.entry((device, chat)).or_insert(new);
        if (kept.life, kept.source) < (life, source) {
            *kept = new;
        }
    }

    /// A device says that it shows everything up to a source.
    fn covers(
        &mut self,
        known: &Known<'_>,
        lives: &Lives,
        device: u32,
        chat: ChatId,
        (at, source): (At, Source),
        found: &mut Findings,
    ) {
        let (Some(user), Some(life)) = (known.user_of(device), lives.of(device)) else { return };
        let Some(incoming) = self.incoming.get(&(user, chat)) else { return };
        let looked = self.looked.entry((device, chat)).or_default();
        let unseen = incoming.beyond(looked, source, |message| !life.has_seen(message));
        if let Some(message) = unseen.first() {
            let what = format!(
                "d{device} marks {chat} up to source {} and had not shown {}{}",
                source.0,
                known.name(*message),
                and_more(unseen.len())
            );
            found.add(Promise::Marks, what, known.origin(*message).chain([at]));
        }
    }

    /// A device is told how far a reader is.
    fn told(
        &mut self,
        known: &Known<'_>,
        side: Side,
        kind: MarkKind,
        (at, source): (At, Source),
        found: &mut Findings,
    ) {
        let (reader, chat) = side;
        let (most, told) = self.said.get(&side).map_or_else(Told::default, |said| said.read);
        if kind == MarkKind::Read && most < source {
            let what =
                format!("user {reader}'s read mark in {chat} is told as {}; at most {} was said", source.0, most.0);
            found.add(Promise::Marks, what, told.into_iter().chain([at]));
        }
        let Some(incoming) = self.incoming.get(&side) else { return };
        let said = self.said.entry(side).or_default();
        let reached = |message: usize| known.messages[message].reached.is_none_or(|reached| reached > at);
        let unseen = incoming.beyond(&mut said.looked, source, reached);
        if let Some(message) = unseen.first() {
            let what = format!(
                "user {reader}'s {} mark in {chat} covers {}{}, which no device of theirs had shown",
                word(kind),
                known.name(*message),
                and_more(unseen.len())
            );
            found.add(Promise::Marks, what, known.origin(*message).chain([at]));
        }
    }
}

impl Incoming {
    /// Messages between what was looked at and `source` that are `wrong`; they are looked at once.
    fn beyond(&self, looked: &mut usize, source: Source, wrong: impl Fn(usize) -> bool) -> Vec<usize> {
        let end = self.by_source.partition_point(|(own, _)| *own <= source).max(*looked);
        let stretch = self.by_source.get(std::mem::replace(looked, end)..end).unwrap_or_default();
        stretch.iter().map(|(_, message)| *message).filter(|message| wrong(*message)).collect()
    }

    /// The largest known source.
    fn newest(&self) -> Told {
        self.by_source.last().map_or_else(Told::default, |(source, _)| (*source, None))
    }
}

fn raise(told: &mut Told, source: Source, at: At) {
    if source > told.0 {
        *told = (source, Some(at));
    }
}

fn word(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Delivered => "delivered",
        MarkKind::Read => "read",
    }
}

/// One place in a user's partition holds one message.
fn check_sources(known: &Known<'_>, found: &mut Findings) {
    let mut places: HashMap<(UserId, Source), usize> = HashMap::new();
    for (n, message) in known.messages.iter().enumerate() {
        let (Some(to), Some((source, _))) = (message.recipient(), message.sources) else { continue };
        let other = *places.entry((to, source)).or_insert(n);
        if other != n {
            let what =
                format!("{} and {} to user {to} have one source, {}", known.name(other), known.name(n), source.0);
            found.add(Promise::Marks, what, known.origin(other).chain(known.origin(n)));
        }
    }
}
