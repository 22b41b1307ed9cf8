//! The actor of a partition: reads it in log order into its tail and wakes the sessions whose
//! streams have news. The tail and the table of sessions are shared on this thread alone.
//!
//! The owner is liveness, not truth: it may be killed, doubled or late without breaking a promise.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, WrapFuture};
use smallvec::SmallVec;
use tokio::sync::mpsc;
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::position::Offset;
use volery_kernel::rules::read_back_from;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::metrics::{Queue, Reader};
use volery_ports::log::ReadError;

use crate::core::stream::Follower;
use crate::core::tail::Tail;
use crate::node::Shared;

/// How a session's actor is called: from its partition, from a successor, from the housekeeping.
pub(crate) struct Signal {
    pub(crate) who: Follower,
    waker: RefCell<Option<Waker>>,
    news: Cell<bool>,
    replaced: Cell<bool>,
    stopping: Cell<bool>,
    /// When the socket was heard last.
    pub(crate) heard: Cell<Timestamp>,
    /// When the session wants a tick, to the second.
    pub(crate) due: Cell<Timestamp>,
    check: Cell<bool>,
}

impl Signal {
    pub(crate) fn new(who: Follower, now: Timestamp) -> Self {
        let flag = || Cell::new(false);
        let (heard, due) = (Cell::new(now), Cell::new(Timestamp(u64::MAX)));
        Self {
            who,
            waker: RefCell::default(),
            news: flag(),
            replaced: flag(),
            stopping: flag(),
            heard,
            due,
            check: flag(),
        }
    }

    /// The actor's next poll follows a call of any kind.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut held = self.waker.borrow_mut();
        if held.as_ref().is_none_or(|held| !held.will_wake(waker)) {
            *held = Some(waker.clone());
        }
    }

    fn raise(&self, flag: &Cell<bool>) {
        flag.set(true);
        self.poll_again();
    }

    /// The actor has something to do that nobody calls it for.
    pub(crate) fn poll_again(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn tell_news(&self) {
        self.raise(&self.news);
    }

    pub(crate) fn replace(&self) {
        self.raise(&self.replaced);
    }

    pub(crate) fn stop(&self) {
        self.raise(&self.stopping);
    }

    pub(crate) fn tell_check(&self) {
        self.raise(&self.check);
    }

    pub(crate) fn take_news(&self) -> bool {
        self.news.take()
    }

    pub(crate) fn take_check(&self) -> bool {
        self.check.take()
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.get()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
}

/// A user's sessions, most often one.
type Sessions = SmallVec<[Rc<Signal>; 1]>;

/// What a partition's actor and its sessions share.
pub(crate) struct Owned {
    pub(crate) tail: RefCell<Tail>,
    sessions: RefCell<HashMap<UserId, Sessions>>,
    /// Who wants to know when the tail's head is there, whoever the records on the way concern.
    awaiting: RefCell<Vec<(Offset, Weak<Signal>)>>,
    extending: tokio::sync::Mutex<()>,
}

impl Owned {
    pub(crate) fn new(partition: Partition, shared: &Shared) -> Self {
        let budget = shared.options.tail_bytes / usize::from(shared.partitions.count());
        let tail = Tail::new(partition, shared.log.generation(), 0, budget);
        Self {
            tail: RefCell::new(tail),
            sessions: RefCell::default(),
            awaiting: RefCell::default(),
            extending: tokio::sync::Mutex::default(),
        }
    }

    /// Registers a session; an older one of the same device is told that it was replaced.
    pub(crate) fn attach(&self, signal: &Rc<Signal>) {
        let mut sessions = self.sessions.borrow_mut();
        let of_user = sessions.entry(signal.who.user).or_default();
        for older in of_user.iter().filter(|older| older.who.device == signal.who.device) {
            older.replace();
        }
        of_user.push(Rc::clone(signal));
    }

    /// Removes this very session and no other.
    pub(crate) fn detach(&self, signal: &Rc<Signal>) {
        let mut sessions = self.sessions.borrow_mut();
        if let Some(of_user) = sessions.get_mut(&signal.who.user) {
            of_user.retain(|other| !Rc::ptr_eq(other, signal));
            if of_user.is_empty() {
                sessions.remove(&signal.who.user);
            }
        }
    }

    fn tell(&self, stream: Recipient) {
        let Recipient::User(user) = stream else { return };
        if let Some(of_user) = self.sessions.borrow().get(&user) {
            for signal in of_user {
                signal.tell_news();
            }
        }
    }

    /// Tells this session once the tail reaches up to `end`, if it does not yet: `synced` may wait for
    /// records of others alone.
    pub(crate) fn tell_at(&self, end: Offset, signal: &Rc<Signal>) {
        if self.tail.borrow().head() < end {
            self.awaiting.borrow_mut().push((end, Rc::downgrade(signal)));
        }
    }

    fn tell_awaiting(&self) {
        let head = self.tail.borrow().head();
        let mut awaiting = self.awaiting.borrow_mut();
        for (_, signal) in awaiting.extract_if(.., |(end, _)| *end <= head) {
            signal.upgrade().into_iter().for_each(|signal| signal.tell_news());
        }
    }

    /// All sessions, for the housekeeping.
    pub(crate) fn signals(&self) -> Vec<Rc<Signal>> {
        self.sessions.borrow().values().flatten().cloned().collect()
    }

    /// Extends the tail backwards so that it begins at `from` or before it: one read for all that
    /// wait. False if that is further than the tail may hold.
    pub(crate) async fn extend_to(&self, from: Offset, shared: &Shared) -> Result<bool, ReadError> {
        let _alone = self.extending.lock().await;
        let (partition, start, room) = {
            let tail = self.tail.borrow();
            (tail.partition(), tail.start(), tail.room())
        };
        if start <= from {
            return Ok(true);
        }
        let first = shared.log.read(partition, from, 1).await?;
        let Some(stamp) = first.records.first().map(|record| record.stamp) else { return Ok(false) };
        let size = first.records.first().map_or(0, |record| record.record.value.len()).max(256) as u64;
        if (start - from).saturating_mul(size) > room as u64 {
            return Ok(false);
        }
        let begin = shared.log.seek(partition, read_back_from(stamp), from).await?;
        let older = volery_reader::between(shared.log.as_ref(), partition, begin, start).await?;
        let warm_up = older.iter().take_while(|record| record.offset < from).count();
        let mut tail = self.tail.borrow_mut();
        Ok(tail.start() == start && tail.extend(older, warm_up))
    }
}

/// The actor.
pub(crate) struct Owner {
    owned: Rc<Owned>,
    shared: Arc<Shared>,
    ready: Option<mpsc::Sender<()>>,
}

impl Owner {
    /// `ready` is dropped when the partition's newest records are read.
    pub(crate) fn new(owned: Rc<Owned>, shared: Arc<Shared>, ready: mpsc::Sender<()>) -> Self {
        Self { owned, shared, ready: Some(ready) }
    }
}

impl Actor for Owner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (owned, shared) = (Rc::downgrade(&self.owned), Arc::clone(&self.shared));
        ctx.spawn(follow(owned, shared, self.ready.take()).into_actor(self));
    }
}

