//! Users and the index of their names.
//!
//! The index is over trigrams, which is why a part of a name has at least 3 characters. It holds names in
//! lower case as Rust makes it, so that every engine means the same.

use sqlx::{Pool, QueryBuilder, Row as _, Transaction};
use volery_kernel::id::UserId;
use volery_ports::sql::{Created, Credentials, User};

use super::{Db, DbRow, FIND, Store, part_of_a_name};
use crate::column::{id, int, millis, time};

/// Fewest characters that the index can look for.
const TRIGRAM: usize = 3;
/// Most users asked for at once.
const AT_ONCE: usize = 1_000;

pub(crate) async fn create(store: &Store, users: &[Credentials]) -> sqlx::Result<Vec<Created>> {
    let mut transaction = store.begin().await?;
    let mut created = Vec::with_capacity(users.len());
    for user in users {
        created.push(create_one(&mut transaction, user).await?);
    }
    transaction.commit().await?;
    Ok(created)
}

async fn create_one(transaction: &mut Transaction<'static, Db>, new: &Credentials) -> sqlx::Result<Created> {
    let inserted = sqlx::query(
        "INSERT INTO users (id, user_name, display_name, password_hash, created) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(int(new.user.id.get()))
    .bind(&new.user.user_name)
    .bind(&new.user.display_name)
    .bind(&new.password_hash)
    .bind(millis(new.user.created))
    .execute(&mut **transaction)
    .await?;
    if inserted.rows_affected() == 0 {
        return conflict(transaction, new).await;
    }
    sqlx::query("INSERT INTO user_names (rowid, user_name, display_name) VALUES ($1, $2, $3)")
        .bind(int(new.user.id.get()))
        .bind(new.user.user_name.to_lowercase())
        .bind(new.user.display_name.to_lowercase())
        .execute(&mut **transaction)
        .await?;
    Ok(Created::Done)
}

/// Why a user was not written: the same one again, the name of another, or the id of another.
async fn conflict(transaction: &mut Transaction<'static, Db>, new: &Credentials) -> sqlx::Result<Created> {
    let holder = sqlx::query("SELECT * FROM users WHERE user_name = $1")
        .bind(&new.user.user_name)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(holder) = holder.as_ref().map(with_hash).transpose()? else { return Ok(Created::IdTaken) };
    let created = holder.user.created;
    let same = holder == Credentials { user: User { created, ..new.user.clone() }, ..new.clone() };
    Ok(if same { Created::Done } else { Created::NameTaken })
}

pub(crate) async fn credentials(readers: &Pool<Db>, user_name: &str) -> sqlx::Result<Option<Credentials>> {
    // No name has one, and PostgreSQL takes no text with one.
    if user_name.contains('\0') {
        return Ok(None);
    }
    let row = sqlx::query("SELECT * FROM users WHERE user_name = $1").bind(user_name).fetch_optional(readers).await?;
    row.as_ref().map(with_hash).transpose()
}

pub(crate) async fn by_id(readers: &Pool<Db>, ids: &[UserId]) -> sqlx::Result<Vec<User>> {
    // PostgreSQL has no empty list.
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new("SELECT * FROM users WHERE id IN (");
    let mut list = query.separated(", ");
    for id in ids.iter().take(AT_ONCE) {
        list.push_bind(int(id.get()));
    }
    query.push(") ORDER BY id");
    query.build().fetch_all(readers).await?.iter().map(user).collect()
}

pub(crate) async fn find(readers: &Pool<Db>, part: &str, limit: usize) -> sqlx::Result<Vec<User>> {
    let part = part.to_lowercase();
    if part.chars().count() < TRIGRAM || part.contains('\0') {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(FIND).bind(part_of_a_name(&part)).bind(int(limit as u64)).fetch_all(readers).await?;
    rows.iter().map(user).collect()
}

fn user(row: &DbRow) -> sqlx::Result<User> {
    Ok(User {
        id: UserId(id(row.try_get("id")?)?),
        user_name: row.try_get("user_name")?,
        display_name: row.try_get("display_name")?,
        created: time(row.try_get("created")?),
    })
}

fn with_hash(row: &DbRow) -> sqlx::Result<Credentials> {
    Ok(Credentials { user: user(row)?, password_hash: row.try_get("password_hash")? })
}
