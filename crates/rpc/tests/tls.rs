//! Mutual TLS between roles: who is let in, who is not, and certificates that are replaced meanwhile.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod kit;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kit::{Server, hasty, reads};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use volery_kernel::slot::Partition;
use volery_ports::history::{History as _, HistoryError};
use volery_rpc::{CallOptions, Doors, HistoryClient, Remote, Tls, TlsError, TlsFiles};
use volery_testkit::timeline::ModelTimeline;

/// Signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for this machine, and its key.
    fn signs(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") }
}

/// Writes what a process of this authority's cluster has, which trusts that authority alone.
fn write(files: &TlsFiles, authority: &Authority) {
    let (cert, key) = authority.signs();
    fs::write(&files.ca, &authority.pem).expect("written");
    fs::write(&files.cert, cert).expect("written");
    fs::write(&files.key, key).expect("written");
}

/// The certificates of a new process.
fn tls(authority: &Authority) -> Tls {
    let folder = tempfile::tempdir().expect("a folder");
    write(&files(folder.path()), authority);
    Tls::open(files(folder.path())).expect("good")
}

fn server(tls: Tls) -> Server {
    Server::start(Doors::new().history(reads(&Arc::new(ModelTimeline::default()))).secured(tls))
}

fn client(server: &Server, tls: &Tls) -> HistoryClient {
    let url = format!("https://{}", server.address);
    HistoryClient::new(Remote::secured(&[url], CallOptions::default(), tls).expect("an endpoint"))
}

async fn is_answered(client: &HistoryClient) -> bool {
    match client.archived(Partition(0)).await {
        Ok(_) => true,
        Err(HistoryError::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_sides_show_a_certificate_of_the_same_authority() {
    let (ours, others) = (Authority::new(), Authority::new());
    let server = server(tls(&ours));
    assert!(is_answered(&client(&server, &tls(&ours))).await);
    assert!(!is_answered(&client(&server, &tls(&others))).await, "does not trust the server");
    let folder = tempfile::tempdir().expect("a folder");
    write(&files(folder.path()), &others);
    fs::write(folder.path().join("ca.pem"), &ours.pem).expect("written");
    let impostor = Tls::open(files(folder.path())).expect("good in itself");
    assert!(!is_answered(&client(&server, &impostor)).await, "the server does not trust it");
    assert!(!is_answered(&HistoryClient::new(hasty(&[server.url()]))).await, "shows none");
    assert!(is_answered(&client(&server, &tls(&ours))).await, "nobody else minds");
}

#[tokio::test]
async fn certificates_are_replaced_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    let of_server = files(folder.path());
    write(&of_server, &old);
    let server = server(Tls::open(of_server.clone()).expect("good"));
    let connected = client(&server, &tls(&old));
    assert!(is_answered(&connected).await);
    fs::write(&of_server.cert, new.signs().0).expect("written");
    assert!(is_answered(&client(&server, &tls(&old))).await, "half a change changes nothing");
    write(&of_server, &new);
    assert!(is_answered(&client(&server, &tls(&new))).await);
    assert!(!is_answered(&client(&server, &tls(&old))).await);
    assert!(is_answered(&connected).await, "connections that stand go on");
}

#[tokio::test]
async fn files_of_no_use_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let of_server = files(folder.path());
    let refused = || Tls::open(files(folder.path())).map(drop).expect_err("of no use");
    assert!(matches!(refused(), TlsError::File(path, _) if path == of_server.ca));
    let authority = Authority::new();
    write(&of_server, &authority);
    fs::write(&of_server.ca, "").expect("written");
    assert!(matches!(refused(), TlsError::Empty(path) if path == of_server.ca));
    write(&of_server, &authority);
    fs::write(&of_server.key, authority.signs().1).expect("written");
    assert!(matches!(refused(), TlsError::Certificate(_)), "another certificate's key");
}
