//! `hello` as a node answers it: a session if the user's partition is served here, a word where else or when,
//! if not; and how sessions are sent to another node. As the real shell does it in
//! `messaging-node/src/worker/adopting.rs`.
//!
//! Trap avoided: a session on a tail that has not begun would miss what the tail skips. Whoever comes that
//! early waits, for no longer than a `hello` may take.

use std::collections::BTreeMap;

use volery_client::outbox::Phase;
use volery_kernel::chat::Recipient;
use volery_kernel::code::{Close, Code};
use volery_kernel::id::{Id, SessionNumber};
use volery_kernel::limits;
use volery_kernel::position::Position;
use volery_kernel::slot::Partition;
use volery_messaging::core::pace::Rate;
use volery_messaging::core::session::{Opening, Session, error_body};
use volery_messaging::core::stream::Follower;
use volery_wire::client::Hello;
use volery_wire::server::{Moved, Reply};

use crate::cluster::Place;
use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::node::FAR;
use crate::session::SessionShell;
use crate::story::{What, tell};
use crate::world::{Task, World};
use crate::wrong::Wrong;

impl World {
    /// Says hello back. False if that must wait until the partition is read.
    pub(crate) fn greet(&mut self, id: ConnId, request: u64, hello: &Hello<'_>) -> bool {
        let Some(conn) = self.conns.get(&id) else { return true };
        let n = conn.node;
        let partition = self.log.partitions().of(Recipient::User(self.devices[conn.device].user));
        let node = &mut self.nodes[n];
        match (node.process.served.place(partition), node.slots.get_mut(&partition)) {
            (Place::Here, Some(slot)) if slot.is_read => self.open_session(id, partition, request, hello),
            (Place::Here, Some(slot)) => {
                if slot.waiting.insert(id) {
                    self.story.count(What::HelloEarly);
                    self.after(limits::HELLO_WITHIN_MS.value, Task::HelloLate(id, request));
                }
                return false;
            }
            (Place::At(address), _) => {
                let address = address.to_owned();
                self.story.count(What::HelloMoved);
                self.reply(id, 0, &Reply::Moved(Moved { address }));
                self.dismiss(id, Close::Moved);
            }
            (Place::Nowhere | Place::Here, _) => self.turn_away(id, request),
        }
        true
    }

    /// No node has the partition, or this one cannot read it.
    fn turn_away(&mut self, id: ConnId, request: u64) {
        self.story.count(What::HelloNoNode);
        self.reply(id, request, &Reply::Error(error_body(Code::NoNode, None, None, None)));
        self.dismiss(id, Close::Fault);
    }

    /// A `hello` has waited long enough.
    pub(crate) fn hello_late(&mut self, id: ConnId, request: u64) {
        let Some(conn) = self.conns.get(&id) else { return };
        let node = &mut self.nodes[conn.node];
        if node.process.is_paused(self.now) {
            let at = node.process.paused_until;
            return self.at(at, Task::HelloLate(id, request));
        }
        let waited = node.slots.values_mut().any(|slot| slot.waiting.remove(&id));
        if waited {
            self.turn_away(id, request);
        }
    }

    /// Closes a socket that has no session.
    fn dismiss(&mut self, id: ConnId, close: Close) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.unread.clear();
            let tag = format!("d{}", conn.device);
            tell!(self, [tag], "connection {id} of {tag} is refused: {}", close.text());
            self.send_down(id, Err(close.number()));
        }
    }

    fn open_session(&mut self, id: ConnId, partition: Partition, request: u64, hello: &Hello<'_>) {
        let end = self.log.end(partition);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.hello_end = end;
        let (n, device) = (conn.node, conn.device);
        let user = self.devices[device].user;
        let Some(number) = self.session_number(id, n, hello) else {
            let reply = Reply::Error(error_body(Code::ClockAhead, None, None, None));
            return self.reply(id, request, &reply);
        };
        let node = &mut self.nodes[n];
        let now = node.clock(self.now);
        let who = Follower { user, device: hello.device, session: SessionNumber(number) };
        let resume = hello.resume.as_ref().and_then(|blob| Position::from_bytes(&blob.0).ok());
        let rate = Rate { per_second: 50, burst: 200 };
        let (token_until, largest_id, generation) = (now.plus(FAR), hello.largest_id, GENERATION);
        let opening = Opening { who, token_until, largest_id, resume, request, rate, generation };
        let older = node.session_of(hello.device);
        let mut effects = Vec::new();
        let session = Session::open(opening, now, &mut effects);
        let (wrong, flying, from_tail) = (Wrong::from(resume), BTreeMap::new(), resume.map(|_| 0));
        let (welcomed, tick_at) = (now, None);
        node.sessions.insert(id, SessionShell { session, partition, welcomed, tick_at, from_tail, flying, wrong });
        let name = format!("d{device}");
        tell!(self, [name], "d{device} has session {number} at n{n} (connection {id}, resume {resume:?})");
        self.count_range(partition, resume);
        if let Some(older) = older {
            self.close_session(older, Close::Replaced);
        }
        self.carry_out(id, effects);
        self.plan_tick(id);
    }

    /// Above the device's previous one, whichever node gave that.
    fn session_number(&mut self, id: ConnId, n: usize, hello: &Hello<'_>) -> Option<Id> {
        if self.mutated(Mutation::OwnNumbers) {
            return Id::new(((n as u64) << 40) + id).ok();
        }
        let node = &mut self.nodes[n];
        let floor = hello.previous_session.0.max(hello.largest_id);
        let now = node.clock(self.now);
        node.ids.take(now, floor).ok()
    }

    fn count_range(&mut self, partition: Partition, resume: Option<Position>) {
        let Some(position) = resume.filter(|position| position.source != Default::default()) else { return };
        let offset = position.source.offset();
        if offset < self.log.start(partition) || offset >= self.log.end(partition) {
            self.story.count(What::OutOfRange);
        }
    }

    /// A session hears which node serves its user from now on.
    pub(crate) fn tell_moved(&mut self, id: ConnId, address: &str) {
        let Some(conn) = self.conns.get(&id) else { return };
        if self.nodes[conn.node].process.is_drained(self.now) && self.is_retrying(conn.device) {
            self.story.count(What::DrainInRetry);
        }
        self.reply(id, 0, &Reply::Moved(Moved { address: address.to_owned() }));
        self.close_session(id, Close::Moved);
    }

    fn is_retrying(&self, device: usize) -> bool {
        let core = self.devices[device].core.as_ref();
        core.is_some_and(|core| core.outbox().items().any(|item| item.phase == Phase::Retried))
    }
}
