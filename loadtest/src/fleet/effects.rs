//! Carrying out what a device decides: store, connect, send, close, refresh; and what of it is
//! counted and recorded on the way.

use std::rc::Rc;
use std::time::Duration;

use volery_checker::history::What;
use volery_client::core::{Effect, Link, SocketId};
use volery_client::intent::Act;
use volery_client::outbox::Ended;
use volery_door::socket::Socket;
use volery_kernel::code::Close;
use volery_wire::client::Request;
use volery_wire::codec::{Encoding, encode_request};

use super::unit::Unit;
use crate::clock;
use crate::moves::Why;
use crate::tally;

/// A closing node is waited for this long.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

impl Unit {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, now: u64) {
        for effect in effects {
            match effect {
                Effect::Store(changes) => changes.into_iter().for_each(|change| self.disk.apply(change)),
                Effect::Connect { socket, address } => self.connect(socket, address),
                Effect::Send { request, message, .. } => self.send(request, &message, now),
                Effect::Close(socket) => self.close(socket),
                Effect::Token => {
                    let (number, account, world) = (self.number, self.account.clone(), Rc::clone(&self.world));
                    self.refreshing = Some(Box::pin(async move { account.refreshed(&world.gateways, number).await }));
                    self.poll_again();
                }
                Effect::Ended(ended) => self.ended(&ended, now),
                Effect::Reset => {}
                Effect::Link(link) => self.linked(link, now),
            }
        }
    }

    /// A future that is made late in a poll has nobody yet who wakes its device.
    pub(super) fn poll_again(&self) {
        self.world.clockwork.wake(self.number);
    }

    fn send(&mut self, request: u64, message: &Request<'_>, now: u64) {
        match message {
            Request::Hello(_) => self.greeted = true,
            Request::Mark(_) => self.world.tally.borrow_mut().marks += 1,
            Request::History(_) => self.asked_pages.push((request, now)),
            _ => {}
        }
        self.world.recorded(|recorder| recorder.request(self.number as u32, self.session, message, &self.disk));
        self.out.push(encode_request(Encoding::MessagePack, request, message));
    }

    fn close(&mut self, socket: SocketId) {
        self.left = self.left.max(socket);
        self.place.lost(Why::Left, clock::nanos());
        self.opening = self.opening.take().filter(|(opening, _)| *opening != socket);
        // While frames of it are being heard, the socket is with who reads it.
        if self.socket.as_ref().is_some_and(|(open, _)| *open == socket) {
            // What cannot be written to a socket that is left is lost with it.
            let _ = self.write();
            if let Some((_, open)) = self.socket.take() {
                self.finish(open);
            }
        } else if self.socket.is_none() {
            self.out.clear();
        }
    }

    pub(super) fn finish(&self, mut socket: Socket) {
        socket.close(Close::Normal);
        tokio::task::spawn_local(socket.finish(CLOSE_WITHIN));
    }

    fn ended(&self, ended: &Ended, now: u64) {
        self.world.recorded(|recorder| recorder.ended(self.number as u32, ended));
        let mut tally = self.world.tally.borrow_mut();
        match &ended.outcome {
            Ok(_) => {
                tally.retried += u64::from(ended.key.is_some_and(|(session, _)| session != self.session));
                match &ended.intent.act {
                    Act::Say { text, .. } => tally.took_ack(self.place.session(), tally::meant(text), now),
                    _ => tally.changes += 1,
                }
            }
            Err(code) => {
                tally.failed += 1;
                tally.error(code);
            }
        }
    }

    fn linked(&mut self, link: Link, now: u64) {
        match link {
            Link::Synced => {
                let mut tally = self.world.tally.borrow_mut();
                if let Some(since) = self.behind_since.take() {
                    tally.synced.took(since, now);
                }
                if let Some((loss, at)) = self.place.back() {
                    tally.took_back(loss, at, now);
                }
            }
            Link::Waiting(_) | Link::Down(_) | Link::Authorizing => {
                if std::mem::take(&mut self.greeted) {
                    self.world.recorded(|recorder| recorder.push(self.number as u32, What::Closed));
                }
                self.behind_since.get_or_insert(now);
                self.asked_pages.clear();
                self.rest.lost();
            }
            Link::Connecting | Link::Greeting | Link::Syncing => {}
        }
    }

    /// What the end of a checked run asks of a synced device.
    pub(super) fn rest_on(&mut self) {
        if !self.is_synced() {
            return;
        }
        if let Some(request) = self.rest.next() {
            let mut rest = std::mem::take(&mut self.rest);
            self.core(|core, turn| rest.ask(request, core, turn));
            self.rest = rest;
        }
    }
}
