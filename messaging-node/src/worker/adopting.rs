//! A socket whose `hello` was authenticated: a session if its user is served here, a word where else or
//! when, if not.
//!
//! Decided on the thread that has the user's partition, so that no map can change between the decision
//! and the session. Trap avoided: a session on a tail that has not begun would miss what the tail skips;
//! whoever comes that early waits, for no longer than a `hello` may take.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use tokio::time::{Instant, timeout_at};
use volery_door::socket::{Parts, Socket};
use volery_kernel::chat::Recipient;
use volery_kernel::code::{Close, Code};
use volery_kernel::id::{Id, SessionNumber};
use volery_kernel::served::Place;
use volery_wire::codec::Encoding;
use volery_wire::server::{Moved, Reply};

use super::Worker;
use crate::core::session::{Opening, Session};
use crate::core::stream::Follower;
use crate::greeter::{Greeted, dismiss, refuse, say};
use crate::partition::{Owned, Signal};
use crate::session::SessionActor;

/// A socket for the thread of its user.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt {
    pub(crate) parts: Parts,
    pub(crate) encoding: Encoding,
    pub(crate) greeted: Greeted,
    /// When a `hello` has waited long enough.
    pub(crate) deadline: Instant,
}

/// The same on this thread.
struct Guest {
    socket: Socket,
    encoding: Encoding,
    greeted: Greeted,
    deadline: Instant,
}

impl Handler<Adopt> for Worker {
    type Result = ();

    fn handle(&mut self, Adopt { parts, encoding, greeted, deadline }: Adopt, ctx: &mut Self::Context) {
        match Socket::from_parts(parts) {
            Ok(socket) => self.admit(Guest { socket, encoding, greeted, deadline }, ctx),
            Err(error) => tracing::warn!(%error, "a socket could not be taken over"),
        }
    }
}

impl Worker {
    fn admit(&self, guest: Guest, ctx: &mut Context<Self>) {
        if self.refused.is_some() {
            return self.turn_away(guest, ctx);
        }
        let partition = self.thread.shared.partitions.of(Recipient::User(guest.greeted.claims.user));
        match (self.served.place(partition), self.slots.get(&partition)) {
            (Place::Here, Some(slot)) if slot.owned.is_read() => self.open(guest, Rc::clone(&slot.owned), ctx),
            (Place::Here, Some(slot)) => {
                let read = slot.owned.until_read();
                self.wait(guest, read, ctx);
            }
            (Place::At(address), _) => {
                let moved = Moved { address: address.to_owned() };
                self.send_on(guest, moved, ctx);
            }
            (Place::Nowhere | Place::Here, _) => self.turn_away(guest, ctx),
        }
    }

    /// Until the partition is read; then it is asked again whose it is.
    fn wait(&self, guest: Guest, read: impl Future<Output = ()> + 'static, ctx: &mut Context<Self>) {
        let waited = async move { (timeout_at(guest.deadline, read).await, guest) };
        ctx.spawn(waited.into_actor(self).map(|(read, guest), worker, ctx| match read {
            Ok(()) => worker.admit(guest, ctx),
            Err(_) => worker.turn_away(guest, ctx),
        }));
    }

    fn open(&self, guest: Guest, owned: Rc<Owned>, ctx: &mut Context<Self>) {
        let (shared, greeted) = (&self.thread.shared, &guest.greeted);
        let now = shared.clock.now();
        let floor = greeted.previous_session.0.max(greeted.largest_id);
        let number = match self.thread.generator.lock().take(now, floor) {
            Ok(number) => number,
            Err(refused) => {
                tracing::warn!(?refused, "a session could not be opened");
                return self.close(guest.socket, Close::Fault, ctx);
            }
        };
        let opening = self.opening(greeted, number);
        let signal = Rc::new(Signal::new(opening.who, now));
        let mut effects = Vec::new();
        let core = Session::open(opening, now, &mut effects);
        if owned.attach(&signal) {
            self.thread.came(&owned, signal.who.user);
        }
        let Guest { socket, encoding, .. } = guest;
        SessionActor::new(socket, encoding, core, signal, owned, Rc::clone(&self.thread), effects).start();
    }

    fn opening(&self, greeted: &Greeted, number: Id) -> Opening {
        let (shared, claims) = (&self.thread.shared, &greeted.claims);
        Opening {
            who: Follower { user: claims.user, device: claims.device, session: SessionNumber(number) },
            token_until: claims.expires,
            largest_id: greeted.largest_id,
            resume: greeted.resume,
            request: greeted.request,
            rate: self.thread.rate.get(),
            generation: shared.log.generation(),
        }
    }

    /// Another node has the user's partition.
    fn send_on(&self, mut guest: Guest, moved: Moved, ctx: &mut Context<Self>) {
        say(&mut guest.socket, guest.encoding, 0, &Reply::Moved(moved));
        self.close(guest.socket, Close::Moved, ctx);
    }

    /// No node has it, or this one cannot read it or may not serve.
    fn turn_away(&self, mut guest: Guest, ctx: &mut Context<Self>) {
        let (shared, request) = (&self.thread.shared, guest.greeted.request);
        refuse(&mut guest.socket, guest.encoding, request, Code::NoNode, None, shared);
        self.close(guest.socket, Close::Fault, ctx);
    }

    fn close(&self, socket: Socket, close: Close, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.thread.shared);
        ctx.spawn(async move { dismiss(socket, close, &shared).await }.into_actor(self));
    }
}
