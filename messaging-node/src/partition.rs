//! The actor of a partition: reads it in log order into its tail and wakes the sessions whose
//! streams have news. The tail and the table of sessions are shared on this thread alone.
//!
//! The owner is liveness, not truth: it may be killed, doubled or late without breaking a promise.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use smallvec::SmallVec;
use tokio::sync::{oneshot, watch};
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::position::Offset;
use volery_kernel::rules::read_back_from;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::metrics::{Metrics, Queue, Reader};
use volery_ports::log::ReadError;

use crate::core::present::Present;
use crate::core::stream::Follower;
use crate::core::tail::Tail;
use crate::node::Shared;

/// Who is told at once to be typing to one session; more are not seen.
const TYPISTS_MOST: usize = 8;

/// How a session's actor is called: from its partition, from a successor, from the housekeeping.
pub(crate) struct Signal {
    pub(crate) who: Follower,
    waker: RefCell<Option<Waker>>,
    news: Cell<bool>,
    replaced: Cell<bool>,
    stopping: Cell<bool>,
    moved: OnceCell<Rc<str>>,
    /// When the socket was heard last.
    pub(crate) heard: Cell<Timestamp>,
    /// When the session wants a tick, to the second.
    pub(crate) due: Cell<Timestamp>,
    check: Cell<bool>,
    /// Somebody who is watched came or went.
    presence: Cell<bool>,
    /// Who types to the session's user; a pointer while nobody does.
    typists: Cell<Option<Box<SmallVec<[UserId; 1]>>>>,
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
            moved: OnceCell::new(),
            heard,
            due,
            check: flag(),
            presence: flag(),
            typists: Cell::default(),
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

    /// Another node serves the user from now on, at this address.
    pub(crate) fn tell_moved(&self, address: &Rc<str>) {
        if self.moved.set(Rc::clone(address)).is_ok() {
            self.poll_again();
        }
    }

    pub(crate) fn tell_check(&self) {
        self.raise(&self.check);
    }

    pub(crate) fn tell_presence(&self) {
        self.raise(&self.presence);
    }

    fn tell_typing(&self, from: UserId) {
        let mut typists = self.typists.take().unwrap_or_default();
        if typists.len() < TYPISTS_MOST && !typists.contains(&from) {
            typists.push(from);
        }
        self.typists.set(Some(typists));
        self.poll_again();
    }

    pub(crate) fn has_presence(&self) -> bool {
        self.presence.get()
    }

    pub(crate) fn take_presence(&self) -> bool {
        self.presence.take()
    }

    pub(crate) fn take_typists(&self) -> Option<Box<SmallVec<[UserId; 1]>>> {
        self.typists.take()
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

    pub(crate) fn moved_to(&self) -> Option<&Rc<str>> {
        self.moved.get()
    }
}

/// A session's number is never used again.
impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        self.who.session == other.who.session
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
    /// Whose sessions have just ended.
    pub(crate) present: RefCell<Present>,
    extending: tokio::sync::Mutex<()>,
    /// Whether the tail has begun, at the log's end: a session on one that has not would miss what it skips.
    read: watch::Sender<bool>,
    metrics: Metrics,
    /// Bytes of the tail as they stand in the metrics.
    counted: Cell<i64>,
}

impl Owned {
    /// A partition that nobody has read yet; `budget` bounds its tail, in bytes.
    pub(crate) fn new(partition: Partition, shared: &Shared, budget: usize) -> Self {
        let tail = Tail::new(partition, shared.log.generation(), 0, budget);
        shared.metrics.partitions.inc();
        Self {
            tail: RefCell::new(tail),
            sessions: RefCell::default(),
            awaiting: RefCell::default(),
            present: RefCell::default(),
            extending: tokio::sync::Mutex::default(),
            read: watch::Sender::new(false),
            metrics: shared.metrics.clone(),
            counted: Cell::new(0),
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        *self.read.borrow()
    }

    /// Ends when the tail has begun, or the partition was given up.
    pub(crate) fn until_read(&self) -> impl Future<Output = ()> + use<> {
        let mut read = self.read.subscribe();
        async move {
            // An error says that it was given up.
            let _ = read.wait_for(|read| *read).await;
        }
    }

    pub(crate) fn set_budget(&self, budget: usize) {
        self.tail.borrow_mut().set_budget(budget);
        self.count();
    }

    /// Brings the metrics to what the tail holds now.
    fn count(&self) {
        let bytes = self.tail.borrow().bytes() as i64;
        self.metrics.queue_bytes.of(Queue::Tail).add(bytes - self.counted.replace(bytes));
    }

    pub(crate) fn partition(&self) -> Partition {
        self.tail.borrow().partition()
    }

    /// Registers a session; an older one of the same device is told that it was replaced. Whether it is its
    /// user's first.
    pub(crate) fn attach(&self, signal: &Rc<Signal>) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        let of_user = sessions.entry(signal.who.user).or_default();
        for older in of_user.iter().filter(|older| older.who.device == signal.who.device) {
            older.replace();
        }
        of_user.push(Rc::clone(signal));
        of_user.len() == 1
    }

