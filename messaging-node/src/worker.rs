//! One thread of the node: its partitions, its sessions, its generator, its housekeeping.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle, WrapFuture};
use futures::future::join_all;
use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use volery_kernel::generator::Generator;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::map::PartitionMap;
use volery_kernel::served::Served;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::bus::{Ear, News};

use crate::core::pace::Rate;
use crate::core::watching::Watching;
use crate::node::Shared;
use crate::partition::Signal;

mod adopting;
mod living;
mod moving;
mod pacing;
mod refused;

pub(crate) use adopting::Adopt;
use moving::Slot;
use refused::Refused;

/// Sockets that wait to be taken over, at most.
const ADOPTIONS_MOST: usize = 8_192;
/// Users known to exist, held per thread at most (about 10 bytes each).
const KNOWN_MOST: usize = 262_144;

/// What everything on one thread shares.
pub(crate) struct Thread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) generator: Arc<Mutex<Generator>>,
    pub(crate) known: RefCell<HashSet<UserId>>,
    /// How fast its sessions may send.
    pub(crate) rate: Cell<Rate>,
    /// Whom its sessions watch.
    pub(crate) watching: RefCell<Watching<Rc<Signal>>>,
    /// Hears who types to its users, and of those who are watched.
    ear: Box<dyn Ear>,
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
    /// Which partitions are this thread's, if they are this node's.
    mine: Box<dyn Fn(Partition) -> bool>,
    /// Of the whole node: the threads share one budget for tails.
    served: Served,
    maps: Option<watch::Receiver<Arc<PartitionMap>>>,
    rates: Option<watch::Receiver<Rate>>,
    refusals: Option<watch::Receiver<bool>>,
    slots: HashMap<Partition, Slot>,
    /// The next step of a parting, while sessions are sent to other nodes.
    parting: Option<SpawnHandle>,
    ready: Option<mpsc::Sender<()>>,
    news: Option<mpsc::Receiver<News>>,
    /// How long the thread is up.
    seconds: u64,
    /// When those who are watched are read besides.
    read_at: u64,
    /// Since when the cluster refuses the node.
    refused: Option<Timestamp>,
    /// Its sessions end with the node.
    stopping: bool,
}

impl Worker {
    /// `ready` gets a message once all partitions that the map gives to it are read up to their ends.
    pub(crate) fn new(
        shared: Arc<Shared>,
        generator: Arc<Mutex<Generator>>,
        mine: Box<dyn Fn(Partition) -> bool>,
        ready: mpsc::Sender<()>,
    ) -> Self {
        let mut maps = shared.map.clone();
        let served = Served::new(shared.options.name.clone(), Arc::clone(&maps.borrow_and_update()));
        let mut rates = shared.options.rate.clone();
        let rate = Cell::new(*rates.borrow_and_update());
        let refusals = Some(shared.refused.clone());
        let (ear, news) = listen(&shared);
        let (known, watching) = (RefCell::default(), RefCell::default());
        let thread = Rc::new(Thread { shared, generator, known, rate, watching, ear });
        let (maps, rates, slots) = (Some(maps), Some(rates), HashMap::new());
        Self {
            thread,
            mine,
            served,
            maps,
            rates,
            refusals,
            slots,
            parting: None,
            ready: Some(ready),
            news: Some(news),
            seconds: 0,
            read_at: 0,
            refused: None,
            stopping: false,
        }
    }

    fn signals(&self) -> impl Iterator<Item = Rc<Signal>> {
        self.slots.values().flat_map(|slot| slot.owned.signals())
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(ADOPTIONS_MOST);
        let first: Vec<_> = self.served.held().filter(|partition| (self.mine)(*partition)).collect();
        self.gain(&first);
        let all_read = join_all(self.slots.values().map(|slot| slot.owned.until_read()).collect::<Vec<_>>());
        if let Some(ready) = self.ready.take() {
            let told = async move {
                all_read.await;
                // Whoever started the thread may have gone.
                let _ = ready.send(()).await;
            };
            ctx.spawn(told.into_actor(self));
        }
        if let Some(maps) = self.maps.take() {
            ctx.add_stream(each(maps));
        }
        if let Some(rates) = self.rates.take() {
            ctx.add_stream(each(rates));
        }
        if let Some(refusals) = self.refusals.take() {
            ctx.add_stream(each(refusals).map(Refused));
        }
        if let Some(news) = self.news.take() {
            ctx.add_stream(living::news(news));
        }
        ctx.run_interval(Duration::from_secs(1), Self::housekeep);
    }
}

/// What finds no room is dropped and counted.
fn listen(shared: &Shared) -> (Box<dyn Ear>, mpsc::Receiver<News>) {
    let (heard, news) = mpsc::channel(living::HEARD_MOST);
    let dropped = shared.metrics.bus_dropped.clone();
    let ear = shared.bus.listen(Arc::new(move |news| {
        if heard.try_send(news).is_err() {
            dropped.inc();
        }
    }));
    (ear, news)
}

/// Each value that is told of; ends when nobody tells of them any more.
fn each<T: Clone + 'static>(told: watch::Receiver<T>) -> impl Stream<Item = T> {
    futures::stream::unfold(told, |mut told| async move {
        told.changed().await.ok()?;
        let value = told.borrow_and_update().clone();
        Some((value, told))
    })
}

impl Worker {
    /// Once a second: silent sockets, tokens that ended, users who have gone.
    fn housekeep(&mut self, ctx: &mut Context<Self>) {
        let now = self.thread.shared.clock.now();
        for signal in self.signals() {
            let silent = now.since(signal.heard.get()) > limits::SILENCE_MS.value;
            if silent || signal.due.get() <= now {
                signal.tell_check();
            }
        }
        self.speak(now, ctx);
    }
}

/// Closes every session with *going away*; answers when they are gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for Worker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        self.signals().for_each(|signal| signal.stop());
        let all: Vec<_> = self.slots.values().map(|slot| Rc::clone(&slot.owned)).collect();
        Box::pin(async move {
            while all.iter().any(|owned| !owned.signals().is_empty()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }
}
