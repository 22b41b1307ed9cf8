//! Where a device's state is kept between runs.

mod file;
mod folder;

use std::io;

use crate::state::{Change, State};
pub use file::FileStore;
pub use folder::{Folder, state_home};

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses it.
    #[error("another program uses this account's folder on this machine")]
    InUse,
    /// What is there was not written by a client, or was damaged since.
    #[error("{file}, line {line}: {detail}")]
    Damaged {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        detail: String,
    },
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Keeps a [`State`].
pub trait Store: Send {
    /// What was kept; asked once, before the first change.
    fn state(&self) -> State;

    /// Keeps changes, in order. When it returns, those that must be durable are.
    ///
    /// # Errors
    /// [`StoreError`]; the client must not go on, because what follows relies on the change.
    fn keep(&mut self, changes: Vec<Change>) -> Result<(), StoreError>;
}

/// Keeps the state for as long as the process lives: tests and load generators.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(State);

impl Store for MemoryStore {
    fn state(&self) -> State {
        self.0.clone()
    }

    fn keep(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        changes.into_iter().for_each(|change| self.0.apply(change));
        Ok(())
    }
}
