//! The account store and the cluster store on SQL: SQLite beside one process, PostgreSQL below many. One
//! database is both.
//!
//! | file | owns |
//! |---|---|
//! | `store/` | every statement, written once with `$1` placeholders |
//! | `sqlite`, `postgres` | how a database is opened, and the little that is its own |
//! | `column`, `map_row` | how values stand in columns |
//! | `migrations/` | the tables, a folder for each database |
//!
//! Trap avoided: what is read in a transaction before it is written has to be nobody else's until the end.
//! SQLite has one writer; PostgreSQL has many, and `alone` is where they wait for each other.

mod column;
#[doc(hidden)]
pub mod map_row;
mod postgres;
mod sqlite;

pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

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
