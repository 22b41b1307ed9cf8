//! The embedded timeline: [`Timeline`] on an LSM tree (fjall) in one folder.
//!
//! | file | owns |
//! |---|---|
//! | `layout` | which keys there are |
//! | `value`, `registers` | their values; how a chat row merges |
//! | `apply`, `hot` | the writing side and the chat rows that it remembers |
//! | `read` | the reading side |
//! | `bounds` | where an index begins, and how it forgets |
//! | `store` | the database itself, and its repair |
//! | `rows` | stored values as typed rows, for checks of the format |
//!
//! # Threads
//! Calls block: reads may wait for the disk, applies for a slow compaction. They are made on the
//! caller's own thread (archive and history's reads have threads for it), never on one that serves
//! sockets. The futures are ready when first polled.
//!
//! # Failure
//! An apply that fails leaves all of itself or nothing, is [`Unavailable`], and is tried again by
//! archive. The database refuses everything after a failed write (a full disk); it is then opened
//! anew by whoever calls next, so that it goes on as soon as there is room.

mod apply;
mod bounds;
mod hot;
mod layout;
mod read;
mod registers;
#[doc(hidden)]
pub mod rows;
mod store;
#[cfg(test)]
mod tests;
mod value;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::SendKey;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{
    ChatRow, Commit, Entry, MessageRow, Refused, Sent, Span, Stored, Timeline, Unavailable, Write,
};

use apply::Applier;
use bounds::Cuts;
use store::{Fault, Store};

/// What the store may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of blocks held in memory for reads.
    pub cache_bytes: u64,
    /// Bytes of chat rows held in memory for writes.
    pub hot_bytes: usize,
    /// Bytes of a memtable, as of the day when the folder was made; up to three wait to be flushed
    /// before writers wait.
    pub memtable_bytes: u64,
    /// Bytes of journals on disk, at least 64 MiB.
    pub journal_bytes: u64,
    /// Threads that flush and compact, at least 1.
    pub worker_threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            cache_bytes: 64 * MIB,
            hot_bytes: 16 << 20,
            memtable_bytes: 32 * MIB,
            journal_bytes: 256 * MIB,
            worker_threads: 2,
        }
    }
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open, or this one.
    #[error("the timeline is open elsewhere")]
    Locked,
    /// The folder cannot be read or written.
    #[error("the timeline's folder: {0}")]
    Io(#[from] io::Error),
    /// What is there cannot be trusted.
    #[error("the timeline cannot be read: {0}")]
    Unreadable(String),
}

/// A record that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it stands.
    pub offset: Offset,
    /// Why.
    pub reason: String,
    /// As it was read.
    pub bytes: Bytes,
}

/// See the module. Clones share one store; dropping the last one makes it durable and closes it.
#[derive(Clone)]
pub struct EmbeddedTimeline(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    options: Options,
    cuts: Arc<Cuts>,
    /// Locked before `state`, never after it.
    applier: Mutex<Applier>,
    state: RwLock<State>,
}

enum State {
    Open(Store),
    /// The database refused a write and must be opened anew; how often it was opened before.
    Broken(u64),
    Closed,
}

