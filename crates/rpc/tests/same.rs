//! A role behind gRPC and the same role called directly pass the same tests.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use idgen::Office;
use kit::{Server, account_node, config_node, reads, remote};
use parking_lot::Mutex;
use volery_account::{RemoteAccounts, VerifierOptions};
use volery_node::shutdown::Shutdown;
use volery_rpc::{AccountClient, ClusterClient, Doors, HistoryClient, NumbersClient};
use volery_sql::SqliteStore;
use volery_testkit::accounts::Subject;
use volery_testkit::cluster_store::ModelClusterStore;
use volery_testkit::sql::{ManualClock, Model};
use volery_testkit::timeline::ModelTimeline;
use volery_testkit::{accounts, cluster, history, numbers};

#[tokio::test]
async fn history_called_directly() {
    let timeline = Arc::new(ModelTimeline::default());
    history::conformance(&timeline, reads(&timeline).as_ref()).await;
}

#[tokio::test]
async fn history_behind_grpc() {
    let timeline = Arc::new(ModelTimeline::default());
    let server = Server::start(Doors::new().history(reads(&timeline)));
    history::conformance(&timeline, &HistoryClient::new(remote(&[server.url()]))).await;
}

/// Makes account-nodes on SQLite, each on a file of its own.
struct Stores {
    folder: tempfile::TempDir,
    next: AtomicU32,
}

impl Stores {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), next: AtomicU32::new(0) }
    }

    async fn node(&self) -> Subject {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        account_node(Arc::new(SqliteStore::open(&self.folder.path().join(name)).await.expect("opens"))).await
    }
}

/// The same role, asked through a door of its own.
fn behind_grpc(subject: Subject) -> (Server, Subject) {
    let server = Server::start(Doors::new().accounts(subject.accounts));
    let accounts = Arc::new(AccountClient::new(remote(&[server.url()])));
    let tokens = Arc::new(RemoteAccounts::new(VerifierOptions::default(), accounts.clone()));
    (server, Subject { accounts, tokens, clock: subject.clock })
}

#[tokio::test]
async fn accounts_called_directly() {
    let stores = Stores::new();
    accounts::conformance(async || stores.node().await).await;
}

#[tokio::test]
async fn accounts_behind_grpc() {
    let (stores, servers) = (Stores::new(), Mutex::new(Vec::new()));
    accounts::conformance(async || {
        let (server, subject) = behind_grpc(stores.node().await);
        servers.lock().push(server);
        subject
    })
    .await;
}

#[tokio::test]
async fn an_outage_of_accounts_is_told_directly() {
    let store = Arc::new(Model::default());
    accounts::outage(&account_node(store.clone()).await, &store).await;
}

#[tokio::test]
async fn an_outage_of_accounts_is_told_behind_grpc() {
    let store = Arc::new(Model::default());
    let (_server, subject) = behind_grpc(account_node(store.clone()).await);
    accounts::outage(&subject, &store).await;
}

#[tokio::test]
async fn numbers_called_directly() {
    let (store, clock) = (Arc::new(Model::default()), Arc::new(ManualClock::default()));
    numbers::conformance(&store, &clock, &Office::new(store.clone(), clock.clone())).await;
}

#[tokio::test]
async fn numbers_behind_grpc() {
    let (store, clock) = (Arc::new(Model::default()), Arc::new(ManualClock::default()));
    let office = Arc::new(Office::new(store.clone(), clock.clone()));
    let server = Server::start(Doors::new().numbers(office));
    numbers::conformance(&store, &clock, &NumbersClient::new(remote(&[server.url()]))).await;
}

#[tokio::test]
async fn the_cluster_called_directly() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let node = config_node(store.clone(), clock.clone(), Shutdown::new()).await;
    cluster::conformance(&store, &clock, node.as_ref()).await;
}

#[tokio::test]
async fn the_cluster_behind_grpc() {
    let (store, clock) = (Arc::new(ModelClusterStore::default()), Arc::new(ManualClock::default()));
    let node = config_node(store.clone(), clock.clone(), Shutdown::new()).await;
    let server = Server::start(Doors::new().cluster(node));
    cluster::conformance(&store, &clock, &ClusterClient::new(remote(&[server.url()]))).await;
}
