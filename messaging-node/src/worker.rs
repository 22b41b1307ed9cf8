//! One thread of the node: its partitions, its sessions, its generator, its housekeeping.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use volery_door::socket::{Parts, Socket};
use volery_kernel::chat::Recipient;
use volery_kernel::code::Close;
use volery_kernel::generator::Generator;
use volery_kernel::id::{SessionNumber, UserId};
use volery_kernel::limits;
use volery_kernel::slot::Partition;
use volery_wire::codec::Encoding;

use crate::core::session::{Opening, Session};
use crate::core::stream::Follower;
use crate::greeter::{Greeted, LINGER};
use crate::node::Shared;
use crate::partition::{Owned, Owner, Signal};
use crate::session::SessionActor;

/// Sockets that wait to be taken over, at most.
const ADOPTIONS_MOST: usize = 8_192;
/// Users known to exist, held per thread at most (about 10 bytes each).
const KNOWN_MOST: usize = 262_144;

/// What everything on one thread shares.
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) generator: Arc<Mutex<Generator>>,
    pub(crate) known: RefCell<HashSet<UserId>>,
}

impl Thread {
    /// Remembers that a user exists. Users do not cease to: forgetting all at once is no fault.
    pub(crate) fn remember(&self, user: UserId) {
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN_MOST {
            known.clear();
        }
        known.insert(user);
    }
}

/// The actor of a thread.
pub(crate) struct Worker {
    thread: Rc<Thread>,
    partitions: HashMap<Partition, Rc<Owned>>,
    ready: Option<mpsc::Sender<()>>,
}

impl Worker {
    /// `ready` gets a message once all partitions are read up to their ends.
    pub(crate) fn new(
        shared: Arc<Shared>,
        generator: Arc<Mutex<Generator>>,
        own: Vec<Partition>,
        ready: mpsc::Sender<()>,
    ) -> Self {
        let partitions =
            own.into_iter().map(|partition| (partition, Rc::new(Owned::new(partition, &shared)))).collect();
        let thread = Rc::new(Thread { shared, generator, known: RefCell::default() });
        Self { thread, partitions, ready: Some(ready) }
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(ADOPTIONS_MOST);
        let (waiting, mut all_read) = mpsc::channel::<()>(1);
        for owned in self.partitions.values() {
            Owner::new(Rc::clone(owned), Arc::clone(&self.thread.shared), waiting.clone()).start();
        }
        drop(waiting);
        if let Some(ready) = self.ready.take() {
            let told = async move {
                // Nothing is ever sent: it ends when every partition has dropped its end.
                let _ = all_read.recv().await;
                let _ = ready.send(()).await;
            };
            ctx.spawn(told.into_actor(self));
        }
        ctx.run_interval(Duration::from_secs(1), |worker, _| worker.housekeep());
    }
}

impl Worker {
    /// Once a second: silent sockets, tokens that ended.
    fn housekeep(&self) {
        let now = self.thread.shared.clock.now();
        for signal in self.partitions.values().flat_map(|owned| owned.signals()) {
            let silent = now.since(signal.heard.get()) > limits::SILENCE_MS.value;
            if silent || signal.due.get() <= now {
                signal.tell_check();
            }
        }
    }
}

/// A socket whose `hello` was authenticated, for the thread of its user.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt {
    pub(crate) parts: Parts,
    pub(crate) encoding: Encoding,
    pub(crate) greeted: Greeted,
}

impl Handler<Adopt> for Worker {
    type Result = ();

    fn handle(&mut self, Adopt { parts, encoding, greeted }: Adopt, ctx: &mut Self::Context) {
        let shared = &self.thread.shared;
        let mut socket = match Socket::from_parts(parts) {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!(%error, "a socket could not be taken over"),
        };
        let partition = shared.partitions.of(Recipient::User(greeted.claims.user));
        let now = shared.clock.now();
        let floor = greeted.previous_session.0.max(greeted.largest_id);
        let number = self.thread.generator.lock().take(now, floor);
        let (Some(owned), Ok(number)) = (self.partitions.get(&partition), number) else {
            tracing::warn!(%partition, ?number, "a session could not be opened");
            shared.metrics.closes.of(Close::Fault).inc();
            socket.close(Close::Fault);
            ctx.spawn(socket.finish(LINGER).into_actor(self));
            return;
        };
        let who = Follower { user: greeted.claims.user, device: greeted.claims.device, session: SessionNumber(number) };
        let opening = Opening {
            who,
            token_until: greeted.claims.expires,
            largest_id: greeted.largest_id,
            resume: greeted.resume,
            request: greeted.request,
            rate: shared.options.rate,
            generation: shared.log.generation(),
        };
        let mut effects = Vec::new();
        let core = Session::open(opening, now, &mut effects);
        let signal = Rc::new(Signal::new(who, now));
        owned.attach(&signal);
        SessionActor::new(socket, encoding, core, signal, Rc::clone(owned), Rc::clone(&self.thread), effects).start();
    }
}

/// Closes every session with *going away*; answers when they are gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for Worker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let partitions: Vec<_> = self.partitions.values().cloned().collect();
        for signal in partitions.iter().flat_map(|owned| owned.signals()) {
            signal.stop();
        }
        Box::pin(async move {
            while partitions.iter().any(|owned| !owned.signals().is_empty()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }
}
