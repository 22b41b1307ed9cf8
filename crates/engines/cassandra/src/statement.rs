//! The statements, each prepared once and sent to a node that has the row, and how they are asked.
//!
//! All may be repeated without harm, and the driver is told so. `USING TIMESTAMP 1` stands wherever
//! the bytes decide. What is not named in an update stays as it is: values that are not there are
//! left unset, never null.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{
    DbError, DeserializationError, ExecutionError, IntoRowsResultError, NextRowError, PagerExecutionError,
    PrepareError, RequestAttemptError, RowsError, TypeCheckError,
};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use volery_kernel::chat::ChatId;
use volery_kernel::event::Seen;
use volery_kernel::id::UserId;
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Refused, Unavailable};

use crate::cell::{self, Corrupt};
use crate::layout::{signed, time_of, time_of_day, window_of};
use crate::plan::{Mark, Row, View};

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
    put_message: PreparedStatement,
    put_change: PreparedStatement,
    put_sent: PreparedStatement,
    put_index: PreparedStatement,
    put_view: PreparedStatement,
    put_aside: PreparedStatement,
    put_window: PreparedStatement,
    put_day: PreparedStatement,
    put_commit: PreparedStatement,
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
    session: Session,
    pub(crate) statements: Statements,
    in_flight: usize,
    written: AtomicU64,
    chat_rows: AtomicU64,
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

    /// Writes rows in any order, at most so many at once, and fails with the first that fails.
    pub(crate) async fn put_all(
        &self,
        partition: Partition,
        day: i32,
        rows: impl Iterator<Item = Row> + Send,
    ) -> Result<(), Fault> {
        let puts = stream::iter(rows).map(|row| self.put(partition, day, row));
        puts.buffer_unordered(self.in_flight).try_collect().await
    }

    /// Writes one row of an apply of this partition and day.
    pub(crate) async fn put(&self, partition: Partition, day: i32, row: Row) -> Result<(), Fault> {
        let (to, part) = (&self.statements, i32::from(partition.0));
        match row {
            Row::Message(chat, message) => {
                let (id, cell) = (message.id, cell::of_message(&message));
                let values = (time_of(id), cell, chat.to_key(), window_of(id), signed(id.get()));
                self.write(&to.put_message, values).await
            }
            Row::Change(chat, target, change) => {
                let (key, cell) = (cell::of_change_key(&change), cell::of_change(&change));
                let place = (chat.to_key(), window_of(target), signed(target.get()));
                let values = (time_of(change.id), key, cell, place.0, place.1, place.2);
                self.write(&to.put_change, values).await
            }
            Row::Sent(key, sent) => {
                let (first, source) = (cell::of_first(sent), cell::of_first_source(sent.source));
                let (device, session) = (signed(key.device.get()), signed(key.session.get()));
                self.write(&to.put_sent, (first, source, device, session, i64::from(key.number))).await
            }
            Row::Index(recipient, offset, entry) => {
                let place = (recipient.to_key(), part, day, signed(offset));
                let values = (time_of_day(day), cell::of_entry(&entry), place.0, place.1, place.2, place.3);
                self.write(&to.put_index, values).await
            }
            Row::View(user, chat, view) => self.put_view(user, chat, *view).await,
            Row::Aside(offset, reason, bytes) => self.write(&to.put_aside, (reason, bytes, part, signed(offset))).await,
            Row::Window(chat, window) => self.write(&to.put_window, (chat.to_key(), window)).await,
            Row::Day(first) => self.write(&to.put_day, (part, day, signed(first))).await,
            Row::Commit(commit) => {
                let place = cell::of_seen(Seen { source: commit.source, id: commit.id });
                self.write(&to.put_commit, (place, cell::of_number(commit.stamp.0), part)).await
            }
        }
    }

    async fn put_view(&self, user: UserId, chat: ChatId, view: View) -> Result<(), Fault> {
        let mark = |mark: Mark| set(mark.map(|(source, id)| cell::of_seen(Seen { source, id })));
        let late = view.late.into_iter().map(|(source, id)| (cell::of_number(source.0), cell::of_number(id.get())));
        let late: Vec<_> = late.collect();
        let values = (
            set(view.newest.map(|id| cell::of_number(id.get()))),
            set(view.incoming.map(|source| cell::of_number(source.0))),
            mark(view.delivered),
            mark(view.read),
            mark(view.peer_delivered),
            mark(view.peer_read),
            set((!late.is_empty()).then(|| late.into_iter().collect::<std::collections::BTreeMap<_, _>>())),
            signed(user.get()),
            chat.to_key(),
        );
        self.chat_rows.fetch_add(1, Ordering::Relaxed);
        self.write(&self.statements.put_view, values).await
    }

    async fn write(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<(), Fault> {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.session.execute_unpaged(statement, values).await?;
        Ok(())
    }
}

fn set<T>(value: Option<T>) -> MaybeUnset<T> {
    value.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}
