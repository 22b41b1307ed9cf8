//! The statements, each prepared once and sent to a node that has the row, and how they are asked.
//!
//! All may be repeated without harm, and the driver is told so. `USING TIMESTAMP 1` stands wherever
//! the bytes decide. What is not named in an update stays as it is: values that are not there are
//! left unset, never null.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt;
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{
    DbError, DeserializationError, ExecutionError, IntoRowsResultError, NextRowError, PagerExecutionError,
    PrepareError, RequestAttemptError, RowsError, TypeCheckError,
};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use volery_ports::timeline::{Refused, Unavailable};

use crate::cell::Corrupt;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Cassandra did not do what it was asked: {0}")]
    Execution(#[from] ExecutionError),
    #[error("Cassandra did not do what it was asked: {0}")]
    Paged(#[from] PagerExecutionError),
    #[error("Cassandra broke off: {0}")]
    NextRow(#[from] NextRowError),
    #[error("Cassandra answered without rows: {0}")]
    NoRows(#[from] IntoRowsResultError),
    #[error("Cassandra's columns are not of this schema: {0}")]
    Columns(#[from] RowsError),
    #[error("Cassandra's columns are not of this schema: {0}")]
    Types(#[from] TypeCheckError),
    #[error("Cassandra's values are not of this schema: {0}")]
    Value(#[from] DeserializationError),
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl Fault {
    /// Whether no patience heals it: a cell that cannot be read, a value that cannot be written. Columns that are not
    /// of this schema are an operator's to mend, and then everything is there again.
    const fn is_final(&self) -> bool {
        use ExecutionError::{BadQuery, LastAttemptError};
        use RequestAttemptError::{CqlRequestSerialization, DbError as Db, SerializationError};
        matches!(
            self,
            Self::Corrupt(_)
                | Self::Execution(
                    BadQuery(_)
                        | LastAttemptError(
                            SerializationError(_) | CqlRequestSerialization(_) | Db(DbError::Invalid, _)
                        )
                )
        )
    }
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        if fault.is_final() { Self::Unfit(fault.to_string()) } else { Self::Unavailable(fault.into()) }
    }
}

/// Statements that were sent since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of applies.
    pub written: u64,
    /// Those of them that write a chat row, for all that the apply does to it.
    pub chat_rows: u64,
    /// Of reads; a page of rows counts as one.
    pub read: u64,
}

/// See the module.
pub(crate) struct Statements {
    pub(crate) put_message: PreparedStatement,
    pub(crate) put_change: PreparedStatement,
    pub(crate) put_sent: PreparedStatement,
    pub(crate) put_index: PreparedStatement,
    pub(crate) put_view: PreparedStatement,
    pub(crate) put_aside: PreparedStatement,
    pub(crate) put_window: PreparedStatement,
    pub(crate) put_day: PreparedStatement,
    pub(crate) put_commit: PreparedStatement,
    pub(crate) message: PreparedStatement,
    pub(crate) before: PreparedStatement,
    pub(crate) after: PreparedStatement,
    pub(crate) windows: PreparedStatement,
    pub(crate) sent: PreparedStatement,
    pub(crate) view: PreparedStatement,
    pub(crate) views: PreparedStatement,
    pub(crate) index: PreparedStatement,
    pub(crate) days: PreparedStatement,
    pub(crate) commit: PreparedStatement,
    pub(crate) asides: PreparedStatement,
}

const VIEW: &str = "chat, newest, incoming, own_delivered, own_read, peer_delivered, peer_read, late";
const PAGE: &str = "SELECT id, message, changes FROM ks.messages WHERE chat = ? AND window = ? AND";

impl Statements {
    async fn prepare(session: &Session, keyspace: &str) -> Result<Self, PrepareError> {
        let prepare = async |text: &str| {
            let mut statement = session.prepare(text.replace("ks.", &format!("{keyspace}."))).await?;
            statement.set_is_idempotent(true);
            Ok::<_, PrepareError>(statement)
        };
        Ok(Self {
            put_message: prepare(
                "UPDATE ks.messages USING TIMESTAMP ? SET message = ? WHERE chat = ? AND window = ? AND id = ?",
            )
            .await?,
            put_change: prepare(
                "UPDATE ks.messages USING TIMESTAMP ? SET changes[?] = ? WHERE chat = ? AND window = ? AND id = ?",
            )
            .await?,
            put_sent: prepare(
                "UPDATE ks.sends USING TIMESTAMP 1 SET first = ?, source = ? \
                 WHERE device = ? AND session = ? AND number = ?",
            )
            .await?,
            put_index: prepare(
                "UPDATE ks.inbox USING TIMESTAMP ? SET entry = ? \
                 WHERE recipient = ? AND part = ? AND day = ? AND place = ?",
            )
            .await?,
            put_view: prepare(
                "UPDATE ks.chats USING TIMESTAMP 1 SET newest = ?, incoming = ?, own_delivered = ?, own_read = ?, \
                 peer_delivered = ?, peer_read = ?, late = late + ? WHERE user_id = ? AND chat = ?",
            )
            .await?,
            put_aside: prepare(
                "UPDATE ks.aside USING TIMESTAMP 1 SET reason = ?, record = ? WHERE part = ? AND place = ?",
            )
            .await?,
            put_window: prepare("INSERT INTO ks.windows (chat, window) VALUES (?, ?) USING TIMESTAMP 1").await?,
            put_day: prepare("INSERT INTO ks.inbox_days (part, day, first) VALUES (?, ?, ?) USING TIMESTAMP 1").await?,
            put_commit: prepare("UPDATE ks.commits USING TIMESTAMP 1 SET place = ?, stamp = ? WHERE part = ?").await?,
            message: prepare(&format!("{PAGE} id = ?")).await?,
            before: prepare(&format!("{PAGE} id < ? ORDER BY id DESC LIMIT ?")).await?,
            after: prepare(&format!("{PAGE} id > ? ORDER BY id ASC LIMIT ?")).await?,
            windows: prepare("SELECT window FROM ks.windows WHERE chat = ?").await?,
            sent: prepare("SELECT first, source FROM ks.sends WHERE device = ? AND session = ? AND number = ?").await?,
            view: prepare(&format!("SELECT {VIEW} FROM ks.chats WHERE user_id = ? AND chat = ?")).await?,
            views: prepare(&format!("SELECT {VIEW} FROM ks.chats WHERE user_id = ?")).await?,
            index: prepare(
                "SELECT place, entry FROM ks.inbox \
                 WHERE recipient = ? AND part = ? AND day = ? AND place >= ? AND place < ? LIMIT ?",
            )
            .await?,
            days: prepare("SELECT day, first FROM ks.inbox_days WHERE part = ?").await?,
            commit: prepare("SELECT place, stamp FROM ks.commits WHERE part = ?").await?,
            asides: prepare("SELECT place, reason, record FROM ks.aside WHERE part = ? LIMIT ?").await?,
        })
    }
}

/// A session with its statements.
pub(crate) struct Cluster {
    pub(crate) session: Session,
    pub(crate) statements: Statements,
    pub(crate) in_flight: usize,
    pub(crate) written: AtomicU64,
    pub(crate) chat_rows: AtomicU64,
    read: AtomicU64,
}

impl Cluster {
    pub(crate) async fn new(session: Session, keyspace: &str, in_flight: usize) -> Result<Self, PrepareError> {
        let statements = Statements::prepare(&session, keyspace).await?;
        Ok(Self {
            session,
            statements,
            in_flight: in_flight.max(1),
            written: AtomicU64::new(0),
            chat_rows: AtomicU64::new(0),
            read: AtomicU64::new(0),
        })
    }

    pub(crate) fn counts(&self) -> Counts {
        let [written, chat_rows, read] =
            [&self.written, &self.chat_rows, &self.read].map(|count| count.load(Ordering::Relaxed));
        Counts { written, chat_rows, read }
    }

    /// All rows of a select.
    pub(crate) async fn rows<R>(&self, statement: &PreparedStatement, key: impl SerializeRow) -> Result<Vec<R>, Fault>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        self.read.fetch_add(1, Ordering::Relaxed);
        let rows = self.session.execute_unpaged(statement, key).await?.into_rows_result()?;
        Ok(rows.rows::<R>()?.collect::<Result<_, _>>()?)
    }

    /// The same in pages of 5,000 rows, where there may be many.
    pub(crate) async fn many_rows<R>(
        &self,
        statement: &PreparedStatement,
        key: impl SerializeRow,
    ) -> Result<Vec<R>, Fault>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + 'static,
    {
        self.read.fetch_add(1, Ordering::Relaxed);
        let pages = self.session.execute_iter(statement.clone(), key).await?;
        Ok(pages.rows_stream::<R>()?.try_collect().await?)
    }
}
