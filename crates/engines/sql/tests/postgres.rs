//! The PostgreSQL engine against the contract and the model, with several writers at once, and while the
//! server stands still or is gone. The server is started by `engines/engines`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{AccountStore, Rotation, Unavailable};
use volery_sql::PostgresStore;
use volery_testkit::engine::Engine;
use volery_testkit::sql::{compare, conformance, device, id, ops, token, told, user};

const SEQUENCES: usize = 16;

struct Server {
    engine: Engine,
    databases: AtomicU32,
}

impl Server {
    fn start(test: &str) -> Option<Self> {
        Some(Self { engine: Engine::start(test, "postgres")?, databases: AtomicU32::new(0) })
    }

    /// The URL of an empty database.
    async fn database(&self) -> String {
        let url = self.engine.address("POSTGRES_URL");
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&url).await.expect("a connection");
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut admin).await.expect("a database");
        let server = url.strip_suffix("/volery").expect("the default database");
        format!("{server}/{name}")
    }

    async fn store(&self) -> PostgresStore {
        PostgresStore::open(&self.database().await).await.expect("opens")
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    let Some(server) = Server::start("keeps_the_contract") else { return };
    conformance(async || server.store().await).await;
    let mut runner = TestRunner::default();
    for _ in 0..SEQUENCES {
        let ops = ops(80).new_tree(&mut runner).expect("a sequence").current();
        let outcome = compare(&server.store().await, &ops).await;
        assert!(outcome.is_ok(), "{outcome:?} after {ops:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_and_write_at_once_agree() {
    let Some(server) = Server::start("nodes_that_start_and_write_at_once_agree") else { return };
    let url = server.database().await;
    let (one, other) = tokio::join!(PostgresStore::open(&url), PostgresStore::open(&url));
    let stores = [one.expect("opens"), other.expect("opens")];
    stores[0].create_users(vec![user(1)]).await.expect("written");
    revocations_are_seen_in_order(&stores).await;
    a_token_is_used_once(&stores).await;
}

/// Who reads on from the last number that it saw misses none.
async fn revocations_are_seen_in_order(stores: &[PostgresStore; 2]) {
    const DEVICES: u64 = 100;
    for number in 1..=DEVICES {
        stores[0].log_in(device(number, 1), token(number as u8, 1_000)).await.expect("written");
    }
    let revoke = async |number: u64| {
        let (user, device) = (UserId(id(1)), DeviceId(id(number)));
        stores[(number % 2) as usize].revoke(user, device, Timestamp(5), told(user, device)).await
    };
    let reading = async {
        let (mut seen, mut after) = (BTreeSet::new(), 0);
        while after < DEVICES {
            for (number, device) in stores[1].revoked_after(after, 1_000).await.expect("answers") {
                (after, _) = (number, seen.insert(device));
            }
        }
        seen.len() as u64
    };
    let (revoked, seen) = tokio::join!(join_all((1..=DEVICES).map(revoke)), reading);
    assert!(revoked.iter().all(|revoked| matches!(revoked, Ok(Some(_)))), "{revoked:?}");
    assert_eq!(seen, DEVICES);
}

async fn a_token_is_used_once(stores: &[PostgresStore; 2]) {
    for number in 150..170 {
        let first = token(number, 1_000);
        stores[0].log_in(device(number.into(), 1), first).await.expect("written");
        let rotate = async |store: &PostgresStore, next: u8| {
            store.rotate(first.hash, token(next, 1_000), Timestamp(5), &told).await.expect("answers")
        };
        let (one, other) = tokio::join!(rotate(&stores[0], number + 30), rotate(&stores[1], number + 60));
        let done = [&one, &other].into_iter().filter(|rotation| matches!(rotation, Rotation::Done(_))).count();
        let reused = [&one, &other].into_iter().filter(|rotation| matches!(rotation, Rotation::Reused { .. })).count();
        assert_eq!((done, reused), (1, 1), "{one:?} and {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_heals_when_the_server_does() {
    let Some(server) = Server::start("it_heals_when_the_server_does") else { return };
    let store = server.store().await;
    store.create_users(vec![user(1)]).await.expect("written");
    server.engine.pause();
    let noticed = tokio::time::timeout(Duration::from_secs(15), store.credentials("user1")).await;
    assert!(matches!(noticed, Ok(Err(Unavailable(_)))), "a server that stands still: {noticed:?}");
    server.engine.proceed();
    assert_eq!(store.credentials("user1").await, Ok(Some(user(1))));
    server.engine.kill();
    assert!(matches!(store.create_users(vec![user(2)]).await, Err(Unavailable(_))));
    server.engine.restart();
    assert_eq!(store.credentials("user1").await, Ok(Some(user(1))));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let Some(server) = Server::start("what_cannot_be_used_is_refused") else { return };
    let url = server.database().await;
    drop(PostgresStore::open(&url).await.expect("opens"));
    let mut admin = PgConnection::connect(&url).await.expect("a connection");
    let newest =
        "UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    sqlx::query(newest).execute(&mut admin).await.expect("written");
    let later = PostgresStore::open(&url).await.map(drop).expect_err("is of a later version");
    assert!(later.to_string().contains("9999"), "{later}");
    let nowhere = PostgresStore::open(&format!("{url}_nowhere")).await.map(drop).expect_err("is not there");
    assert!(nowhere.to_string().contains("does not exist"), "{nowhere}");
}
