//! The SQLite engine against the contract, against the model, and against what happens to files.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;

use proptest::prelude::*;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use volery_kernel::id::UserId;
use volery_ports::sql::{AccountStore, Unavailable};
use volery_sql::SqliteStore;
use volery_testkit::sql::{compare, conformance, id, ops, user};

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("accounts.sqlite")).await.expect("opens")
}

#[tokio::test]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let next = std::sync::atomic::AtomicU32::new(0);
    conformance(async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SqliteStore::open(&folder.path().join(number.to_string())).await.expect("opens")
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model_does(ops in ops(80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = runtime.block_on(async { compare(&open(folder.path()).await, &ops).await });
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_another_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path()).await;
    first.create_users(vec![user(1)]).await.expect("written");
    let second = open(folder.path()).await;
    assert_eq!(second.users(&[UserId(id(1))]).await, Ok(vec![user(1).user]));
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).await;
    store.close().await;
    assert!(matches!(store.credentials("user1").await, Err(Unavailable(_))));
    assert!(matches!(store.create_users(vec![user(1)]).await, Err(Unavailable(_))));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("accounts.sqlite");
    std::fs::write(&file, [b'x'; 4096]).expect("written");
    let refused = SqliteStore::open(&file).await.map(|_| ()).expect_err("no database");
    assert!(refused.to_string().contains("not a database"), "{refused}");
}

#[tokio::test]
async fn a_schema_of_a_later_version_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path()).await;
    first.create_users(vec![user(1)]).await.expect("written");
    first.close().await;
    let file = folder.path().join("accounts.sqlite");
    let version = async |change: &str| {
        let mut admin = SqliteConnectOptions::new().filename(&file).connect().await.expect("a connection");
        let newest = "(SELECT max(version) FROM _sqlx_migrations)";
        let update = format!("UPDATE _sqlx_migrations SET version = version {change} WHERE version = {newest}");
        sqlx::query(sqlx::AssertSqlSafe(update)).execute(&mut admin).await.expect("written");
        admin.close().await.expect("closed");
    };
    version("+ 9000").await;
    let refused = SqliteStore::open(&file).await.map(drop).expect_err("is of a later version");
    assert!(refused.to_string().contains("900"), "{refused}");
    version("- 9000").await;
    assert_eq!(open(folder.path()).await.credentials("user1").await, Ok(Some(user(1))));
}
