//! A messaging node as the simulation runs it: the real tails and sessions, and a shell that carries
//! out their effects. Every node may serve every user and holds a tail of every partition, so that
//! doubled owners are the rule and not a fault.

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::code::{Close, Code};
use volery_kernel::event::{Event, Record, Seen};
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, SessionNumber, UserId};
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::pace::Rate;
use volery_messaging::core::session::{Context, Effect, Opening, Session, error_body};
use volery_messaging::core::stream::Follower;
use volery_messaging::core::tail::Tail;
use volery_ports::history::{Anchor, ChatsPage, History as _, HistoryError, Page, Stretch};
use volery_ports::log::{AppendError, Appended};
use volery_wire::client::{Hello, Request};
use volery_wire::codec::{Encoding, decode_request, encode_reply, join_reply};
use volery_wire::server::Reply;

use crate::log::GENERATION;
use crate::network::ConnId;
use crate::plan::Mutation;
use crate::story::tell;
use crate::world::{Owner, Task, World};

/// Farthest that a node's clock may be from the log's, with what the log's own jitters.
const CLOCK_MOST_MS: i64 = 230;
const FAR: u64 = 1_000_000_000;

pub(crate) struct SessionShell {
    pub(crate) session: Session,
    partition: Partition,
    tick_at: Option<u64>,
}

/// See the module.
pub(crate) struct Node {
    /// Counts starts; odd while it runs.
    pub(crate) life: u64,
    pub(crate) paused_until: u64,
    offset: i64,
    ids: Generator,
    tails: BTreeMap<Partition, Tail>,
    known: BTreeSet<UserId>,
    pub(crate) sessions: BTreeMap<ConnId, SessionShell>,
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
    Stretch(Stretch),
    Fetched,
    FetchFailed,
    FetchRefused,
    AskPage(u64, ChatId, Anchor, usize),
    Page(u64, ChatId, Result<Page, HistoryError>),
    AskChats(u64, Option<Vec<u8>>, usize),
    Chats(u64, Result<ChatsPage, HistoryError>),
    AskUndelivered,
    Undelivered(Vec<(ChatId, Seen)>),
}

impl Node {
    pub(crate) fn down() -> Self {
        let ids = Generator::new(0, Timestamp(0), Timestamp(0));
        let (tails, known, sessions) = Default::default();
        Self { life: 0, paused_until: 0, offset: 0, ids, tails, known, sessions }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life % 2 == 1
    }

    pub(crate) fn is_paused(&self, now: u64) -> bool {
        now < self.paused_until
    }

    fn clock(&self, now: u64) -> Timestamp {
        Timestamp(now.saturating_add_signed(self.offset))
    }

    pub(crate) fn tail_start(&self, partition: Partition) -> Offset {
        self.tails.get(&partition).map_or(0, Tail::start)
    }

    pub(crate) fn extend_tail(&mut self, partition: Partition, older: Vec<Record>, warm_up: usize) -> bool {
        self.tails.get_mut(&partition).is_some_and(|tail| tail.extend(older, warm_up))
    }

    fn session_of(&self, device: DeviceId) -> Option<ConnId> {
        self.sessions.iter().find(|(_, held)| held.session.who().device == device).map(|(id, _)| *id)
    }
}

impl World {
    pub(crate) fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    // ----- life and death -----

    pub(crate) fn node_up(&mut self, n: usize) {
        let generator = self.next_generator;
        self.next_generator += 1;
        let partitions = self.partitions();
        let node = &mut self.nodes[n];
        if node.is_up() {
            return;
        }
        node.life += 1;
        let now = node.clock(self.now);
        node.ids = Generator::new(generator, now, now.plus(FAR));
        for partition in partitions.iter() {
            let end = self.log.end(partition);
            let mut tail = Tail::new(partition, GENERATION, end, self.plan.tail_bytes);
            self.log.before(partition, end).iter().for_each(|record| tail.warm(record));
            node.tails.insert(partition, tail);
        }
        tell!(self, ["all"], "node n{n} is up");
    }

    pub(crate) fn crash_node(&mut self, n: usize, ms: u64) {
        if !self.nodes[n].is_up() {
            return;
        }
        let node = &mut self.nodes[n];
        node.life += 1;
        node.tails.clear();
        node.known.clear();
        node.paused_until = 0;
        let lost = std::mem::take(&mut node.sessions);
        self.after(ms, Task::NodeUp(n));
        for (id, _) in lost {
            let Some(conn) = self.conns.get(&id) else { continue };
            if self.devices[conn.device].conn == Some((id, conn.socket)) {
                self.cut_device(conn.device);
            }
        }
    }

    pub(crate) fn step_clock(&mut self, n: usize) {
        let offset = self.rng.within(0, 2 * CLOCK_MOST_MS as u64) as i64 - CLOCK_MOST_MS;
        self.nodes[n].offset = offset;
        tell!(self, ["all"], "the clock of n{n} is {offset} ms off");
    }

