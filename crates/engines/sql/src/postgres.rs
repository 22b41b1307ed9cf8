//! A PostgreSQL database, shared by every node that needs accounts.
//!
//! Trap avoided: with many writers a number may be taken before and become visible after a larger one.
//! Advisory locks, held until the transaction ends, put in order what has to be.

#[expect(clippy::duplicate_mod, reason = "written once, compiled for each database")]
#[path = "store/mod.rs"]
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres, Transaction};
use tokio::sync::Mutex;
use volery_ports::sql::OutboxLead;

use crate::OpenError;

pub use store::Store as PostgresStore;

type Db = Postgres;
type DbRow = PgRow;

/// How long a call waits for a connection before the store counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// The lock of whoever relays the outbox.
const LEAD: i64 = 0x006c_6561_6421;
/// Connections of one process: log-ins are bounded by their passwords' hashing long before.
const CONNECTIONS: u32 = 16;

const BEGIN: &str = "BEGIN";
const FIND: &str = "
    SELECT users.* FROM user_names JOIN users ON users.id = user_names.rowid
    WHERE user_names.user_name LIKE $1 OR user_names.display_name LIKE $1 ORDER BY user_names.rowid LIMIT $2";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

impl PostgresStore {
    /// Connects to `postgres://user[:password]@host[:port]/database`, and brings the database to this version's
    /// shape. Nodes that start at once wait for each other.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot be reached, refuses, or is of a later version.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = url.parse::<PgConnectOptions>().map_err(OpenError)?.disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await
            .map_err(OpenError)?;
        MIGRATIONS.run(&pool).await.map_err(|error| OpenError(error.into()))?;
        let seat = Arc::new(Seat { options, waiting: Mutex::default() });
        Ok(Self { writer: pool.clone(), readers: pool, seat })
    }
}

/// The lead is an advisory lock of a connection's own: it ends with the connection, however that ends.
#[derive(Debug)]
struct Seat {
    options: PgConnectOptions,
    /// Kept between two tries while somebody else leads.
    waiting: Mutex<Option<PgConnection>>,
}

impl Seat {
    async fn take(&self) -> sqlx::Result<Option<Box<dyn OutboxLead>>> {
        let mut waiting = self.waiting.lock().await;
        let mut connection = match waiting.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LEAD);
        if lock.fetch_one(&mut connection).await? {
            return Ok(Some(Box::new(Taken(connection))));
        }
        *waiting = Some(connection);
        Ok(None)
    }
}

struct Taken(PgConnection);

#[async_trait]
impl OutboxLead for Taken {
    async fn holds(&mut self) -> bool {
        let answered = tokio::time::timeout(store::ANSWERS_WITHIN, self.0.ping()).await;
        matches!(answered, Ok(Ok(())))
    }
}

async fn alone(transaction: &mut Transaction<'static, Db>, lock: i64) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock).execute(&mut **transaction).await?;
    Ok(())
}

/// A pattern that matches whatever surrounds the part.
fn part_of_a_name(part: &str) -> String {
    let plain = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{plain}%")
}
