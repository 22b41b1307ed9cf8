//! What must hold once everything has come to rest.

use super::*;
use volery_checker::history::What;
use volery_checker::text::Label;
use volery_kernel::map::NodeKind;

use crate::node::Node;
use crate::plan::{DEVICES_LEAST, FAULTS_LEAST, SENDS_LEAST, USERS_LEAST};
use crate::record;

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
        if let Some(what) = self.nodes_unrest() {
            return Some(what);
        }
        if let Some((id, _)) = self.conns.iter().find(|(_, conn)| !conn.is_quiet()) {
            return Some(format!("connection {id} is not"));
        }
        let fanout = self.partitions().iter().find(|partition| !self.fanout_is_done(*partition));
        let archive = self.partitions().iter().find(|partition| !self.archive_is_done(*partition));
        fanout.map(|p| format!("fan-out of p{p} is not")).or(archive.map(|p| format!("archive of p{p} is not")))
    }

    /// Everybody is up, goes by the newest map, and has nobody whom it gives to another.
    fn nodes_unrest(&self) -> Option<String> {
        for kind in NodeKind::ALL.into_iter().filter(|kind| self.has_maps(*kind)) {
            let unsettled = self.cluster_unrest(kind).or_else(|| self.maps_unrest(kind));
            if unsettled.is_some() {
                return unsettled;
            }
        }
        let paused = self.nodes.iter().position(|node| node.process.is_paused(self.now));
        if let Some(n) = paused {
            return Some(format!("n{n} stands still"));
        }
        let astray = |(n, node): (usize, &Node)| {
            let mut sessions = node.sessions.values();
            sessions.any(|held| self.is_zombie(n, held.partition)).then(|| format!("n{n} has sessions of another's"))
        };
        self.nodes.iter().enumerate().find_map(astray)
    }

    pub(crate) fn check_at_rest(&mut self) {
        if let Some(what) = self.unrest() {
            return self.violate(format!("the world does not come to rest: {what}"), Vec::new());
        }
        self.check_sea();
        self.check_keys();
        let rows = self.rows();
        self.check_timeline(&rows);
        for user in 0..self.plan.users {
            self.check_chats(user_of(user));
        }
        self.record_rest(&rows);
        self.judge();
    }

    /// What pages, chat lists and devices show at rest.
    fn record_rest(&mut self, rows: &BTreeMap<(ChatId, Id), MessageRow>) {
        for chat in self.all_chats() {
            let reader = |device: &crate::device::Device| !device.gone && chat.peer_of(device.user).is_some();
            let Some(n) = self.devices.iter().position(reader) else { continue };
            let whole = rows.range((chat, Id::ZERO)..=(chat, Id::MAX));
            let whole = whole.map(|((_, id), row)| record::row(chat, *id, row.message.source, &shown(row.clone())));
            let whole = whole.collect();
            self.record(n, What::Timeline { chat, rows: whole });
        }
        for n in (0..self.devices.len()).filter(|n| !self.devices[*n].gone).collect::<Vec<_>>() {
            let lines = block_on(self.reads.chats(self.devices[n].user, None, usize::MAX)).unwrap_or_default();
            self.record(n, What::Lines(lines.chats.iter().map(record::line).collect()));
            self.record_view(n);
        }
    }

    /// The checker judges from what devices did and saw.
    fn judge(&mut self) {
        let report = volery_checker::examine(&self.history);
        if report.summary.proves_nothing() {
            self.violate("the checker decided nothing", Vec::new());
        }
        for found in report.violations {
            let mut steps = found.steps.iter().filter_map(|at| self.history.steps.get(*at));
            let devices = steps.clone().map(|step| format!("d{}", step.device));
            let labels = found.what.split([' ', ',', '(', ')']).filter(|word| word.parse::<Label>().is_ok());
            let about = devices.chain(labels.map(str::to_owned)).collect();
            let at = steps.next_back().map_or(0, |step| step.at / 1_000);
            let (what, steps) = (format!("{}: {}", found.promise, found.what), found.tell(&self.history));
            self.violations.push(Violation { at, what, about, steps });
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
                Some(row) if row.message.source != self.oracle.accepted[key][0].1 => {
                    let (is, first) = (row.message.source, self.oracle.accepted[key][0].1);
                    found.push((
                        format!("{word} has source {is:?} in the timeline and not {first:?}"),
                        vec![word.clone()],
                    ));
                }
                Some(_) => {}
            }
        }
        for (at, row) in rows.iter().filter(|(at, _)| !expected.contains_key(at)) {
            let text = word(&String::from_utf8_lossy(&row.message.body.bytes));
            found.push((format!("{text} stands in the timeline as {} and was never accepted", at.1), vec![text]));
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }

    /// What one user's chat list says of what came in, against the log.
    fn check_chats(&mut self, user: UserId) {
        let Ok(page) = block_on(self.reads.chats(user, None, usize::MAX)) else { return };
        let mut found = Vec::new();
        for line in page.chats {
            let chat = line.chat;
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
        }
        found.into_iter().for_each(|(what, about)| self.violate(what, about));
    }
}
