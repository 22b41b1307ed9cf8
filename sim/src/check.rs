//! What must hold: while things happen (acknowledgements, marks, `synced`) and at rest (the timeline
//! against the log, every device's view against the timeline).

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_history::view::view;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Content, Event, Mark, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Source;
use volery_ports::history::History as _;
use volery_ports::timeline::{MessageRow, Span, Timeline as _};
use volery_wire::server::Reply;

use crate::device::word;
use crate::log::GENERATION;
use crate::network::ConnId;
use crate::story::tell;
use crate::view;
use crate::world::{World, user_of};

/// Something that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in milliseconds from the start.
    pub at: u64,
    /// What.
    pub what: String,
    /// The messages, devices and partitions that it is about, as stories name them.
    pub about: Vec<String>,
}

/// The word of an event for stories, and a line about it.
pub(crate) fn describe(event: &Event) -> (String, String) {
    match event {
        Event::Send(send) => {
            (tag_of(send), format!("{}{}", if send.flagged { "retry of " } else { "" }, of_send(send)))
        }
        Event::Resolved { send, .. } => (tag_of(send), format!("resolved {}", of_send(send))),
        Event::Echo { origin, send } => (tag_of(send), format!("echo of {}, from {}", of_send(send), origin.offset())),
        Event::Answer(answer) => {
            (key_tag(answer.key), format!("answer to {}: {:?}", key_tag(answer.key), answer.outcome))
        }
        Event::Mark(mark) => (format!("mark{}", mark.reader), of_mark(mark)),
        Event::PeerMark { mark, .. } => (format!("mark{}", mark.reader), format!("derived {}", of_mark(mark))),
        other => (String::new(), format!("{other:?}")),
    }
}

fn of_send(send: &Send) -> String {
    let (id, key) = (send.id, key_tag(send.key));
    format!("{} as {id} ({key}, session {}, to u{})", tag_of(send), send.session, send.recipient.id())
}

fn of_mark(mark: &Mark) -> String {
    format!("{:?} mark of u{} in {} up to {}", mark.kind, mark.reader, mark.chat, mark.seen.source.offset())
}

fn key_tag(key: SendKey) -> String {
    format!("key d{}/{}/{}", key.device.get() - 101, key.session, key.number)
}

fn tag_of(send: &Send) -> String {
    match &send.content {
        Content::Message { body, .. } => word(&String::from_utf8_lossy(&body.bytes)),
        Content::Edit { target, .. } => format!("edit of {target}"),
        Content::Delete { target } => format!("deletion of {target}"),
        Content::React { target, .. } => format!("reaction to {target}"),
    }
}

fn text_of(send: &Send) -> Option<String> {
    match &send.content {
        Content::Message { body, .. } => Some(String::from_utf8_lossy(&body.bytes).into_owned()),
        _ => None,
    }
}

impl World {
    pub(crate) fn violate(&mut self, what: impl Into<String>, about: Vec<String>) {
        let what = what.into();
        tell!(self, ["all"], "VIOLATION {what}");
        self.violations.push(Violation { at: self.now - crate::world::START_MS, what, about });
    }

    // ----- while things happen -----

    /// A device hears that a send is durable.
    fn acknowledged(&mut self, n: usize, number: u32, id: Id) {
        self.story.count("ack");
        let device = &self.devices[n];
        let key = SendKey { device: device.device, session: device.disk.session, number };
        let first = *self.acks.entry(key).or_insert(id);
        if first != id {
            let what = format!("G2: {} is acknowledged as {first} and as {id}", key_tag(key));
            self.violate(what, vec![key_tag(key)]);
        }
    }