    /// Removes this very session and no other.
    pub(crate) fn detach(&self, signal: &Rc<Signal>, now: Timestamp) {
        let mut sessions = self.sessions.borrow_mut();
        if let Some(of_user) = sessions.get_mut(&signal.who.user) {
            of_user.retain(|other| !Rc::ptr_eq(other, signal));
            if of_user.is_empty() {
                sessions.remove(&signal.who.user);
                self.present.borrow_mut().left(signal.who.user, now);
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

    /// Somebody types to a user; nobody is told who has no session here.
    pub(crate) fn tell_typing(&self, to: UserId, from: UserId) {
        if let Some(of_user) = self.sessions.borrow().get(&to) {
            of_user.iter().for_each(|signal| signal.tell_typing(from));
        }
    }

    /// Everybody who has a session.
    pub(crate) fn users(&self) -> Vec<UserId> {
        self.sessions.borrow().keys().copied().collect()
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
        let extended = tail.start() == start && tail.extend(older, warm_up);
        drop(tail);
        self.count();
        Ok(extended)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.metrics.queue_bytes.of(Queue::Tail).sub(self.counted.get());
        self.metrics.partitions.dec();
    }
}

/// The actor.
pub(crate) struct Owner {
    owned: Rc<Owned>,
    shared: Arc<Shared>,
    given_up: Option<oneshot::Receiver<()>>,
}

impl Owner {
    /// Reads until the sender of `given_up` is dropped.
    pub(crate) fn new(owned: Rc<Owned>, shared: Arc<Shared>, given_up: oneshot::Receiver<()>) -> Self {
        Self { owned, shared, given_up: Some(given_up) }
    }
}

impl Actor for Owner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(given_up) = self.given_up.take() else { return };
        let (owned, shared) = (Rc::clone(&self.owned), Arc::clone(&self.shared));
        let reading = async move {
            tokio::select! {
                () = follow(&owned, &shared) => {}
                _ = given_up => {}
            }
        };
        ctx.spawn(reading.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

/// Reads for ever; what fails is tried again.
async fn follow(owned: &Owned, shared: &Shared) {
    const AGAIN_AFTER: Duration = Duration::from_millis(500);
    let partition = owned.tail.borrow().partition();
    let mut waits = false;
    loop {
        let result = if owned.is_read() { advance(owned, shared).await } else { begin(owned, shared).await };
        match result {
            Ok(()) if waits => {
                tracing::info!(%partition, "the partition is read again");
                waits = false;
            }
            Ok(()) => {}
            Err(error @ ReadError::Replaced { .. }) => {
                tracing::error!(%partition, %error, "the partition is not read any more");
                // Nobody waits for what never comes: sessions read pages, and the log refuses them the rest.
                owned.read.send_replace(true);
                return std::future::pending().await;
            }
            Err(error) => {
                if !waits {
                    tracing::error!(%partition, %error, "the partition cannot be read");
                }
                waits = true;
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
    owned.tail.borrow_mut().begin(end, &before);
    owned.read.send_replace(true);
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
    let news: Vec<_> = records.into_iter().filter_map(|record| tail.push(record)).collect();
    drop(tail);
    owned.count();
    for stream in news {
        owned.tell(stream);
    }
    owned.tell_awaiting();
    Ok(())
}
