//! The state in one file: a snapshot, then a line per change. A crash may tear the last line, which
//! was then never relied upon; damage anywhere else is reported, because a forgotten send key would
//! be used twice.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::private;
use super::{Folder, Store, StoreError};
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
            Ok(bytes) => read(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error.into()),
        };
        let journal = begin(&folder, &state)?;
        Ok(Self { folder, state, journal, written: 0 })
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
    let mut snapshot = Vec::new();
    line(&Entry::Snapshot(state.clone()), &mut snapshot)?;
    folder.replace(NAME, &snapshot)?;
    Ok(private().append(true).open(folder.file(NAME))?)
}

fn line(entry: &Entry, lines: &mut Vec<u8>) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *lines, entry).map_err(io::Error::from)?;
    lines.push(b'\n');
    Ok(())
}

fn read(bytes: &[u8]) -> Result<State, StoreError> {
    let mut state = State::default();
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    for (n, line) in bytes[..whole].split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let entry = serde_json::from_slice(line).map_err(|error| StoreError::Damaged {
            file: NAME.to_owned(),
            line: n + 1,
            detail: error.to_string(),
        })?;
        match entry {
            Entry::Snapshot(snapshot) => state = snapshot,
            Entry::Change(change) => state.apply(change),
        }
    }
    Ok(state)
}