/// Reads for as long as the thread holds the partition; what fails is tried again.
async fn follow(owned: Weak<Owned>, shared: Arc<Shared>, mut ready: Option<mpsc::Sender<()>>) {
    const AGAIN_AFTER: Duration = Duration::from_millis(500);
    let Some(partition) = owned.upgrade().map(|owned| owned.tail.borrow().partition()) else { return };
    while let Some(owned) = owned.upgrade() {
        let result = if ready.is_some() { begin(&owned, &shared).await } else { advance(&owned, &shared).await };
        match result {
            Ok(()) => ready = None,
            Err(error @ ReadError::Replaced { .. }) => {
                return tracing::error!(%partition, %error, "the partition is not read any more");
            }
            Err(error) => {
                tracing::error!(%partition, %error, "the partition cannot be read");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// Places the tail at the log's end, with the rules warmed by what lies before it.
async fn begin(owned: &Owned, shared: &Shared) -> Result<(), ReadError> {
    let partition = owned.tail.borrow().partition();
    let end = shared.log.extent(partition).await?.end;
    let before = volery_reader::read_back(shared.log.as_ref(), partition, end).await?;
    let mut tail = owned.tail.borrow_mut();
    for record in &before {
        tail.warm(record);
    }
    Ok(())
}

/// Waits for records, takes them into the tail, wakes whom they concern.
async fn advance(owned: &Owned, shared: &Shared) -> Result<(), ReadError> {
    let (partition, head) = {
        let tail = owned.tail.borrow();
        (tail.partition(), tail.head())
    };
    let records = volery_reader::read(shared.log.as_ref(), partition, head).await?.records;
    if records.is_empty() {
        shared.log.beyond(partition, head).await?;
        return Ok(());
    }
    if let Some(newest) = records.last() {
        let lag = shared.clock.now().since(newest.stamp);
        shared.metrics.reader_lag_seconds.of(Reader::Owner).observe(lag as f64 / 1_000.0);
    }
    let mut tail = owned.tail.borrow_mut();
    let before = tail.bytes();
    let news: Vec<_> = records.into_iter().filter_map(|record| tail.push(record)).collect();
    let gauge = shared.metrics.queue_bytes.of(Queue::Tail);
    gauge.add(tail.bytes() as i64 - before as i64);
    drop(tail);
    for stream in news {
        owned.tell(stream);
    }
    owned.tell_awaiting();
    Ok(())
}
