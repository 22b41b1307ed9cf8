//! Chat lists and the marks of views at rest: what is read, unread and delivered follows from the
//! timelines and from what was said, and both sides agree.
//!
//! Unread counts deleted messages too: a deletion leaves the place. A line is decided only where its
//! chat was read whole and all sources are known.

use std::collections::{HashMap, HashSet};

use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::position::Source;

use super::{Incoming, Marks, Side, Told};
use crate::history::{Line, Marks as Given, What};
use crate::known::{At, Known};
use crate::lives::Lives;
use crate::rest::{ByUser, Timelines, by_user};
use crate::summary::Summary;
use crate::violation::{Findings, Promise};

/// A line, where it was told, and by whom.
#[derive(Clone, Copy)]
struct Listed<'h> {
    at: At,
    user: UserId,
    line: &'h Line,
}

struct Judge<'k, 'h> {
    known: &'k Known<'h>,
    lives: &'k Lives,
    marks: &'k Marks,
    rest: &'k Timelines<'h>,
    found: &'k mut Findings,
    devices: HashMap<UserId, Vec<u32>>,
    chats: ByUser<'k, 'h>,
}

impl Marks {
    pub(crate) fn check_at_rest(
        &self,
        known: &Known<'_>,
        lives: &Lives,
        rest: &Timelines<'_>,
        found: &mut Findings,
        summary: &mut Summary,
    ) {
        summary.undecided.sources = self.incoming.values().map(|side| side.unknown).sum();
        let mut devices: HashMap<UserId, Vec<u32>> = HashMap::new();
        (0..).zip(&known.devices).for_each(|(device, user)| devices.entry(*user).or_default().push(device));
        let mut judge = Judge { known, lives, marks: self, rest, found, devices, chats: by_user(rest) };
        let lines = judge.listed();
        for listed in &lines {
            judge.line(*listed, summary);
        }
        judge.both_sides(&lines);
        judge.views(&lines);
    }
}

