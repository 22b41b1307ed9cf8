//! Keys that sign access tokens. The first one is inserted by whoever comes first; everyone then
//! reads the same.

use sqlx::Row as _;
use volery_ports::sql::SigningKey;

use super::{DbRow, Store, alone};
use crate::column::{millis, time};

/// The lock of all who look for a first key.
const FIRST: i64 = 0x6b65_7973;

pub(crate) async fn all(store: &Store, first: &SigningKey) -> sqlx::Result<Vec<SigningKey>> {
    let mut transaction = store.begin().await?;
    alone(&mut transaction, FIRST).await?;
    sqlx::query(
        "INSERT INTO signing_keys (kid, secret, created)
         SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
    )
    .bind(&first.kid)
    .bind(first.secret.as_slice())
    .bind(millis(first.created))
    .execute(&mut *transaction)
    .await?;
    let rows =
        sqlx::query("SELECT * FROM signing_keys ORDER BY created DESC, kid").fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    rows.iter().map(key).collect()
}

fn key(row: &DbRow) -> sqlx::Result<SigningKey> {
    let secret: Vec<u8> = row.try_get("secret")?;
    let secret = secret.try_into().map_err(|_| sqlx::Error::Decode("a signing key has 32 bytes".into()))?;
    Ok(SigningKey { kid: row.try_get("kid")?, secret, created: time(row.try_get("created")?) })
}
