//! One database file in WAL mode: one connection writes, a few read.
//!
//! Traps avoided: two writers in one process would meet as "database is locked", so there is one
//! connection for writing and its pool is the queue; a transaction that read before it wrote could be
//! refused half-way, so each begins as a writer; WAL with `synchronous = NORMAL` loses answered
//! transactions when the power fails, so it is `FULL`.

#[expect(clippy::duplicate_mod, reason = "written once, compiled for each database")]
#[path = "store/mod.rs"]
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Sqlite, Transaction};
use volery_ports::sql::OutboxLead;

use crate::OpenError;

pub use store::Store as SqliteStore;

type Db = Sqlite;
type DbRow = SqliteRow;

/// How long a call waits for a connection before the store counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read: WAL lets them run beside the writer; each costs a thread and a page cache.
const READERS: u32 = 2;

const BEGIN: &str = "BEGIN IMMEDIATE";
const FIND: &str = "
    SELECT users.* FROM user_names JOIN users ON users.id = user_names.rowid
    WHERE user_names MATCH $1 ORDER BY user_names.rowid LIMIT $2";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteStore {
    /// Opens the database file, makes it if it is not there, and brings it to this version's shape.
    ///
    /// # Errors
    /// [`OpenError`] if the file cannot be used, is no database, or is of a later version.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone().create_if_missing(true))
            .await
            .map_err(OpenError)?;
        MIGRATIONS.run(&writer).await.map_err(|error| OpenError(error.into()))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers, seat: Arc::default() })
    }
}

/// One process has the file, so whoever leads is in it.
#[derive(Debug, Default)]
struct Seat {
    taken: Arc<AtomicBool>,
}

impl Seat {
    async fn take(&self) -> sqlx::Result<Option<Box<dyn OutboxLead>>> {
        let free = !self.taken.swap(true, Ordering::AcqRel);
        Ok(free.then(|| Box::new(Taken(Arc::clone(&self.taken))) as Box<dyn OutboxLead>))
    }
}

struct Taken(Arc<AtomicBool>);

#[async_trait]
impl OutboxLead for Taken {
    async fn holds(&mut self) -> bool {
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Who writes is alone in the whole file.
async fn alone(_: &mut Transaction<'static, Db>, _: i64) -> sqlx::Result<()> {
    Ok(())
}

/// A phrase in quotes matches a part of a name as it stands.
fn part_of_a_name(part: &str) -> String {
    format!("\"{}\"", part.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no test can show without cutting the power.
    #[tokio::test]
    async fn transactions_are_synced() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("accounts.sqlite")).await.expect("opens");
        let full: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&store.writer).await.expect("answers");
        assert_eq!(full, 2);
    }
}