    pub(crate) fn node_read(&mut self, n: usize, life: u64, partition: Partition) {
        let node = &mut self.nodes[n];
        if node.life != life || !node.is_up() {
            return;
        }
        if node.is_paused(self.now) {
            let at = node.paused_until;
            return self.at(at, Task::NodeRead(n, life, partition));
        }
        let most = 1 + self.rng.index(8);
        let Some(tail) = node.tails.get_mut(&partition) else { return };
        let records = self.log.read(partition, tail.head(), most).to_vec();
        let full = records.len() == most;
        for record in records {
            tail.push(self.oracle.as_read(self.plan.mutation, partition, record));
        }
        let here: Vec<ConnId> =
            node.sessions.iter().filter(|(_, held)| held.partition == partition).map(|(id, _)| *id).collect();
        for id in here {
            self.session(id, |session, ctx, effects| session.advance(ctx, effects));
        }
        if full {
            self.after(1, Task::NodeRead(n, life, partition));
        }
    }

    pub(crate) fn node_lost(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (n, life, device) = (conn.node, conn.life, conn.device);
        let node = &mut self.nodes[n];
        if node.is_paused(self.now) {
            let at = node.paused_until;
            return self.at(at, Task::NodeLost(id));
        }
        if node.life == life && node.sessions.remove(&id).is_some() {
            tell!(self, [format!("d{device}")], "n{n} notices that connection {id} of d{device} is gone");
        }
        self.conns.remove(&id);
    }

