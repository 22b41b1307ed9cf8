//! What config-nodes keep: facts and settings here, leases, maps and drains in `members`.
//!
//! Each compare-and-set is one statement that changes the row or does not, so nobody waits for a lock.
//! Rows are put in order here: databases order texts by rules of their own.

use async_trait::async_trait;
use sqlx::{Pool, Row as _};
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Change, Drain, Setting};
use volery_ports::cluster_store::{ClusterStore, DrainChange, Facts, Known, Lease, Set, Unavailable};

use super::{Db, DbRow, Store, answer, members};
use crate::column::{int, millis, small, time};

#[async_trait]
impl ClusterStore for Store {
    async fn known(&self) -> Result<Known, Unavailable> {
        answer(known(&self.readers)).await
    }

    async fn facts(&self, first: Facts) -> Result<Facts, Unavailable> {
        answer(facts(self, &first)).await
    }

    async fn log(&self, first: &str) -> Result<String, Unavailable> {
        answer(log(self, first)).await
    }

    async fn put_log(&self, log: &str) -> Result<(), Unavailable> {
        answer(put_log(&self.writer, log)).await
    }

    async fn hold(&self, kind: NodeKind, member: &Member, process: &str, now: Timestamp) -> Result<bool, Unavailable> {
        answer(members::hold(&self.writer, kind, member, process, now)).await
    }

    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable> {
        answer(members::leave(&self.writer, kind, name, process)).await
    }

    async fn end(&self, kind: NodeKind, lease: &Lease) -> Result<bool, Unavailable> {
        answer(members::end(&self.writer, kind, lease)).await
    }

    async fn leases(&self, kind: NodeKind) -> Result<Vec<Lease>, Unavailable> {
        answer(members::leases(&self.readers, kind)).await
    }

    async fn map(&self, kind: NodeKind, seen: u64) -> Result<Option<PartitionMap>, Unavailable> {
        answer(members::map(&self.readers, kind, seen)).await
    }

    async fn put_map(
        &self,
        kind: NodeKind,
        map: &PartitionMap,
        drain: Option<&DrainChange>,
    ) -> Result<bool, Unavailable> {
        answer(members::put_map(self, kind, map, drain)).await
    }

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        answer(members::drains(&self.readers, kind)).await
    }

    async fn settings(&self) -> Result<Vec<Setting>, Unavailable> {
        answer(settings(&self.readers)).await
    }

    async fn set(&self, change: &Change, now: Timestamp) -> Result<Set, Unavailable> {
        answer(set(self, change, now)).await
    }
}

async fn known(readers: &Pool<Db>) -> sqlx::Result<Known> {
    let mut transaction = readers.begin().await?;
    let row = sqlx::query("SELECT * FROM cluster_facts").fetch_optional(&mut *transaction).await?;
    let log = sqlx::query_scalar("SELECT name FROM cluster_log").fetch_optional(&mut *transaction).await?;
    Ok(Known { facts: row.as_ref().map(stored_facts).transpose()?, log })
}

async fn facts(store: &Store, first: &Facts) -> sqlx::Result<Facts> {
    let mut transaction = store.begin().await?;
    let insert =
        "INSERT INTO cluster_facts (one, partitions, hash, level) VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING";
    sqlx::query(insert)
        .bind(i64::from(first.partitions))
        .bind(&first.hash)
        .bind(i64::from(first.level))
        .execute(&mut *transaction)
        .await?;
    let row = sqlx::query("SELECT * FROM cluster_facts").fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    stored_facts(&row)
}

fn stored_facts(row: &DbRow) -> sqlx::Result<Facts> {
    Ok(Facts {
        partitions: small(row.try_get("partitions")?)?,
        hash: row.try_get("hash")?,
        level: small(row.try_get("level")?)?,
    })
}

async fn log(store: &Store, first: &str) -> sqlx::Result<String> {
    let mut transaction = store.begin().await?;
    sqlx::query("INSERT INTO cluster_log (one, name) VALUES (1, $1) ON CONFLICT DO NOTHING")
        .bind(first)
        .execute(&mut *transaction)
        .await?;
    let row = sqlx::query("SELECT name FROM cluster_log").fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    row.try_get("name")
}

async fn put_log(writer: &Pool<Db>, log: &str) -> sqlx::Result<()> {
    let put = "INSERT INTO cluster_log (one, name) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET name = excluded.name";
    sqlx::query(put).bind(log).execute(writer).await.map(drop)
}

async fn settings(readers: &Pool<Db>) -> sqlx::Result<Vec<Setting>> {
    let rows = sqlx::query("SELECT * FROM settings").fetch_all(readers).await?;
    let mut settings = rows.iter().map(setting).collect::<sqlx::Result<Vec<_>>>()?;
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(settings)
}

fn setting(row: &DbRow) -> sqlx::Result<Setting> {
    Ok(Setting {
        name: row.try_get("name")?,
        value: row.try_get("value")?,
        version: row.try_get::<i64, _>("version")?.cast_unsigned(),
        by: row.try_get("changed_by")?,
        at: time(row.try_get("changed_at")?),
    })
}

/// Whoever has seen version 0 has seen no row.
const FIRST: &str = "
    INSERT INTO settings (name, value, version, changed_by, changed_at) VALUES ($1, $2, $3 + 1, $4, $5)
    ON CONFLICT DO NOTHING RETURNING *";
const NEXT: &str = "
    UPDATE settings SET value = $2, version = version + 1, changed_by = $4, changed_at = $5
    WHERE name = $1 AND version = $3 RETURNING *";

async fn set(store: &Store, change: &Change, now: Timestamp) -> sqlx::Result<Set> {
    let mut transaction = store.begin().await?;
    let row = sqlx::query(if change.seen == 0 { FIRST } else { NEXT })
        .bind(&change.name)
        .bind(&change.value)
        .bind(int(change.seen))
        .bind(&change.by)
        .bind(millis(now))
        .fetch_optional(&mut *transaction)
        .await?;
    let outcome = match row {
        Some(row) => Set::Done(setting(&row)?),
        None => {
            let version: Option<i64> = sqlx::query_scalar("SELECT version FROM settings WHERE name = $1")
                .bind(&change.name)
                .fetch_optional(&mut *transaction)
                .await?;
            Set::Stale { version: version.map_or(0, i64::cast_unsigned) }
        }
    };
    transaction.commit().await?;
    Ok(outcome)
}