    pub(crate) fn tell_reply(&mut self, n: usize, reply: &Reply<'_>) {
        if let Reply::Ack(ack) = reply {
            self.acknowledged(n, ack.number, ack.id);
        }
        if let Reply::Answer(answer) = reply {
            self.story.count(if answer.id.is_some() { "retry answered" } else { "retry refused" });
        }
        if !self.story.is_on() {
            return;
        }
        let (tag, what) = match reply {
            Reply::Message(m) => (
                word(&m.text),
                format!(
                    "message {} {} (source {}, {})",
                    word(&m.text),
                    m.id,
                    m.source.offset(),
                    positioned(m.position.is_some())
                ),
            ),
            Reply::Changed(c) => {
                (format!("edit of {}", c.id), format!("change {} of {} by u{} to {:?}", c.change, c.id, c.by, c.text))
            }
            Reply::Ack(ack) => (String::new(), format!("ack of {} as {}", ack.number, ack.id)),
            Reply::Answer(a) => (
                format!("key d{n}/{}/{}", a.session, a.number),
                format!("answer {}/{} {:?} {:?}", a.session, a.number, a.id, a.error),
            ),
            Reply::Synced(_) => (String::new(), "synced".to_owned()),
            Reply::Reset(_) => (String::new(), "reset".to_owned()),
            Reply::Gap => (String::new(), "gap".to_owned()),
            Reply::Error(error) => (String::new(), format!("error {} ({:?})", error.code, error.number)),
            Reply::Marked(m) => {
                (format!("mark{}", m.reader), format!("{:?} mark of u{} up to {}", m.kind, m.reader, m.source.offset()))
            }
            Reply::Page(page) => (String::new(), format!("page of {} with {}", page.chat, page.messages.len())),
            _ => return,
        };
        tell!(self, [format!("d{n}"), tag], "d{n} is told: {what}");
    }

    /// An intent of a device came to its end.
    pub(crate) fn ended(&mut self, n: usize, ended: &Ended) {
        let text = match &ended.intent.act {
            Act::Say { text, .. } => word(text),
            _ => String::new(),
        };
        tell!(self, [format!("d{n}"), text], "d{n}: {text} ended: {:?}", ended.outcome);
        self.devices[n].view.ended(ended);
        let Ok(taken) = &ended.outcome else { return self.story.count("intent failed") };
        if text.is_empty() {
            return;
        }
        let first = *self.devices[n].confirmed.entry(text.clone()).or_insert(taken.id);
        if first != taken.id {
            self.violate(format!("G2: {text} is confirmed as {first} and as {}", taken.id), vec![text]);
        }
    }

    /// `synced` was processed: everything that the stream held at the `hello` must be there.
    pub(crate) fn check_synced(&mut self, n: usize, id: ConnId) {
        self.story.count("synced");
        let Some(conn) = self.conns.get(&id) else { return };
        let device = &self.devices[n];
        let stream = self.oracle.streams.get(&device.user).map(Vec::as_slice).unwrap_or_default();
        let mut missing = None;
        for held in stream.iter().take_while(|held| held.offset < conn.hello_end) {
            let send = &held.send;
            let unconfirmed = send.key.device == device.device
                && device.core.as_ref().is_some_and(|core| {
                    core.outbox().items().any(|item| item.key == Some((send.key.session, send.key.number)))
                });
            if text_of(send).is_some() && !unconfirmed && !device.view.holds(send.chat(), send.id) {
                missing = Some((tag_of(send), held.offset));
                break;
            }
        }
        if let Some((what, offset)) = missing {
            let about = vec![what.clone(), format!("d{n}")];
            self.violate(format!("G4: d{n} is told synced and lacks {what}, at offset {offset} of its stream"), about);
        }
    }

    pub(crate) fn check_marks(&mut self, id: ConnId, events: &[Event]) {
        for event in events {
            if let Event::Mark(mark) = event {
                self.check_mark(id, mark.reader, mark.chat, mark.seen, &format!("{:?} mark", mark.kind));
            }
        }
    }

    pub(crate) fn check_shown(&mut self, id: ConnId, events: &[Event]) {
        for event in events {
            if let Event::Send(Send { sender, shown: Some(seen), .. }) = event
                && let Event::Send(send) = event
            {
                self.check_mark(id, *sender, send.chat(), *seen, "send");
            }
        }
    }

