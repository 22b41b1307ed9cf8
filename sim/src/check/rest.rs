//! What must hold once everything has come to rest.

use super::*;
use crate::plan::{DEVICES_LEAST, FAULTS_LEAST, SENDS_LEAST, USERS_LEAST};

impl World {
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
        self.check_sea();
        self.check_keys();
        let rows = self.rows();
        self.check_timeline(&rows);
        self.check_order(&rows);
        let here: Vec<usize> = (0..self.devices.len()).filter(|n| !self.devices[*n].gone).collect();
        for n in here {
            self.check_view(n, &rows);
        }
        for user in 0..self.plan.users {
            self.check_chats(user_of(user));
        }
    }

    /// A seed in which little happens proves little.
    fn check_sea(&mut self) {
        let (users, devices) = (self.plan.users, self.devices.len());
        let calm = users < USERS_LEAST || devices < DEVICES_LEAST;
        if calm || self.sends < SENDS_LEAST || self.broken < FAULTS_LEAST {
            let (sends, faults) = (self.sends, self.broken);
            let what = format!("a calm sea: {users} users, {devices} devices, {sends} sends, {faults} faults");
            self.violate(what, Vec::new());
        }
    }

    pub(super) fn all_chats(&self) -> BTreeSet<ChatId> {
        let users = 0..self.plan.users;
        users.clone().flat_map(|a| users.clone().map(move |b| ChatId::direct(user_of(a), user_of(b)))).collect()
    }

    pub(super) fn rows(&self) -> BTreeMap<(ChatId, Id), MessageRow> {
        let read = |chat| block_on(self.timeline.messages(chat, Span::After(Id::ZERO), usize::MAX)).unwrap_or_default();
        let chats = self.all_chats().into_iter();
        chats.flat_map(|chat| read(chat).into_iter().map(move |row| ((chat, row.message.id), row))).collect()
    }

    pub(super) fn check_keys(&mut self) {
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

    pub(super) fn check_timeline(&mut self, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
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
    pub(super) fn check_order(&mut self, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
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

    pub(super) fn check_view(&mut self, n: usize, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
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
    pub(super) fn check_chats(&mut self, user: UserId) {
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
            for (n, device) in self.devices.iter().enumerate().filter(|(_, device)| device.user == user && !device.gone)
            {
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
