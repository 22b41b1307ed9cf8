//! The open database: one keyspace, its options, and what a crash may have left of its journal.
//!
//! Commits are not synced. The database syncs its journal before it flushes a memtable, and a
//! memtable holds whole batches, so what survives is always a prefix of the applies.
//!
//! The trap: after a power cut the unsynced end of the newest journal may hold sectors in any order.
//! A tear that looks like an end is cut by the database itself; one inside a batch makes it refuse to
//! open. Then the newest journal is set aside as a whole: what remains is an older prefix, and
//! archive replays the rest from the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::bounds::{Cuts, Forgetting};
use super::value::Corrupt;
use super::{OpenError, Options, layout, value};

const KEYSPACE: &str = "timeline";
const MIB: u64 = 1 << 20;
/// Smallest bound of the journals that the database accepts.
const JOURNAL_LEAST: u64 = 64 * MIB;
/// Memtables that wait to be flushed; at 4 the database itself waits.
const UNFLUSHED_MOST: usize = 3;
/// Tables that wait to be compacted; at 30 the database itself waits.
const UNCOMPACTED_MOST: usize = 24;
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Table files that are held open.
const OPEN_FILES: usize = 256;

/// Why a call did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Engine(#[from] fjall::Error),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    #[error("it was closed")]
    Closed,
    #[error("it cannot be opened: {0}")]
    NotOpen(OpenError),
}

/// See the module.
pub(super) struct Store {
    db: Database,
    rows: Keyspace,
    /// Tells one opening from the next: what was remembered of an earlier one is void.
    pub(super) opening: u64,
}

impl Store {
    pub(super) fn open(dir: &Path, options: &Options, cuts: &Arc<Cuts>, opening: u64) -> Result<Self, OpenError> {
        let db = open_repaired(dir, options, cuts)?;
        let rows = db.keyspace(KEYSPACE, || keyspace_options(options));
        let store = Self { rows: rows.map_err(engine)?, db, opening };
        store.tell_cuts(cuts).map_err(|fault| OpenError::Unreadable(fault.to_string()))?;
        Ok(store)
    }

    /// What was found on disk at opening is durable for the filter's purposes once it is synced.
    fn tell_cuts(&self, cuts: &Cuts) -> Result<(), Fault> {
        self.sync()?;
        let (from, to) = (layout::all_bounds(), layout::all_bounds().after());
        for row in self.rows.range(from.as_slice()..to.as_slice()) {
            let (key, bounds) = row.into_inner()?;
            let partition = value::Reader::key(&key).array().map(u16::from_be_bytes)?;
            cuts.tell(volery_kernel::slot::Partition(partition), value::decode_bounds(&bounds)?.cut);
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> &Keyspace {
        &self.rows
    }

    /// A batch to commit, once there is room for it.
    ///
    /// The database would wait inside of a commit, and for ever if its workers have died of a full disk
    /// meanwhile. Here it is asked between two looks whether they have.
    pub(super) fn batch(&self) -> Result<fjall::OwnedWriteBatch, Fault> {
        while self.rows.sealed_memtable_count() >= UNFLUSHED_MOST || self.rows.l0_table_count() >= UNCOMPACTED_MOST {
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(self.db.batch())
    }

    /// Makes everything that was committed durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// Bytes of tables and journals on disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, Fault> {
        Ok(self.db.disk_space()?)
    }
}

/// Point reads are of rows that are there (chat rows, retried sends): no filters in the last level.
fn keyspace_options(options: &Options) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes).expect_point_read_hits(true)
}

fn open_repaired(dir: &Path, options: &Options, cuts: &Arc<Cuts>) -> Result<Database, OpenError> {
    loop {
        let filter = Arc::new(Forgetting(Arc::clone(cuts)));
        let builder = Database::builder(dir)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes.max(JOURNAL_LEAST))
            .max_cached_files(Some(OPEN_FILES))
            .worker_threads(options.worker_threads.max(1))
            .with_compaction_filter_factories(Arc::new(move |_| Some(filter.clone())));
        match builder.open() {
            Err(fjall::Error::JournalRecovery(what)) => set_newest_journal_aside(dir, &format!("{what:?}"))?,
            other => return other.map_err(engine),
        }
    }
}

fn engine(error: fjall::Error) -> OpenError {
    match error {
        fjall::Error::Locked => OpenError::Locked,
        fjall::Error::Io(error) => OpenError::Io(error),
        other => OpenError::Unreadable(other.to_string()),
    }
}

/// Each call leaves one journal less, so that opening ends.
fn set_newest_journal_aside(dir: &Path, what: &str) -> Result<(), OpenError> {
    let newest = newest_journal(dir)?.ok_or_else(|| OpenError::Unreadable(what.to_owned()))?;
    let aside = newest.with_extension("jnl-damaged");
    tracing::error!(
        journal = %newest.display(), what,
        "the newest journal of the timeline is damaged; it is set aside, archive replays it from the log"
    );
    fs::rename(&newest, &aside)?;
    fs::File::open(dir)?.sync_all()?;
    Ok(())
}

fn newest_journal(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let (true, Some(number)) = (is_journal, number) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}