    fn check_mark(&mut self, id: ConnId, reader: UserId, chat: ChatId, seen: Seen, what: &str) {
        self.story.count("mark");
        let Some(conn) = self.conns.get(&id) else { return };
        let n = conn.device;
        let shown = &self.devices[n].view.shown;
        let mut covered = self.oracle.incoming(reader, chat, seen.source);
        let unseen = covered.find(|held| !shown.contains(&held.send.id)).map(|held| tag_of(&held.send));
        drop(covered);
        if let Some(tag) = unseen {
            let to = seen.source.offset();
            let about = vec![tag.clone(), format!("d{n}"), format!("mark{reader}")];
            self.violate(format!("a {what} of d{n} up to {to} covers {tag}, which it had not shown"), about);
        }
        if self.oracle.incoming(reader, chat, seen.source).any(|held| held.send.id > seen.id) {
            self.story.count("mark ahead of a smaller id");
        }
    }

    // ----- at rest -----

    /// What is not at rest yet.
    pub(crate) fn unrest(&self) -> Option<String> {
        let device = self.devices.iter().position(|device| !device.is_at_rest());
        if let Some(n) = device {
            let core = self.devices[n].core.as_ref();
            let waiting = core.map(|core| {
                (core.link(), core.outbox().items().map(|item| (item.key, item.phase.clone())).collect::<Vec<_>>())
            });
            return Some(format!("d{n} is not: {waiting:?}"));
        }
        if let Some((id, _)) = self.conns.iter().find(|(_, conn)| !conn.is_quiet()) {
            return Some(format!("connection {id} is not"));
        }
        let fanout = self.partitions().iter().find(|partition| !self.fanout_is_done(*partition));
        let archive = self.partitions().iter().find(|partition| !self.archive_is_done(*partition));
        fanout.map(|p| format!("fan-out of p{p} is not")).or(archive.map(|p| format!("archive of p{p} is not")))
    }

    pub(crate) fn check_at_rest(&mut self) {
        if let Some(what) = self.unrest() {
            return self.violate(format!("the world does not come to rest: {what}"), Vec::new());
        }
        self.check_keys();
        let rows = self.rows();
        self.check_timeline(&rows);
        self.check_order(&rows);
        for n in 0..self.devices.len() {
            self.check_view(n, &rows);
        }
        for user in 0..self.plan.users {
            self.check_chats(user_of(user));
        }
    }

    fn all_chats(&self) -> BTreeSet<ChatId> {
        let users = 0..self.plan.users;
        users.clone().flat_map(|a| users.clone().map(move |b| ChatId::direct(user_of(a), user_of(b)))).collect()
    }

    fn rows(&self) -> BTreeMap<(ChatId, Id), MessageRow> {
        let read = |chat| block_on(self.timeline.messages(chat, Span::After(Id::ZERO), usize::MAX)).unwrap_or_default();
        let chats = self.all_chats().into_iter();
        chats.flat_map(|chat| read(chat).into_iter().map(move |row| ((chat, row.message.id), row))).collect()
    }

