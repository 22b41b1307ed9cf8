//! The cluster store on both databases against the contract, the model, and two who write at once.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use volery_kernel::map::NodeKind;
use volery_kernel::time::Timestamp;
use volery_ports::cluster_store::{ClusterStore, Facts, Set, Unavailable};
use volery_sql::{PostgresStore, SqliteStore};
use volery_testkit::cluster_store::{change, compare, conformance, map, member, ops};
use volery_testkit::engine::Engine;

const SEQUENCES: usize = 16;
const KIND: NodeKind = NodeKind::Messaging;

async fn sqlite(file: &Path) -> SqliteStore {
    SqliteStore::open(file).await.expect("opens")
}

/// An empty database of this number.
async fn postgres(engine: &Engine, number: u32) -> PostgresStore {
    let url = engine.address("POSTGRES_URL");
    let mut admin = PgConnection::connect(&url).await.expect("a connection");
    let create = AssertSqlSafe(format!("CREATE DATABASE d{number}"));
    sqlx::query(create).execute(&mut admin).await.expect("a database");
    let server = url.strip_suffix("/volery").expect("the default database");
    PostgresStore::open(&format!("{server}/d{number}")).await.expect("opens")
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let next = AtomicU32::new(0);
    conformance(async || sqlite(&folder.path().join(next.fetch_add(1, Ordering::Relaxed).to_string())).await).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_the_model_does(ops in ops(80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = runtime.block_on(async { compare(&sqlite(&folder.path().join("db")).await, &ops).await });
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let Some(engine) = Engine::start("postgres_keeps_the_contract", "postgres") else { return };
    let next = AtomicU32::new(0);
    let fresh = async || postgres(&engine, next.fetch_add(1, Ordering::Relaxed)).await;
    conformance(fresh).await;
    let mut runner = TestRunner::default();
    for _ in 0..SEQUENCES {
        let ops = ops(80).new_tree(&mut runner).expect("a sequence").current();
        let outcome = compare(&fresh().await, &ops).await;
        assert!(outcome.is_ok(), "{outcome:?} after {ops:?}");
    }
    of_many_at_once_one_is_first(&fresh().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_on_one_file_one_is_first() {
    let folder = tempfile::tempdir().expect("a folder");
    of_many_at_once_one_is_first(&sqlite(&folder.path().join("db")).await).await;
}

async fn of_many_at_once_one_is_first(store: &dyn ClusterStore) {
    const AT_ONCE: u16 = 12;
    let facts =
        join_all((1..=AT_ONCE).map(|partitions| store.facts(Facts { partitions, hash: "h".into(), level: 1 }))).await;
    assert!(facts[0].is_ok() && facts.iter().all(|one| *one == facts[0]), "{facts:?}");
    for version in 1..=3 {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let maps: Vec<_> = (0..AT_ONCE).map(|owner| map(version, &names, &[Some(owner)])).collect();
        let put = join_all(maps.iter().map(|map| store.put_map(KIND, map, None))).await;
        let won: Vec<_> = maps.iter().zip(&put).filter(|(_, put)| **put == Ok(true)).map(|(map, _)| map).collect();
        assert_eq!(won.len(), 1, "{put:?}");
        assert_eq!(store.map(KIND, version - 1).await.as_ref(), Ok(&Some(won[0].clone())));
        let changes: Vec<_> = (0..AT_ONCE).map(|by| change("x", Some(&by.to_string()), version - 1)).collect();
        let set = join_all(changes.iter().map(|change| store.set(change, Timestamp(1)))).await;
        let stale = set.iter().filter(|set| **set == Ok(Set::Stale { version })).count();
        assert_eq!(stale, usize::from(AT_ONCE) - 1, "{set:?}");
    }
    let processes: Vec<_> = (0..AT_ONCE).map(|process| process.to_string()).collect();
    let name = member("one name");
    let held = join_all(processes.iter().map(|process| store.hold(KIND, &name, process, Timestamp(1)))).await;
    assert_eq!(held.iter().filter(|held| **held == Ok(true)).count(), 1, "{held:?}");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite(&folder.path().join("db")).await;
    store.close().await;
    assert!(matches!(store.leases(KIND).await, Err(Unavailable(_))));
    assert!(matches!(store.hold(KIND, &member("a"), "p", Timestamp(1)).await, Err(Unavailable(_))));
}