impl<'h> Judge<'_, 'h> {
    /// All lines, and whether the lists are whole.
    fn listed(&mut self) -> Vec<Listed<'h>> {
        let mut all = Vec::new();
        for (at, step) in self.known.steps.iter().enumerate() {
            let (What::Lines(lines), Some(user)) = (&step.what, self.known.user_of(step.device)) else { continue };
            let chats: HashSet<ChatId> = lines.iter().map(|line| line.marks.chat).collect();
            self.lacking(at, step.device, user, &chats);
            all.extend(lines.iter().map(|line| Listed { at, user, line }));
        }
        all
    }

    fn lacking(&mut self, at: At, device: u32, user: UserId, chats: &HashSet<ChatId>) {
        let own = self.chats.get(&user).into_iter().flatten();
        let lacking = own.filter(|(chat, read)| !read.rows.is_empty() && !chats.contains(chat));
        if let Some((chat, read)) = lacking.min_by_key(|(chat, _)| *chat) {
            let what = format!("d{device}'s chat list lacks {chat}, in which {} messages stand", read.rows.len());
            self.found.add(Promise::G4, what, [read.at, at]);
        }
    }

    fn line(&mut self, listed: Listed<'h>, summary: &mut Summary) {
        let Listed { user, line, .. } = listed;
        let side = (user, line.marks.chat);
        self.read_mark(listed);
        if let Some(peer) = side.1.peer_of(user).filter(|peer| *peer != user && self.devices.contains_key(peer)) {
            self.delivered((peer, side.1), listed);
        }
        let nothing = Incoming::default();
        let incoming = self.marks.incoming.get(&side).unwrap_or(&nothing);
        if self.rest.contains_key(&side.1) && incoming.unknown == 0 {
            summary.lines += 1;
            self.counts(listed, incoming);
        } else {
            summary.undecided.lines += 1;
        }
    }

    fn wrong(&mut self, listed: Listed<'_>, what: &str, because: impl IntoIterator<Item = At>) {
        let Listed { at, user, line } = listed;
        let chat = line.marks.chat;
        let read = self.rest.get(&chat).map(|read| read.at);
        let steps = because.into_iter().chain(read).chain([at]);
        self.found.add(Promise::Marks, format!("user {user}'s line of {chat}: {what}"), steps);
    }

    /// One's own read mark is one that was said; and none that a running device still says is lost.
    fn read_mark(&mut self, listed: Listed<'_>) {
        let Listed { user, line, .. } = listed;
        let (chat, read) = (line.marks.chat, line.marks.read);
        let said = self.marks.said.get(&(user, chat));
        if read != Source::ZERO && !said.is_some_and(|said| said.reads.contains(&read)) {
            let (most, at) = said.map_or_else(Told::default, |said| said.read);
            let what = format!("read up to {}, which nobody said; at most {} was said", read.0, most.0);
            return self.wrong(listed, &what, at);
        }
        let devices = self.devices.get(&user).into_iter().flatten();
        let kept = devices.filter_map(|device| {
            let kept = self.marks.kept.get(&(*device, chat))?;
            let rested = self.lives.at_rest(*device)?;
            (rested.runs && rested.synced && rested.number == kept.life).then_some((kept.source, *device, kept.at))
        });
        if let Some((source, device, at)) = kept.max().filter(|(source, ..)| *source > read) {
            let what = format!("read up to {}; d{device} said {} and has not stopped since", read.0, source.0);
            self.wrong(listed, &what, [at]);
        }
    }

    fn counts(&mut self, listed: Listed<'_>, incoming: &Incoming) {
        let line = listed.line;
        let (newest, _) = incoming.newest();
        let is = line.newest_incoming;
        // A log may take an append twice: the second place may be one that no device was told of.
        if is < newest {
            let what = format!("newest incoming is {} and not {}", is.0, newest.0);
            let message = incoming.by_source.last().map(|(_, message)| self.known.messages[*message].first);
            self.wrong(listed, &what, message);
        }
        let below = incoming.by_source.partition_point(|(source, _)| *source <= line.marks.read);
        let unread = (incoming.by_source.len() - below).min(limits::UNREAD_MOST.value);
        if line.unread as usize != unread {
            let first = incoming.by_source.get(below).map(|(_, message)| *message);
            let from = first.map(|message| format!(", the first of them {}", self.known.name(message)));
            let what = format!(
                "{} unread and not {unread}{}; read up to {}",
                line.unread,
                from.unwrap_or_default(),
                line.marks.read.0
            );
            let said = self.marks.said.get(&(listed.user, line.marks.chat)).and_then(|said| said.read.1);
            let first = first.map(|message| self.known.messages[message].first);
            self.wrong(listed, &what, said.into_iter().chain(first));
        }
    }

    /// What the other side holds is what its devices hold, if one of them is synced.
    fn delivered(&mut self, peer: Side, listed: Listed<'_>) {
        let is = listed.line.marks.peer_delivered;
        let rested = |device: &u32| self.lives.at_rest(*device).is_some_and(|rested| rested.runs && rested.synced);
        let there = self.devices.get(&peer.0).is_some_and(|devices| devices.iter().any(rested));
        let Some(&(newest, message)) = self.marks.incoming.get(&peer).and_then(|side| side.by_source.last()) else {
            return;
        };
        if there && self.rest.contains_key(&peer.1) && is < newest {
            let name = self.known.name(message);
            let what = format!("delivered to user {} up to {}; they hold {name}, source {}", peer.0, is.0, newest.0);
            let first = self.known.messages[message].first;
            self.wrong(listed, &what, [first]);
        }
    }

    /// What one side says that it has read, the other is told; all lists of a user say the same.
    fn both_sides(&mut self, lines: &[Listed<'h>]) {
        let mut first: HashMap<Side, Listed<'h>> = HashMap::new();
        for listed in lines {
            let side = (listed.user, listed.line.marks.chat);
            let other = *first.entry(side).or_insert(*listed);
            if other.line != listed.line {
                self.wrong(*listed, "another list of the same user says otherwise", [other.at]);
            }
        }
        for listed in lines {
            let (chat, peer_read) = (listed.line.marks.chat, listed.line.marks.peer_read);
            let peer = chat.peer_of(listed.user).filter(|peer| *peer != listed.user);
            let Some(own) = peer.and_then(|peer| first.get(&(peer, chat)).copied()) else { continue };
            if own.line.marks.read != peer_read {
                let what = format!("the other side has read up to {}, told is {}", own.line.marks.read.0, peer_read.0);
                self.wrong(*listed, &what, [own.at]);
            }
        }
    }

    /// Views keep the marks that lists tell. Marks that ride on sends are not told to every view.
    fn views(&mut self, lines: &[Listed<'h>]) {
        let lines: HashMap<Side, Listed<'h>> =
            lines.iter().map(|listed| ((listed.user, listed.line.marks.chat), *listed)).collect();
        for (at, step) in self.known.steps.iter().enumerate() {
            let (What::View { marks, .. }, Some(user)) = (&step.what, self.known.user_of(step.device)) else {
                continue;
            };
            if !self.lives.at_rest(step.device).is_some_and(|rested| rested.runs) {
                continue;
            }
            for given in marks {
                if let Some(listed) = lines.get(&(user, given.chat)) {
                    self.view((at, step.device), given, *listed);
                }
            }
        }
    }

    fn view(&mut self, (at, device): (At, u32), given: &Given, listed: Listed<'_>) {
        let told = listed.line.marks;
        let peer = given.chat.peer_of(listed.user).unwrap_or(listed.user);
        let rides = |reader| self.marks.said.get(&(reader, given.chat)).is_some_and(|said| said.rides);
        let marks = [
            ("read", given.read, told.read, rides(listed.user)),
            ("peer_delivered", given.peer_delivered, told.peer_delivered, rides(peer)),
            ("peer_read", given.peer_read, told.peer_read, rides(peer)),
        ];
        for (mark, given, told, rides) in marks {
            if given > told || given < told && !rides {
                let what = format!("d{device} shows {mark} as {}, the list says {}", given.0, told.0);
                self.wrong(listed, &what, [at]);
            }
        }
    }
}
