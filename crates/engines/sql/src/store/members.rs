//! Leases, maps and drains, each for each kind of node.
//!
//! Each compare-and-set is one statement that changes the row or does not. Rows are put in order here: databases
//! order texts by rules of their own.

use sqlx::{Pool, Row as _, Transaction};
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::Drain;
use volery_ports::cluster_store::{DrainChange, Lease};

use super::{Db, DbRow, Store};
use crate::column::{int, millis, small, time};
use crate::map_row;

const HOLD: &str = "
    INSERT INTO leases AS old (kind, name, url, weight, state, process, renewed) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (kind, name) DO UPDATE SET
        url = excluded.url,
        weight = excluded.weight,
        state = excluded.state,
        renewed = CASE WHEN old.renewed < excluded.renewed THEN excluded.renewed ELSE old.renewed + 1 END
    WHERE old.process = excluded.process";

pub(super) async fn hold(
    writer: &Pool<Db>,
    kind: NodeKind,
    member: &Member,
    process: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let held = sqlx::query(HOLD)
        .bind(kind.name())
        .bind(&member.name)
        .bind(&member.url)
        .bind(i64::from(member.weight.get()))
        .bind(member.state.name())
        .bind(process)
        .bind(millis(now))
        .execute(writer)
        .await?;
    Ok(held.rows_affected() > 0)
}

pub(super) async fn leave(writer: &Pool<Db>, kind: NodeKind, name: &str, process: &str) -> sqlx::Result<()> {
    let delete = "DELETE FROM leases WHERE kind = $1 AND name = $2 AND process = $3";
    sqlx::query(delete).bind(kind.name()).bind(name).bind(process).execute(writer).await.map(drop)
}

pub(super) async fn end(writer: &Pool<Db>, kind: NodeKind, lease: &Lease) -> sqlx::Result<bool> {
    let ended = sqlx::query("DELETE FROM leases WHERE kind = $1 AND name = $2 AND process = $3 AND renewed = $4")
        .bind(kind.name())
        .bind(&lease.member.name)
        .bind(&lease.process)
        .bind(millis(lease.renewed))
        .execute(writer)
        .await?;
    Ok(ended.rows_affected() > 0)
}

pub(super) async fn leases(readers: &Pool<Db>, kind: NodeKind) -> sqlx::Result<Vec<Lease>> {
    let rows = sqlx::query("SELECT * FROM leases WHERE kind = $1").bind(kind.name()).fetch_all(readers).await?;
    let mut leases = rows.iter().map(lease).collect::<sqlx::Result<Vec<_>>>()?;
    leases.sort_by(|one, other| one.member.name.cmp(&other.member.name));
    Ok(leases)
}

fn lease(row: &DbRow) -> sqlx::Result<Lease> {
    let member = Member {
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        weight: map_row::weight(small(row.try_get("weight")?)?)?,
        state: map_row::state(row.try_get("state")?)?,
    };
    Ok(Lease { member, process: row.try_get("process")?, renewed: time(row.try_get("renewed")?) })
}

pub(super) async fn map(readers: &Pool<Db>, kind: NodeKind, seen: u64) -> sqlx::Result<Option<PartitionMap>> {
    let select = "SELECT * FROM partition_maps WHERE kind = $1 AND version > $2";
    let row = sqlx::query(select).bind(kind.name()).bind(int(seen)).fetch_optional(readers).await?;
    let Some(row) = row else { return Ok(None) };
    map_row::map(row.try_get("version")?, row.try_get("members")?, row.try_get("owners")?).map(Some)
}

const FIRST_MAP: &str = "
    INSERT INTO partition_maps (kind, version, members, owners) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const NEXT_MAP: &str = "
    UPDATE partition_maps SET version = $2, members = $3, owners = $4 WHERE kind = $1 AND version = $2 - 1";

pub(super) async fn put_map(
    store: &Store,
    kind: NodeKind,
    map: &PartitionMap,
    drain: Option<&DrainChange>,
) -> sqlx::Result<bool> {
    let statement = match map.version() {
        0 => return Ok(false),
        1 => FIRST_MAP,
        _ => NEXT_MAP,
    };
    let mut transaction = store.begin().await?;
    let put = sqlx::query(statement)
        .bind(kind.name())
        .bind(int(map.version()))
        .bind(map_row::members(map)?)
        .bind(map_row::owners(map))
        .execute(&mut *transaction)
        .await?;
    if put.rows_affected() == 0 {
        return Ok(false);
    }
    put_drain(&mut transaction, kind, drain).await?;
    transaction.commit().await?;
    Ok(true)
}

const DRAIN: &str = "
    INSERT INTO drains (kind, name, ordered_by, ordered_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

async fn put_drain(
    transaction: &mut Transaction<'static, Db>,
    kind: NodeKind,
    change: Option<&DrainChange>,
) -> sqlx::Result<()> {
    let statement = match change {
        Some(DrainChange::Begins(Drain { node, by, at })) => {
            sqlx::query(DRAIN).bind(kind.name()).bind(node).bind(by).bind(millis(*at))
        }
        Some(DrainChange::Ends(node)) => {
            sqlx::query("DELETE FROM drains WHERE kind = $1 AND name = $2").bind(kind.name()).bind(node)
        }
        None => return Ok(()),
    };
    statement.execute(&mut **transaction).await.map(drop)
}

pub(super) async fn drains(readers: &Pool<Db>, kind: NodeKind) -> sqlx::Result<Vec<Drain>> {
    let rows = sqlx::query("SELECT * FROM drains WHERE kind = $1").bind(kind.name()).fetch_all(readers).await?;
    let mut drains = rows.iter().map(drain).collect::<sqlx::Result<Vec<_>>>()?;
    drains.sort_by(|one, other| one.node.cmp(&other.node));
    Ok(drains)
}

fn drain(row: &DbRow) -> sqlx::Result<Drain> {
    Ok(Drain { node: row.try_get("name")?, by: row.try_get("ordered_by")?, at: time(row.try_get("ordered_at")?) })
}
