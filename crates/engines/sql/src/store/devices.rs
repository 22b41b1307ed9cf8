//! Devices and their refresh tokens.
//!
//! A device that is revoked stays so, and its event goes to the outbox in the same transaction,
//! whichever of the two ways (log-out, a token used twice) led there.

use sqlx::{Pool, Row as _, Transaction};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{Device, NewEntry, NewToken, Rotation, TokenHash};

use super::{Db, DbRow, Store, alone, outbox};
use crate::column::{id, int, millis, time};

pub(crate) async fn log_in(store: &Store, device: &Device, token: NewToken) -> sqlx::Result<()> {
    let mut transaction = store.begin().await?;
    sqlx::query("INSERT INTO devices (id, user_id, name, created, last_seen, revoked) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(int(device.id.get()))
        .bind(int(device.user.get()))
        .bind(&device.name)
        .bind(millis(device.created))
        .bind(millis(device.last_seen))
        .bind(device.revoked.map(millis))
        .execute(&mut *transaction)
        .await?;
    give(&mut transaction, device.id, token).await?;
    transaction.commit().await
}

pub(crate) async fn one(readers: &Pool<Db>, id: DeviceId) -> sqlx::Result<Option<Device>> {
    let row = sqlx::query("SELECT * FROM devices WHERE id = $1").bind(int(id.get())).fetch_optional(readers).await?;
    row.as_ref().map(device).transpose()
}

pub(crate) async fn of(readers: &Pool<Db>, user: UserId, limit: usize) -> sqlx::Result<Vec<Device>> {
    let rows = sqlx::query("SELECT * FROM devices WHERE user_id = $1 AND revoked IS NULL ORDER BY id DESC LIMIT $2")
        .bind(int(user.get()))
        .bind(int(limit as u64))
        .fetch_all(readers)
        .await?;
    rows.iter().map(device).collect()
}

pub(crate) async fn rotate(
    store: &Store,
    token: TokenHash,
    next: NewToken,
    now: Timestamp,
    told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
) -> sqlx::Result<Rotation> {
    let mut transaction = store.begin().await?;
    alone(&mut transaction, name_of(token)).await?;
    let row = sqlx::query(
        "SELECT devices.*, expires, used FROM refresh_tokens JOIN devices ON devices.id = device_id WHERE hash = $1",
    )
    .bind(token.0.as_slice())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = row else { return Ok(Rotation::Unknown) };
    let device = device(&row)?;
    let rotation = if row.try_get::<i64, _>("used")? != 0 {
        let entry = revoke_once(&mut transaction, device.user, device.id, now, &told(device.user, device.id)).await?;
        Rotation::Reused { user: device.user, device: device.id, entry }
    } else if device.revoked.is_some() || time(row.try_get("expires")?) <= now {
        Rotation::Void
    } else {
        use_up(&mut transaction, device.id, token, next, now).await?;
        Rotation::Done(Device { last_seen: now, ..device })
    };
    transaction.commit().await?;
    Ok(rotation)
}

/// The token gives way to the next one; what expired is forgotten, so that a device's row of used
/// tokens is bounded by their lifetime.
async fn use_up(
    transaction: &mut Transaction<'static, Db>,
    device: DeviceId,
    token: TokenHash,
    next: NewToken,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE refresh_tokens SET used = 1 WHERE hash = $1")
        .bind(token.0.as_slice())
        .execute(&mut **transaction)
        .await?;
    sqlx::query("DELETE FROM refresh_tokens WHERE device_id = $1 AND expires <= $2")
        .bind(int(device.get()))
        .bind(millis(now))
        .execute(&mut **transaction)
        .await?;
    sqlx::query("UPDATE devices SET last_seen = $1 WHERE id = $2")
        .bind(millis(now))
        .bind(int(device.get()))
        .execute(&mut **transaction)
        .await?;
    give(transaction, device, next).await
}

async fn give(transaction: &mut Transaction<'static, Db>, device: DeviceId, token: NewToken) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO refresh_tokens (hash, device_id, expires) VALUES ($1, $2, $3)")
        .bind(token.hash.0.as_slice())
        .bind(int(device.get()))
        .bind(millis(token.expires))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(crate) async fn revoke(
    store: &Store,
    user: UserId,
    device: DeviceId,
    now: Timestamp,
    told: &NewEntry,
) -> sqlx::Result<Option<u64>> {
    let mut transaction = store.begin().await?;
    let number = revoke_once(&mut transaction, user, device, now, told).await?;
    transaction.commit().await?;
    Ok(number)
}

/// The number of its entry; `None` if there is nothing to revoke.
async fn revoke_once(
    transaction: &mut Transaction<'static, Db>,
    user: UserId,
    device: DeviceId,
    now: Timestamp,
    told: &NewEntry,
) -> sqlx::Result<Option<u64>> {
    outbox::open(transaction).await?;
    let theirs = sqlx::query("SELECT id FROM devices WHERE id = $1 AND user_id = $2 AND revoked IS NULL")
        .bind(int(device.get()))
        .bind(int(user.get()))
        .fetch_optional(&mut **transaction)
        .await?;
    if theirs.is_none() {
        return Ok(None);
    }
    let number = outbox::put(transaction, told).await?;
    sqlx::query("UPDATE devices SET revoked = $1, revocation = $2 WHERE id = $3")
        .bind(millis(now))
        .bind(int(number))
        .bind(int(device.get()))
        .execute(&mut **transaction)
        .await?;
    Ok(Some(number))
}

/// Entries become visible in the order of their numbers: see [`outbox::open`].
pub(crate) async fn revoked_after(readers: &Pool<Db>, after: u64, limit: usize) -> sqlx::Result<Vec<(u64, DeviceId)>> {
    let rows = sqlx::query("SELECT revocation, id FROM devices WHERE revocation > $1 ORDER BY revocation LIMIT $2")
        .bind(int(after))
        .bind(int(limit as u64))
        .fetch_all(readers)
        .await?;
    let numbered = |row: &DbRow| {
        let number = row.try_get::<i64, _>("revocation")?.cast_unsigned();
        Ok((number, DeviceId(id(row.try_get("id")?)?)))
    };
    rows.iter().map(numbered).collect()
}

pub(crate) async fn newest_revocation(readers: &Pool<Db>) -> sqlx::Result<u64> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(revocation) FROM devices").fetch_one(readers).await?;
    Ok(newest.map_or(0, i64::cast_unsigned))
}

/// A number for this token, the same wherever it is used.
fn name_of(token: TokenHash) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = token.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn device(row: &DbRow) -> sqlx::Result<Device> {
    Ok(Device {
        id: DeviceId(id(row.try_get("id")?)?),
        user: UserId(id(row.try_get("user_id")?)?),
        name: row.try_get("name")?,
        created: time(row.try_get("created")?),
        last_seen: time(row.try_get("last_seen")?),
        revoked: row.try_get::<Option<i64>, _>("revoked")?.map(time),
    })
}
