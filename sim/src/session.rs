//! Sessions as the simulation runs them: the real core, and a shell that carries out its effects.
//! What is done wrong on purpose to frames and appends is in `wrong`.

use std::collections::BTreeMap;

use futures::executor::block_on;
use volery_kernel::chat::ChatId;
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Event, Seen};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_messaging::core::session::{Context, Effect, Fetched, Session};
use volery_messaging::core::tail::Tail;
use volery_ports::history::{Anchor, ChatsPage, History as _, HistoryError, Page, Stretch};
use volery_ports::log::{AppendError, Appended};
use volery_wire::client::Request;
use volery_wire::codec::{Encoding, decode_request, encode_reply, join_reply};
use volery_wire::server::Reply;

use crate::appends::Owner;
use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::node::{FAR, Node};
use crate::story::{What, tell};
use crate::world::{Task, World};
use crate::wrong::Wrong;

pub(crate) struct SessionShell {
    pub(crate) session: Session,
    pub(crate) partition: Partition,
    /// When it said `welcome`, by its node's clock.
    pub(crate) welcomed: Timestamp,
    pub(crate) tick_at: Option<u64>,
    /// Events that the sync from the position of the `hello` took out of the tail; nothing once it is over, or was
    /// answered from elsewhere too.
    pub(crate) from_tail: Option<u64>,
    /// The sends of the append under way in each partition.
    pub(crate) flying: BTreeMap<Partition, Vec<Id>>,
    pub(crate) wrong: Wrong,
}

/// Answers of the outside to a session.
pub(crate) enum Answered {
    Appended(Partition, Result<Vec<Appended>, AppendError>),
    MarksFailed(Vec<Event>),
    Checked(UserId),
    AskEnd,
    End(Offset),
    AskArchived,
    Archived(Position),
    Fetch(Offset, Option<Position>),
    Fetched(Offset, Fetched),
    AskPage(u64, ChatId, Anchor, usize),
    Page(u64, ChatId, Result<Page, HistoryError>),
    AskChats(u64, Option<Vec<u8>>, usize),
    Chats(u64, Result<ChatsPage, HistoryError>),
    AskUndelivered,
    Undelivered(Vec<(ChatId, Seen)>),
}

impl World {
    // ----- the end -----

    pub(crate) fn close_session(&mut self, id: ConnId, close: Close) {
        let Some(conn) = self.conns.get(&id) else { return };
        let device = conn.device;
        if self.nodes[conn.node].sessions.remove(&id).is_some() {
            tell!(self, [format!("d{device}")], "connection {id} of d{device} is closed: {}", close.text());
            match close {
                Close::Replaced => self.story.count(What::SessionReplaced),
                Close::Moved => self.story.count(What::MovedTold),
                _ => {}
            }
            self.send_down(id, Err(close.number()));
        }
    }

    pub(crate) fn node_lost(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (n, life, device) = (conn.node, conn.life, conn.device);
        let node = &mut self.nodes[n];
        if node.process.is_paused(self.now) {
            let at = node.process.paused_until;
            return self.at(at, Task::NodeLost(id));
        }
        if node.process.life == life && node.sessions.remove(&id).is_some() {
            tell!(self, [format!("d{device}")], "n{n} notices that connection {id} of d{device} is gone");
        }
        self.conns.remove(&id);
    }

    // ----- inputs -----

    /// Reads what the node has of a connection, as far as the session wants to.
    pub(crate) fn read_frames(&mut self, id: ConnId) {
        loop {
            let Some(conn) = self.conns.get_mut(&id) else { return };
            let (n, device) = (conn.node, conn.device);
            let now = self.nodes[n].clock(self.now);
            if self.nodes[n].sessions.get(&id).is_some_and(|held| !held.session.wants_input(now)) {
                return;
            }
            let Some(frame) = conn.unread.pop_front() else { return };
            let Ok((request, message)) = decode_request(Encoding::MessagePack, &frame) else {
                return self.violate("a client's frame cannot be read", vec![format!("d{device}")]);
            };
            match message {
                Request::Hello(hello) if self.greet(id, request, &hello) => {}
                Request::Hello(_) => return self.put_back(id, frame.clone()),
                message if self.nodes[n].sessions.contains_key(&id) => {
                    let message = self.request_wrong(id, message);
                    self.session(id, |session, ctx, effects| session.request(request, message, ctx, effects));
                }
                _ => {}
            }
        }
    }

