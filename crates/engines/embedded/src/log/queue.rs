//! What waits for the writer's thread, bounded in bytes: appends beyond the bound wait for room.
//!
//! Each append takes its bytes from a semaphore before it enters and the thread puts them back when
//! it has answered. The thread takes everything there is at once: while one sync runs, the next
//! group gathers. What nobody waits for wakes nobody: it goes with the next that somebody waits for, or when its own
//! patience is over ([`Queue::hurry`]).

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot};
use volery_ports::log::{AppendError, Appended};

use super::writer::Batch;

/// How an append is answered.
pub(crate) type Reply = oneshot::Sender<Result<Vec<Appended>, AppendError>>;
/// Where it is heard.
pub(crate) type Answer = oneshot::Receiver<Result<Vec<Appended>, AppendError>>;

/// One append that waits.
pub(crate) struct Waiting {
    pub(crate) batch: Batch,
    pub(crate) bytes: u32,
    /// Somebody waits for it.
    pub(crate) urgent: bool,
    pub(crate) reply: Reply,
}

/// Between all who append and the one thread that writes.
pub(crate) struct Queue {
    room: Semaphore,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Something that waits is not to wait any longer.
    urgent: bool,
    closed: bool,
    /// The thread sleeps: without this, each append would cost a system call.
    idle: bool,
}

/// What the thread finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is work.
    Work,
    /// Nothing for a while.
    Idle,
    /// Nothing, and there will be nothing more.
    Closed,
}

impl Queue {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { room: Semaphore::new(capacity as usize), state: Mutex::default(), work: Condvar::new() }
    }

    /// Waits for room and enters. Dropped while it waits, it has not entered; later, it has.
    pub(crate) async fn enter(&self, waiting: Waiting) -> Result<(), AppendError> {
        let closed = || AppendError::Unavailable("the log is closed".to_owned());
        let room = self.room.acquire_many(waiting.bytes).await.map_err(|_| closed())?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(closed());
        }
        room.forget();
        let urgent = waiting.urgent;
        state.waiting.push(waiting);
        if urgent {
            self.wake(state);
        }
        Ok(())
    }

    /// What waits is to wait no longer.
    pub(crate) fn hurry(&self) {
        self.wake(self.state.lock());
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.urgent = !state.waiting.is_empty();
        if state.urgent && std::mem::take(&mut state.idle) {
            drop(state);
            self.work.notify_one();
        }
    }

    /// Moves what waits into `taken`, which is empty; sleeps up to `patience` if nothing is urgent.
    pub(crate) fn take(&self, taken: &mut Vec<Waiting>, patience: Duration) -> Turn {
        let mut state = self.state.lock();
        if !state.urgent && !state.closed {
            state.idle = true;
            self.work.wait_for(&mut state, patience);
            state.idle = false;
        }
        state.urgent = false;
        std::mem::swap(&mut state.waiting, taken);
        match (taken.is_empty(), state.closed) {
            (false, _) => Turn::Work,
            (true, true) => Turn::Closed,
            (true, false) => Turn::Idle,
        }
    }

    /// Bytes of the room that is left.
    pub(crate) fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Gives room back.
    pub(crate) fn leave(&self, bytes: usize) {
        self.room.add_permits(bytes);
    }

    /// Takes nothing more. What has entered is still written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.room.close();
        self.work.notify_one();
    }
}