    fn check_keys(&mut self) {
        let mut found = Vec::new();
        for (key, accepted) in &self.oracle.accepted {
            let (id, about) = (accepted[0].0, vec![key_tag(*key), tag_of(&self.oracle.sends[key])]);
            if let Some((other, _)) = accepted.iter().find(|(other, _)| *other != id) {
                found.push((format!("G2: {} stands on the log as {id} and as {other}", about[1]), about.clone()));
            }
            let sent = block_on(self.timeline.sent(*key)).ok().flatten();
            if sent.is_none_or(|sent| sent.id != id) {
                found.push((format!("G2: the row of {} says {sent:?} and not {id}", about[0]), about));
            }
        }
        for (key, id) in &self.acks {
            if self.oracle.accepted.get(key).is_none_or(|accepted| accepted[0].0 != *id) {
                found.push((
                    format!("G1: {} was acknowledged as {id} and is not there", key_tag(*key)),
                    vec![key_tag(*key)],
                ));
            }
        }
        for (key, outcomes) in &self.oracle.answers {
            for outcome in outcomes {
                let id = self.oracle.accepted.get(key).map(|accepted| accepted[0].0);
                let told = match outcome {
                    Outcome::Accepted { id, .. } => Some(*id),
                    Outcome::KeyReused | Outcome::Refused => None,
                };
                if told != id {
                    found.push((
                        format!("G2: {} was answered {outcome:?} and stands as {id:?}", key_tag(*key)),
                        vec![key_tag(*key)],
                    ));
                }
            }
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }

    fn check_timeline(&mut self, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
        let mut expected = BTreeMap::new();
        for (key, send) in &self.oracle.sends {
            if let Some(text) = text_of(send) {
                expected.insert((send.chat(), send.id), (*key, word(&text), text));
            }
        }
        let mut found = Vec::new();
        for (at, (key, word, text)) in &expected {
            match rows.get(at) {
                None => found.push((
                    format!("G1: {word} was accepted as {} and is not in the timeline", at.1),
                    vec![word.clone(), key_tag(*key)],
                )),
                Some(row) if row.message.body.bytes != text.as_bytes() || row.message.key != *key => {
                    found.push((format!("G2: the row {} is not {word}", at.1), vec![word.clone()]));
                }
                Some(_) => {}
            }
        }
        let mut words: BTreeMap<String, Id> = BTreeMap::new();
        for ((chat, id), row) in rows {
            let text = word(&String::from_utf8_lossy(&row.message.body.bytes));
            if !expected.contains_key(&(*chat, *id)) {
                found.push((
                    format!("{text} stands in the timeline as {id} and was never accepted"),
                    vec![text.clone()],
                ));
            }
            if let Some(other) = words.insert(text.clone(), *id) {
                found.push((format!("G2: {text} stands in the timeline as {other} and as {id}"), vec![text]));
            }
        }
        for (n, device) in self.devices.iter().enumerate() {
            for (text, id) in &device.confirmed {
                if words.get(text) != Some(id) {
                    found.push((
                        format!("G1: {text} was confirmed to d{n} as {id} and is not in the timeline"),
                        vec![text.clone(), format!("d{n}")],
                    ));
                }
            }
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }

    /// One device's own sends into one chat stand in the order in which it sent them.
    fn check_order(&mut self, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
        let mut newest: BTreeMap<(ChatId, String), (u64, String)> = BTreeMap::new();
        let mut found = Vec::new();
        for ((chat, id), row) in rows {
            let text = word(&String::from_utf8_lossy(&row.message.body.bytes));
            let Some((device, number)) = text.split_once('.') else { continue };
            let number: u64 = number.parse().unwrap_or(0);
            if let Some((before, earlier)) = newest.get(&(*chat, device.to_owned()))
                && *before > number
            {
                found.push((
                    format!("G3: {earlier} was sent after {text} and stands before it, {id}"),
                    vec![earlier.clone(), text.clone(), device.to_owned()],
                ));
            }
            newest.insert((*chat, device.to_owned()), (number, text.clone()));
            let question = self.devices.iter().find_map(|device| device.questions.get(&text));
            if question.is_some_and(|question| question >= id) {
                found.push((format!("G3: {text} answers {question:?} and stands before it, as {id}"), vec![text]));
            }
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }

    fn check_view(&mut self, n: usize, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
        let user = self.devices[n].user;
        let mine = rows.iter().filter(|((chat, _), _)| chat.peer_of(user).is_some());
        let expected: BTreeMap<(ChatId, Id), view::Seen> = mine.map(|(at, row)| (*at, shown(row.clone()))).collect();
        let held = self.devices[n].view.all();
        let mut found = Vec::new();
        for (at, seen) in &expected {
            let word = word(&String::from_utf8_lossy(&rows[at].message.body.bytes));
            let about = vec![
                format!("d{n}"),
                word.clone(),
                format!("edit of {}", at.1),
                format!("deletion of {}", at.1),
                format!("reaction to {}", at.1),
            ];
            match held.get(at) {
                None => found.push((format!("G4: d{n} lacks {word}, {}", at.1), about)),
                Some(held) if !held.is_like(seen) => {
                    found.push((format!("G4: d{n} shows {word} as {held:?} and not as {seen:?}"), about));
                }
                Some(_) => {}
            }
        }
        for (at, seen) in held.iter().filter(|(at, _)| !expected.contains_key(at)) {
            let word = word(&seen.text);
            found.push((
                format!("G4: d{n} shows {word}, {}, which is not in the timeline", at.1),
                vec![format!("d{n}"), word],
            ));
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }

    /// Marks, statuses and unread counts of one user, in the store and on all devices.
    fn check_chats(&mut self, user: UserId) {
        let Ok(page) = block_on(self.reads.chats(user, None, usize::MAX)) else { return };
        let mut found = Vec::new();
        for line in page.chats {
            let chat = line.chat;
            let peer = chat.peer_of(user).filter(|peer| *peer != user);
            let mut first: BTreeMap<Id, Source> = BTreeMap::new();
            for held in self.oracle.incoming(user, chat, Source(u64::MAX)) {
                first.entry(held.send.id).or_insert(Source::new(GENERATION, held.offset));
            }
            let newest = self.oracle.incoming(user, chat, Source(u64::MAX)).map(|held| held.offset).max();
            let newest = newest.map_or(Source::ZERO, |offset| Source::new(GENERATION, offset));
            let unread = first.values().filter(|source| **source > line.read.source).count().min(100);
            let about = vec![format!("mark{user}"), chat.to_string()];
            let mut wrong = |what: String| found.push((format!("marks of u{user} in {chat}: {what}"), about.clone()));
            if line.newest_incoming != newest {
                wrong(format!("newest incoming is {:?} and not {newest:?}", line.newest_incoming));
            }
            if line.unread != unread {
                wrong(format!("{} are unread and not {unread}; read up to {:?}", line.unread, line.read));
            }
            let first_of_newest = first.values().max().copied().unwrap_or_default();
            if line.delivered.source < first_of_newest {
                wrong(format!("delivered up to {:?} and not {first_of_newest:?}", line.delivered.source));
            }
            if let Some(peer) = peer {
                let row = block_on(self.timeline.chat(peer, chat)).unwrap_or_default();
                if (row.delivered.source, row.read.source) != (line.peer_delivered.source, line.peer_read.source) {
                    wrong(format!(
                        "the other side holds {:?} and {:?}, told are {:?} and {:?}",
                        row.delivered.source, row.read.source, line.peer_delivered.source, line.peer_read.source
                    ));
                }
            }
            for (n, device) in self.devices.iter().enumerate().filter(|(_, device)| device.user == user) {
                let told = view::Marks {
                    read: line.read.source,
                    peer_delivered: line.peer_delivered.source,
                    peer_read: line.peer_read.source,
                };
                let shown = device.view.marks_of(chat);
                // Marks that ride on sends do not come with changes and out of the index.
                if shown != told && !self.plan.sends_mark {
                    wrong(format!("d{n} shows {shown:?} and not {told:?}"));
                }
            }
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }
}

fn positioned(positioned: bool) -> &'static str {
    if positioned { "positioned" } else { "loose" }
}

/// A row as a device must show it.
fn shown(row: MessageRow) -> view::Seen {
    let view = view(row);
    let text = String::from_utf8_lossy(&view.body.bytes).into_owned();
    view::Seen {
        from: view.sender,
        text,
        deleted: view.deleted.is_some(),
        reactions: view.reactions.into_iter().collect(),
    }
}
