//! The account store on SQLite.
//!
//! Owns one database file in WAL mode: one connection writes, a few read. Statements are written with
//! `$1` placeholders and little of SQLite's own, so that PostgreSQL can stand beside it with its own
//! migrations; what is SQLite's own (the trigram index) is in `people.rs` alone.
//!
//! Traps avoided: two writers in one process would meet as "database is locked", so there is one
//! connection for writing and its pool is the queue; a transaction that read before it wrote could be
//! refused half-way, so each begins as a writer; WAL with `synchronous = NORMAL` loses answered
//! transactions when the power fails, so it is `FULL`.

mod devices;
mod keys;
mod outbox;
mod people;
mod reservations;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Sqlite, SqlitePool, Transaction};
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{
    AccountStore, Created, Credentials, Device, NewEntry, NewToken, OutboxEntry, Reservation, Rotation, SigningKey,
    TokenHash, Unavailable, User,
};

/// How long a call waits for a connection before the store counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read: WAL lets them run beside the writer; each costs a thread and a page cache.
const READERS: u32 = 2;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Why a store could not be opened.
#[derive(Debug)]
pub struct OpenError(sqlx::Error);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the account store cannot be opened: {}", self.0)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// See the module. Shared as it is; cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

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
        Ok(Self { writer, readers })
    }

    /// Closes all connections once their calls are done; later calls are [`Unavailable`].
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Whatever SQL says, callers can only try later; the log has the details.
#[expect(clippy::needless_pass_by_value, reason = "stands in `map_err`")]
fn away(error: sqlx::Error) -> Unavailable {
    tracing::warn!(%error, "the account store did not answer");
    Unavailable(error.to_string())
}

/// A number below 2^63 as SQL holds it.
fn int(number: u64) -> i64 {
    number.cast_signed()
}

/// A time as SQL holds it.
fn millis(time: Timestamp) -> i64 {
    int(time.0)
}

/// A time as it was written.
fn time(column: i64) -> Timestamp {
    Timestamp(column.cast_unsigned())
}

/// An id as it was written; a negative number can only be damage, and names nobody.
fn id(column: i64) -> sqlx::Result<Id> {
    Id::new(column.cast_unsigned()).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[async_trait]
impl AccountStore for SqliteStore {
    async fn create_users(&self, users: Vec<Credentials>) -> Result<Vec<Created>, Unavailable> {
        people::create(self, &users).await.map_err(away)
    }

    async fn credentials(&self, user_name: &str) -> Result<Option<Credentials>, Unavailable> {
        people::credentials(&self.readers, user_name).await.map_err(away)
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable> {
        people::by_id(&self.readers, ids).await.map_err(away)
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Unavailable> {
        people::find(&self.readers, part, limit).await.map_err(away)
    }

    async fn log_in(&self, device: Device, token: NewToken) -> Result<(), Unavailable> {
        devices::log_in(self, &device, token).await.map_err(away)
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>, Unavailable> {
        devices::one(&self.readers, id).await.map_err(away)
    }

    async fn devices(&self, user: UserId, limit: usize) -> Result<Vec<Device>, Unavailable> {
        devices::of(&self.readers, user, limit).await.map_err(away)
    }

    async fn rotate(
        &self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Result<Rotation, Unavailable> {
        devices::rotate(self, token, next, now, told).await.map_err(away)
    }

    async fn revoke(
        &self,
        user: UserId,
        device: DeviceId,
        now: Timestamp,
        told: NewEntry,
    ) -> Result<Option<u64>, Unavailable> {
        devices::revoke(self, user, device, now, &told).await.map_err(away)
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        devices::revoked_after(&self.readers, after, limit).await.map_err(away)
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        devices::newest_revocation(&self.readers).await.map_err(away)
    }

    async fn outbox_take(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, Unavailable> {
        outbox::take(&self.readers, after, limit).await.map_err(away)
    }

    async fn outbox_done(&self, numbers: &[u64]) -> Result<(), Unavailable> {
        outbox::done(self, numbers).await.map_err(away)
    }

    async fn reserve(
        &self,
        number: u16,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Unavailable> {
        reservations::reserve(self, number, holder, until, now).await.map_err(away)
    }

    async fn signing_keys(&self, first: SigningKey) -> Result<Vec<SigningKey>, Unavailable> {
        keys::all(self, &first).await.map_err(away)
    }
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