impl EmbeddedTimeline {
    /// Opens or makes the store in `dir`. Blocks while a journal is read back.
    ///
    /// # Errors
    /// [`OpenError`], as it says.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let cuts = Arc::new(Cuts::default());
        let store = Store::open(dir, &options, &cuts, 1)?;
        let applier = Mutex::new(Applier::new(options.hot_bytes, 1));
        let state = RwLock::new(State::Open(store));
        Ok(Self(Arc::new(Shared { dir: dir.to_owned(), options, cuts, applier, state })))
    }

    /// Makes everything durable and lets go of the folder; every later call is [`Unavailable`].
    ///
    /// # Errors
    /// [`Unavailable`] if it could not be made durable; it is closed all the same.
    pub fn close(&self) -> Result<(), Unavailable> {
        match std::mem::replace(&mut *self.0.state.write(), State::Closed) {
            State::Open(store) => store.sync().map_err(|fault| unavailable(&fault)),
            State::Broken(_) | State::Closed => Ok(()),
        }
    }

    /// Records that were set aside in a partition, by offset, at most `limit`.
    ///
    /// # Errors
    /// [`Unavailable`] as everywhere.
    pub fn set_aside(&self, partition: Partition, limit: usize) -> Result<Vec<Aside>, Unavailable> {
        self.read(|store| read::asides(store.rows(), partition, limit))
    }

    /// Bytes of tables and journals on disk (a journal counts with the 64 MiB that it reserves).
    ///
    /// # Errors
    /// [`Unavailable`] as everywhere.
    pub fn disk_bytes(&self) -> Result<u64, Unavailable> {
        self.read(Store::disk_bytes)
    }

    fn read<T>(&self, read: impl FnOnce(&Store) -> Result<T, Fault>) -> Result<T, Unavailable> {
        self.0.with_store(read).map_err(|fault| unavailable(&fault))
    }

    fn write(&self, write: impl FnOnce(&mut Applier, &Store) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut applier = self.0.applier.lock();
        let done = self.0.with_store(|store| write(&mut applier, store));
        if let Err(Fault::Engine(_)) = done {
            self.0.break_down();
        }
        done
    }
}

fn unavailable(fault: &Fault) -> Unavailable {
    Unavailable(fault.to_string())
}

fn refused(fault: &Fault) -> Refused {
    match fault {
        Fault::Corrupt(_) => Refused::Unfit(fault.to_string()),
        Fault::Engine(_) | Fault::Closed | Fault::NotOpen(_) => Refused::Unavailable(unavailable(fault)),
    }
}

impl Shared {
    fn with_store<T>(&self, ask: impl FnOnce(&Store) -> Result<T, Fault>) -> Result<T, Fault> {
        let state = self.state.read();
        if let State::Open(store) = &*state {
            return ask(store);
        }
        drop(state);
        match &*self.opened_anew()? {
            State::Open(store) => ask(store),
            State::Broken(_) | State::Closed => Err(Fault::Closed),
        }
    }

    fn opened_anew(&self) -> Result<RwLockReadGuard<'_, State>, Fault> {
        let state = self.state.upgradable_read();
        let State::Broken(openings) = *state else { return Ok(RwLockUpgradableReadGuard::downgrade(state)) };
        let mut state = RwLockUpgradableReadGuard::upgrade(state);
        let store = Store::open(&self.dir, &self.options, &self.cuts, openings + 1).map_err(Fault::NotOpen)?;
        tracing::warn!(dir = %self.dir.display(), "the timeline was opened anew after a failed write");
        *state = State::Open(store);
        Ok(parking_lot::RwLockWriteGuard::downgrade(state))
    }

    /// Lets go of a database that refused a write; whoever calls next opens it anew.
    fn break_down(&self) {
        let mut state = self.state.write();
        if let State::Open(store) = &*state {
            *state = State::Broken(store.opening);
        }
    }
}

#[async_trait]
impl Timeline for EmbeddedTimeline {
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused> {
        self.write(|applier, store| applier.apply(store, partition, writes, commit)).map_err(|fault| refused(&fault))
    }

    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable> {
        self.read(|store| read::commit(store.rows(), partition))
    }

    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused> {
        self.0.with_store(|store| read::sent(store.rows(), key)).map_err(|fault| refused(&fault))
    }

    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable> {
        self.read(|store| read::messages(store.rows(), chat, span, limit))
    }

    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable> {
        self.read(|store| read::message(store.rows(), chat, id))
    }

    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable> {
        self.read(|store| read::chat(store.rows(), user, chat))
    }

    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable> {
        self.read(|store| read::chats(store.rows(), user))
    }

    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable> {
        self.read(|store| read::index(store.rows(), recipient, partition, (from, to), limit))
    }

    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable> {
        self.read(|store| Ok(read::bounds(store.rows(), partition)?.map(bounds::Bounds::start)))
    }

    async fn expire_index(&self, partition: Partition, before: Timestamp) -> Result<(), Unavailable> {
        self.read(Store::sync)?;
        let expired = self.write(|applier, store| applier.expire(store, &self.0.cuts, partition, before));
        expired.map_err(|fault| unavailable(&fault))
    }
}
