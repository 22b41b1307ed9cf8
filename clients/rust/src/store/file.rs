//! The state in one file: a snapshot, then a line per change. A crash may tear the last line, which
//! was then never relied upon; damage anywhere else is reported, because a forgotten send key would
//! be used twice.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::private;
use super::{Folder, Store, StoreError};
use crate::intent::Local;
use crate::state::{Change, State};

const NAME: &str = "state.jsonl";
/// Bytes of changes after which a new snapshot is made.
const COMPACT_AFTER: usize = 262_144;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Snapshot(State),
    Change(Change),
}

/// See the module.
#[derive(Debug)]
pub struct FileStore {
    folder: Arc<Folder>,
    state: State,
    journal: File,
    written: usize,
}

impl FileStore {
    /// Reads what is there, and begins a new file with it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or what the file system says.
    pub fn open(folder: Arc<Folder>) -> Result<Self, StoreError> {
        let state = match std::fs::read(folder.file(NAME)) {
            Ok(bytes) => Self::decode(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error.into()),
        };
        let journal = begin(&folder, &state)?;
        Ok(Self { folder, state, journal, written: 0 })
    }

    /// The state that a file's bytes say.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: what is not written so by a client, up to the last whole line.
    pub fn decode(bytes: &[u8]) -> Result<State, StoreError> {
        let mut state = State::default();
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for (n, line) in bytes[..whole].split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let damaged = |detail: String| StoreError::Damaged { file: NAME.to_owned(), line: n + 1, detail };
            match serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))? {
                Entry::Snapshot(snapshot) => state = snapshot,
                Entry::Change(change) => state.apply(change),
            }
            if !is_numbered(&state) {
                return Err(damaged("an intent's number is not its own".to_owned()));
            }
        }
        Ok(state)
    }

    /// The bytes of a file that says this state and nothing else.
    ///
    /// # Errors
    /// None in practice: a state is plain values.
    pub fn encode(state: &State) -> Result<Vec<u8>, StoreError> {
        let mut snapshot = Vec::new();
        line(&Entry::Snapshot(state.clone()), &mut snapshot)?;
        Ok(snapshot)
    }

    /// Forgets everything: the device is logged out.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(folder: &Folder) -> Result<(), StoreError> {
        Ok(folder.remove(NAME)?)
    }
}

impl Store for FileStore {
    fn state(&self) -> State {
        self.state.clone()
    }

    fn keep(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let must_sync = changes.iter().any(Change::must_sync);
        let mut lines = Vec::new();
        for change in changes {
            self.state.apply(change.clone());
            line(&Entry::Change(change), &mut lines)?;
        }
        self.journal.write_all(&lines)?;
        if must_sync {
            self.journal.sync_data()?;
        }
        self.written += lines.len();
        if self.written > COMPACT_AFTER {
            self.journal = begin(&self.folder, &self.state)?;
            self.written = 0;
        }
        Ok(())
    }
}

/// A new file that holds the state; further changes are appended to it.
fn begin(folder: &Folder, state: &State) -> Result<File, StoreError> {
    folder.replace(NAME, &FileStore::encode(state)?)?;
    Ok(private().append(true).open(folder.file(NAME))?)
}

/// Each intent stands under its own number, and another one comes after each: two that answer to one
/// number would be retried for ever.
fn is_numbered(state: &State) -> bool {
    let is_last = state.outbox.last_key_value().is_some_and(|(local, _)| *local == Local::MAX);
    !is_last && state.outbox.iter().all(|(local, kept)| *local == kept.intent.local)
}

fn line(entry: &Entry, lines: &mut Vec<u8>) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *lines, entry).map_err(io::Error::from)?;
    lines.push(b'\n');
    Ok(())
}
