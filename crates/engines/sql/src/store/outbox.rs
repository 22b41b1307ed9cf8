//! Events that wait for the log. Written only inside the transaction of what they tell.

use sqlx::{Pool, Row as _, Transaction};
use volery_kernel::chat::Recipient;
use volery_kernel::id::{GroupId, UserId};
use volery_ports::sql::{NewEntry, OutboxEntry};

use super::{Db, DbRow, Store, alone};
use crate::column::{id, int};

/// The lock of all who write entries.
const ORDER: i64 = 0x6f75_7462_6f78;

/// Comes before [`put`], and before anything is read that it depends on. One transaction at a time writes
/// entries, so they become visible in the order of their numbers: who reads on from the last misses none.
pub(crate) async fn open(transaction: &mut Transaction<'static, Db>) -> sqlx::Result<()> {
    alone(transaction, ORDER).await
}

pub(crate) async fn put(transaction: &mut Transaction<'static, Db>, entry: &NewEntry) -> sqlx::Result<u64> {
    let number: i64 =
        sqlx::query_scalar("INSERT INTO outbox (stream_kind, stream_id, event) VALUES ($1, $2, $3) RETURNING number")
            .bind(i64::from(entry.stream.kind()))
            .bind(int(entry.stream.id().get()))
            .bind(entry.event.as_slice())
            .fetch_one(&mut **transaction)
            .await?;
    Ok(number.cast_unsigned())
}

pub(crate) async fn take(readers: &Pool<Db>, after: u64, limit: usize) -> sqlx::Result<Vec<OutboxEntry>> {
    let rows = sqlx::query("SELECT * FROM outbox WHERE number > $1 ORDER BY number LIMIT $2")
        .bind(int(after))
        .bind(int(limit as u64))
        .fetch_all(readers)
        .await?;
    rows.iter().map(entry).collect()
}

pub(crate) async fn done(store: &Store, numbers: &[u64]) -> sqlx::Result<()> {
    let mut transaction = store.begin().await?;
    for &number in numbers {
        sqlx::query("DELETE FROM outbox WHERE number = $1").bind(int(number)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn entry(row: &DbRow) -> sqlx::Result<OutboxEntry> {
    let whose = id(row.try_get("stream_id")?)?;
    let stream = match row.try_get::<i64, _>("stream_kind")? {
        1 => Recipient::User(UserId(whose)),
        2 => Recipient::Group(GroupId(whose)),
        kind => return Err(sqlx::Error::Decode(format!("outbox: no recipient is of kind {kind}").into())),
    };
    let number = row.try_get::<i64, _>("number")?.cast_unsigned();
    Ok(OutboxEntry { number, entry: NewEntry { stream, event: row.try_get("event")? } })
}