    fn put_back(&mut self, id: ConnId, frame: Vec<u8>) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.unread.push_front(frame);
        }
    }

    /// Gives a session an input and carries out what it wants.
    pub(crate) fn session(&mut self, id: ConnId, input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>)) {
        let Some(conn) = self.conns.get(&id) else { return };
        let partitions = self.log.partitions();
        let now = self.nodes[conn.node].clock(self.now);
        let Node { ids, slots, known, sessions, .. } = &mut self.nodes[conn.node];
        let Some(held) = sessions.get_mut(&id) else { return };
        let Some(tail) = slots.get(&held.partition).map(|slot| &slot.tail) else { return };
        let known = |user: UserId| known.contains(&user).then_some(true);
        let mut effects = Vec::new();
        let mut ctx = Context { now, ids, agrees: true, tail, partitions, known: &known };
        input(&mut held.session, &mut ctx, &mut effects);
        self.carry_out(id, effects);
        self.plan_tick(id);
    }

    /// Others' records may be all that is missing.
    fn tell_at(&mut self, id: ConnId, end: Offset) {
        let Some(conn) = self.conns.get(&id) else { return };
        let Node { slots, sessions, .. } = &mut self.nodes[conn.node];
        let slot = sessions.get(&id).and_then(|held| slots.get_mut(&held.partition));
        if let Some(slot) = slot.filter(|slot| slot.tail.head() < end) {
            slot.awaiting.push((end, id));
        }
    }

    pub(crate) fn plan_tick(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let node = &mut self.nodes[conn.node];
        let now = node.clock(self.now);
        let Some(held) = node.sessions.get_mut(&id) else { return };
        let Some(wake) = held.session.wake_at(now) else { return };
        let at = self.now + 1 + wake.since(now);
        if held.tick_at.is_none_or(|planned| planned > at || planned <= self.now) && wake.since(now) < FAR / 2 {
            held.tick_at = Some(at);
            self.at(at, Task::SessionTick(id));
        }
    }

    pub(crate) fn session_tick(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let node = &mut self.nodes[conn.node];
        if node.process.is_paused(self.now) {
            let at = node.process.paused_until;
            return self.at(at, Task::SessionTick(id));
        }
        let Some(held) = node.sessions.get_mut(&id) else { return };
        if held.tick_at.is_some_and(|planned| planned > self.now) {
            return;
        }
        held.tick_at = None;
        self.session(id, |session, ctx, effects| session.tick(ctx, effects));
        self.read_frames(id);
    }

    // ----- effects -----

    pub(crate) fn shell(&mut self, id: ConnId) -> Option<&mut SessionShell> {
        let conn = self.conns.get(&id)?;
        self.nodes[conn.node].sessions.get_mut(&id)
    }

    pub(crate) fn reply(&mut self, id: ConnId, request: u64, reply: &Reply<'_>) {
        let (op, body) = encode_reply(Encoding::MessagePack, reply);
        self.send_down(id, Ok(join_reply(Encoding::MessagePack, op, request, &body)));
    }

    pub(crate) fn carry_out(&mut self, id: ConnId, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(effect) = self.go_wrong(id, effect) {
                self.effect(id, effect);
            }
        }
    }

    fn effect(&mut self, id: ConnId, effect: Effect) {
        match effect {
            Effect::Reply(request, reply) => {
                self.count_reply(id, &reply);
                self.reply(id, request, &reply);
            }
            Effect::Event { n, entry, positioned } => {
                let loose = (!positioned).then(|| entry.encoded_loose(Encoding::MessagePack)).flatten();
                let encoded = if positioned { entry.encoded(Encoding::MessagePack) } else { loose.as_ref() };
                let Some((op, body)) = encoded else { return };
                self.count_event(id, positioned);
                let frame = join_reply(Encoding::MessagePack, *op, n, body);
                self.send_down(id, Ok(frame));
                self.count_zombie_session(id);
                if self.mutated(Mutation::ReceivedBySending) {
                    let received = Request::Received(volery_wire::client::Received { n });
                    self.session(id, |session, ctx, effects| session.request(0, received, ctx, effects));
                }
            }
            Effect::Append(partition, events) => {
                self.check_shown(id, &events);
                self.count_zombie_session(id);
                self.count_taken(id);
                if let Some(held) = self.shell(id) {
                    held.flying.insert(partition, events.iter().map(Event::id).collect());
                }
                self.append(partition, events, Owner::Session(id, partition));
            }
            Effect::AppendMarks(events) => {
                self.check_marks(id, &events);
                let Some(partition) = self.shell(id).map(|held| held.partition) else { return };
                self.append(partition, events.clone(), Owner::Marks(id, events));
            }
            Effect::CheckUser(user) => self.ask(id, Answered::Checked(user)),
            Effect::Authenticate(..) | Effect::Typing(_) | Effect::Watch { .. } => {}
            Effect::AskEnd => self.ask(id, Answered::AskEnd),
            Effect::AskArchived => self.ask(id, Answered::AskArchived),
            Effect::Fetch(from, position) => {
                if let Some(held) = self.shell(id) {
                    held.from_tail = None;
                }
                self.ask(id, Answered::Fetch(from, position));
            }
            Effect::Page(request, chat, anchor, limit) => self.ask(id, Answered::AskPage(request, chat, anchor, limit)),
            Effect::Chats(request, cursor, limit) => self.ask(id, Answered::AskChats(request, cursor, limit)),
            Effect::AskUndelivered => self.ask(id, Answered::AskUndelivered),
            Effect::Close(close) => self.close_session(id, close),
        }
    }

    /// A sync for which there was nothing to send has not been answered by the tail.
    fn count_reply(&mut self, id: ConnId, reply: &Reply<'_>) {
        match reply {
            Reply::Error(error) if error.code == Code::Stale.text() => self.story.count(What::Stale),
            Reply::Synced(_) | Reply::Reset(_) => {
                let events = self.shell(id).and_then(|held| held.from_tail.take());
                if matches!(reply, Reply::Synced(_)) && events.is_some_and(|events| events > 0) {
                    self.story.count(What::TailHit);
                }
            }
            _ => {}
        }
    }

    fn count_event(&mut self, id: ConnId, positioned: bool) {
        if !positioned {
            self.story.count(What::Loose);
        } else if let Some(events) = self.shell(id).and_then(|held| held.from_tail.as_mut()) {
            *events += 1;
        }
    }

    fn count_zombie_session(&mut self, id: ConnId) {
        let Some(node) = self.conns.get(&id).map(|conn| conn.node) else { return };
        if let Some(partition) = self.shell(id).map(|held| held.partition) {
            self.count_zombie(node, partition);
        }
    }

    fn count_taken(&mut self, id: ConnId) {
        let Some(node) = self.conns.get(&id).map(|conn| conn.node) else { return };
        if let Some(partition) = self.shell(id).map(|held| held.partition) {
            self.count_takers(node, partition);
        }
    }

    // ----- answers -----

    /// Something that a node hears or answers a little later.
    pub(crate) fn ask(&mut self, id: ConnId, answered: Answered) {
        let delay = self.rng.delay(8, 150);
        self.after(delay, Task::Answered(id, answered));
    }

    /// An answer comes back, or a question has arrived where it is answered.
    pub(crate) fn answer(&mut self, id: ConnId, answered: Answered) {
        let Some(conn) = self.conns.get(&id) else { return };
        let n = conn.node;
        let node = &self.nodes[n];
        if node.process.is_paused(self.now) {
            let at = node.process.paused_until;
            return self.at(at, Task::Answered(id, answered));
        }
        let Some(held) = node.sessions.get(&id) else { return };
        let (partition, user) = (held.partition, held.session.who().user);
        match answered {
            Answered::AskEnd => {
                let stale = self.mutated(Mutation::StaleSynced);
                let tail = node.tail(partition).map_or(0, Tail::head);
                let end = if stale { tail } else { self.log.end(partition) };
                self.ask(id, Answered::End(end));
            }
            Answered::AskArchived => self.ask_archived(id, n, partition),
            Answered::Fetch(from, position) => self.fetch(id, (n, partition, user), from, position),
            Answered::AskPage(request, chat, anchor, limit) => {
                let page = block_on(self.reads.page(user, chat, anchor, limit));
                self.ask(id, Answered::Page(request, chat, page));
            }
            Answered::AskChats(request, cursor, limit) => {
                let chats = block_on(self.reads.chats(user, cursor, limit));
                self.ask(id, Answered::Chats(request, chats));
            }
            Answered::AskUndelivered => match block_on(self.reads.undelivered(user, 100)) {
                Ok(chats) => self.ask(id, Answered::Undelivered(chats)),
                Err(_) => self.after(500, Task::Answered(id, Answered::AskUndelivered)),
            },
            answer => self.tell_session(id, n, answer),
        }
    }

    fn ask_archived(&mut self, id: ConnId, n: usize, partition: Partition) {
        let begin = Position::beginning(partition, GENERATION);
        let archived = block_on(self.reads.archived(partition)).map(|position| position.unwrap_or(begin));
        let tail = self.nodes[n].tail_end(partition).filter(|_| self.mutated(Mutation::ResetAtTail));
        match archived {
            Ok(position) => self.ask(id, Answered::Archived(tail.unwrap_or(position))),
            Err(_) => self.after(500, Task::Answered(id, Answered::AskArchived)),
        }
    }

    fn tell_session(&mut self, id: ConnId, n: usize, answer: Answered) {
        if let Answered::Checked(user) = answer {
            self.nodes[n].known.insert(user);
        }
        let answer = match answer {
            Answered::Appended(partition, result) => {
                let flying = self.shell(id).and_then(|held| held.flying.remove(&partition)).unwrap_or_default();
                Answered::Appended(partition, self.heard_wrong(id, partition, &flying, result))
            }
            answer => answer,
        };
        let unknown = matches!(&answer, Answered::Appended(_, Err(AppendError::Unknown(_))));
        let awaited = match &answer {
            Answered::End(end) | Answered::Fetched(_, Fetched::Stretch(Stretch { complete_below: end, .. })) => {
                Some(*end)
            }
            _ => None,
        };
        self.session(id, |session, ctx, effects| match answer {
            Answered::Appended(partition, result) => session.appended(partition, result, ctx, effects),
            Answered::MarksFailed(events) => session.marks_failed(events),
            Answered::Checked(user) => session.checked(user, Ok(true), ctx, effects),
            Answered::End(end) => session.end_is(end, ctx, effects),
            Answered::Archived(position) => session.archived(position, effects),
            Answered::Fetched(from, fetched) => session.fetched(from, fetched, ctx, effects),
            Answered::Page(request, chat, page) => session.page(request, chat, page, effects),
            Answered::Chats(request, chats) => session.chats(request, chats, effects),
            Answered::Undelivered(chats) => session.undelivered(chats, ctx, effects),
            _ => {}
        });
        awaited.into_iter().for_each(|end| self.tell_at(id, end));
        if unknown && !self.nodes[n].sessions.contains_key(&id) {
            self.story.count(What::SessionEnded);
        }
        self.read_frames(id);
    }
}

/// What the log would have said, had it taken everything.
pub(crate) fn as_taken(end: Offset, count: usize, now: u64) -> Vec<Appended> {
    (0..count as u64).map(|n| Appended { offset: end + n, stamp: Timestamp(now) }).collect()
}
