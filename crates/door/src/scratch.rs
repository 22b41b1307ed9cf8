//! Buffers of a thread, lent to whichever socket is at work.
//!
//! They are what a million idle sessions do not have. Each is taken out while it is used, so that
//! a use within a use gets one of its own; nothing is shared between threads.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// Bytes read from a socket at once.
pub(crate) const READ_BYTES: usize = 65_536;
/// Largest buffer for writing that a thread keeps.
const KEPT_BYTES: usize = 131_072;
/// Buffers for writing that a thread keeps: as many sockets are corked at once without allocating.
const KEPT: usize = 4;

thread_local! {
    static READING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SEALED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITING: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of the thread for reading, given back when dropped.
pub(crate) struct Reading {
    buffer: Vec<u8>,
    home: &'static LocalKey<Cell<Vec<u8>>>,
}

impl Reading {
    /// The one for what a socket's owner reads.
    pub(crate) fn take() -> Self {
        Self::of(&READING)
    }

    /// The one for what TLS opens, while the other is in use.
    pub(crate) fn sealed() -> Self {
        Self::of(&SEALED)
    }

    fn of(home: &'static LocalKey<Cell<Vec<u8>>>) -> Self {
        let mut buffer = home.take();
        buffer.resize(READ_BYTES, 0);
        Self { buffer, home }
    }
}

impl Deref for Reading {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.home.set(std::mem::take(&mut self.buffer));
    }
}

/// An empty buffer for writing.
pub(crate) fn take_writing() -> Vec<u8> {
    WRITING.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer for writing back, for the next socket of this thread.
pub(crate) fn give_writing(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES {
        return;
    }
    buffer.clear();
    WRITING.with_borrow_mut(|kept| {
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}