    // ----- frames -----

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
                Request::Hello(hello) => self.hello(id, request, &hello),
                message if self.nodes[n].sessions.contains_key(&id) => {
                    self.session(id, |session, ctx, effects| session.request(request, message, ctx, effects));
                }
                _ => {}
            }
        }
    }

    fn hello(&mut self, id: ConnId, request: u64, hello: &Hello<'_>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (n, device) = (conn.node, conn.device);
        let user = self.devices[device].user;
        let partition = self.log.partitions().of(Recipient::User(user));
        conn.hello_end = self.log.end(partition);
        let floor = hello.previous_session.0.max(hello.largest_id);
        let node = &mut self.nodes[n];
        let now = node.clock(self.now);
        let Ok(number) = node.ids.take(now, floor) else {
            let reply = Reply::Error(error_body(Code::ClockAhead, None, None, None));
            return self.reply(id, request, &reply);
        };
        let who = Follower { user, device: hello.device, session: SessionNumber(number) };
        let resume = hello.resume.as_ref().and_then(|blob| Position::from_bytes(&blob.0).ok());
        let opening = Opening {
            who,
            token_until: now.plus(FAR),
            largest_id: hello.largest_id,
            resume,
            request,
            rate: Rate { per_second: 50, burst: 200 },
            generation: GENERATION,
        };
        let older = node.session_of(hello.device);
        let mut effects = Vec::new();
        let session = Session::open(opening, now, &mut effects);
        node.sessions.insert(id, SessionShell { session, partition, tick_at: None });
        tell!(
            self,
            [format!("d{device}")],
            "d{device} has session {number} at n{n} (connection {id}, resume {resume:?})"
        );
        if let Some(older) = older {
            self.close_session(older, Close::Replaced);
        }
        self.carry_out(id, effects);
        self.plan_tick(id);
    }

    fn reply(&mut self, id: ConnId, request: u64, reply: &Reply<'_>) {
        let (op, body) = encode_reply(Encoding::MessagePack, reply);
        self.send_down(id, Ok(join_reply(Encoding::MessagePack, op, request, &body)));
    }

    // ----- sessions -----

    /// Gives a session an input and carries out what it wants.
    pub(crate) fn session(&mut self, id: ConnId, input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>)) {
        let Some(conn) = self.conns.get(&id) else { return };
        let partitions = self.log.partitions();
        let Node { offset, ids, tails, known, sessions, .. } = &mut self.nodes[conn.node];
        let Some(held) = sessions.get_mut(&id) else { return };
        let Some(tail) = tails.get(&held.partition) else { return };
        let now = Timestamp(self.now.saturating_add_signed(*offset));
        let known = |user: UserId| known.contains(&user).then_some(true);
        let mut effects = Vec::new();
        let mut ctx = Context { now, ids, tail, partitions, known: &known };
        input(&mut held.session, &mut ctx, &mut effects);
        self.carry_out(id, effects);
        self.plan_tick(id);
    }

    fn plan_tick(&mut self, id: ConnId) {
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
        if node.is_paused(self.now) {
            let at = node.paused_until;
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

    fn close_session(&mut self, id: ConnId, close: Close) {
        let Some(conn) = self.conns.get(&id) else { return };
        let device = conn.device;
        if self.nodes[conn.node].sessions.remove(&id).is_some() {
            tell!(self, [format!("d{device}")], "connection {id} of d{device} is closed: {}", close.text());
            match close {
                Close::Retry => self.story.count("session ended by a failed append"),
                Close::Replaced => self.story.count("session replaced"),
                _ => {}
            }
            self.send_down(id, Err(close.number()));
        }
    }

    fn carry_out(&mut self, id: ConnId, effects: Vec<Effect>) {
        for effect in effects {
            self.effect(id, effect);
        }
    }

    fn effect(&mut self, id: ConnId, effect: Effect) {
        match effect {
            Effect::Reply(request, reply) => {
                self.reply(id, request, &reply);
            }
            Effect::Event { n, entry, positioned } => {
                let loose = (!positioned).then(|| entry.encoded_loose(Encoding::MessagePack)).flatten();
                let encoded = if positioned { entry.encoded(Encoding::MessagePack) } else { loose.as_ref() };
                let Some((op, body)) = encoded else { return };
                self.story.count(if positioned { "tail hit" } else { "loose delivery" });
                let frame = join_reply(Encoding::MessagePack, *op, n, body);
                self.send_down(id, Ok(frame));
                if self.mutated(Mutation::ReceivedBySending) {
                    let received = Request::Received(volery_wire::client::Received { n });
                    self.session(id, |session, ctx, effects| session.request(0, received, ctx, effects));
                }
            }
            Effect::Append(partition, events) => {
                self.check_shown(id, &events);
                self.append(partition, events, Owner::Session(id, partition));
            }
            Effect::AppendMarks(events) => {
                self.check_marks(id, &events);
                let Some(partition) = self.session_partition(id) else { return };
                self.append(partition, events.clone(), Owner::Marks(id, events));
            }
            Effect::CheckUser(user) => self.ask(id, Answered::Checked(user)),
            Effect::Authenticate(..) => {}
            Effect::AskEnd => self.ask(id, Answered::AskEnd),
            Effect::AskArchived => self.ask(id, Answered::AskArchived),
            Effect::Fetch(from, position) => self.ask(id, Answered::Fetch(from, position)),
            Effect::Page(request, chat, anchor, limit) => self.ask(id, Answered::AskPage(request, chat, anchor, limit)),
            Effect::Chats(request, cursor, limit) => self.ask(id, Answered::AskChats(request, cursor, limit)),
            Effect::AskUndelivered => self.ask(id, Answered::AskUndelivered),
            Effect::Close(close) => self.close_session(id, close),
        }
    }

    fn session_partition(&self, id: ConnId) -> Option<Partition> {
        let conn = self.conns.get(&id)?;
        self.nodes[conn.node].sessions.get(&id).map(|held| held.partition)
    }

    /// Something that a node hears or answers a little later.
    pub(crate) fn ask(&mut self, id: ConnId, answered: Answered) {
        let delay = self.rng.delay(8, 150);
        self.after(delay, Task::Answer(id, answered));
    }

    /// An answer comes back, or a question has arrived where it is answered.
    pub(crate) fn answer(&mut self, id: ConnId, answered: Answered) {
        let Some(conn) = self.conns.get(&id) else { return };
        let n = conn.node;
        let node = &self.nodes[n];
        if node.is_paused(self.now) {
            let at = node.paused_until;
            return self.at(at, Task::Answer(id, answered));
        }
        let Some(held) = node.sessions.get(&id) else { return };
        let (partition, user) = (held.partition, held.session.who().user);
        match answered {
            Answered::AskEnd => {
                let stale = self.mutated(Mutation::StaleEnd);
                let tail = node.tails.get(&partition).map_or(0, Tail::head);
                let end = if stale { tail } else { self.log.end(partition) };
                self.ask(id, Answered::End(end));
            }
            Answered::AskArchived => match block_on(self.reads.archived(partition)) {
                Ok(position) => {
                    let begin = Position { partition, ..Position::default() };
                    self.ask(id, Answered::Archived(position.unwrap_or(begin)));
                }
                Err(_) => self.after(500, Task::Answer(id, Answered::AskArchived)),
            },
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
                Err(_) => self.after(500, Task::Answer(id, Answered::AskUndelivered)),
            },
            answer => self.tell_session(id, n, answer),
        }
    }

    fn tell_session(&mut self, id: ConnId, n: usize, answer: Answered) {
        if let Answered::Checked(user) = answer {
            self.nodes[n].known.insert(user);
        }
        self.session(id, |session, ctx, effects| match answer {
            Answered::Appended(partition, result) => session.appended(partition, result, ctx, effects),
            Answered::MarksFailed(events) => session.marks_failed(events),
            Answered::Checked(user) => session.checked(user, Ok(true), ctx, effects),
            Answered::End(end) => session.end_is(end, ctx, effects),
            Answered::Archived(position) => session.archived(position, effects),
            Answered::Stretch(stretch) => session.stretch(stretch, ctx, effects),
            Answered::Fetched => session.fetched(ctx, effects),
            Answered::FetchFailed => session.fetch_failed(ctx, effects),
            Answered::FetchRefused => session.fetch_refused(ctx, effects),
            Answered::Page(request, chat, page) => session.page(request, chat, page, effects),
            Answered::Chats(request, chats) => session.chats(request, chats, effects),
            Answered::Undelivered(chats) => session.undelivered(chats, ctx, effects),
            _ => {}
        });
        self.read_frames(id);
    }
}
