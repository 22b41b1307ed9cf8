//! Tokens judged where the account node is not: what is asked of it, how often, and what goes on without it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use support::{Bench, bench, claims};
use volery_account::{AccountNode, RemoteAccounts, VerifierOptions};
use volery_kernel::id::{DeviceId, UserId};
use volery_ports::account_service::{AccountService as _, Grant};
use volery_ports::accounts::{AccountFacts, Accounts as _, Claims, Standing, TokenError, Unavailable};

/// The way to an account node: counts what is asked, and can be cut.
struct Way {
    node: Arc<AccountNode>,
    cut: AtomicBool,
    asked: AtomicUsize,
}

impl Way {
    fn ask(&self) -> Result<&AccountNode, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.cut.load(Ordering::SeqCst) { Err(Unavailable("cut".into())) } else { Ok(&self.node) }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl AccountFacts for Way {
    async fn keys(&self) -> Result<String, Unavailable> {
        self.ask()?.keys().await
    }

    async fn standing(&self, device: DeviceId) -> Result<Option<Standing>, Unavailable> {
        self.ask()?.standing(device).await
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        self.ask()?.revoked_after(after, limit).await
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        self.ask()?.newest_revocation().await
    }

    async fn is_user(&self, user: UserId) -> Result<bool, Unavailable> {
        self.ask()?.is_user(user).await
    }
}

struct Remote {
    bench: Bench,
    way: Arc<Way>,
    here: RemoteAccounts,
}

impl Remote {
    async fn new() -> Self {
        let bench = bench().await;
        let way = Arc::new(Way { node: bench.node.clone(), cut: AtomicBool::new(false), asked: AtomicUsize::new(0) });
        let here = RemoteAccounts::new(VerifierOptions::default(), way.clone());
        Self { bench, way, here }
    }

    async fn authenticate(&self, grant: &Grant) -> Result<Claims, TokenError> {
        self.here.authenticate(&grant.access_token, self.bench.now()).await
    }
}

#[tokio::test]
async fn what_is_known_is_not_asked_again_and_news_cost_one_question_for_all() {
    let remote = Remote::new().await;
    let mut grants = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        grants.push(remote.bench.person(name).await);
    }
    for grant in &grants {
        assert_eq!(remote.authenticate(grant).await, Ok(claims(grant)));
    }
    assert_eq!(remote.way.asked(), 2 + 3, "keys, the newest log-out, and each device");
    for grant in &grants {
        assert_eq!(remote.authenticate(grant).await, Ok(claims(grant)));
    }
    assert_eq!(remote.way.asked(), 0);
    remote.bench.clock.advance(4_000);
    let all = futures::future::join_all(grants.iter().map(|grant| remote.authenticate(grant))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(remote.way.asked(), 1);
}

#[tokio::test]
async fn a_log_out_is_known_within_five_seconds() {
    let remote = Remote::new().await;
    let grant = remote.bench.person("ada").await;
    assert_eq!(remote.authenticate(&grant).await, Ok(claims(&grant)));
    remote.bench.node.revoke(claims(&grant), grant.device).await.expect("logged out");
    remote.bench.clock.advance(5_000);
    assert_eq!(remote.authenticate(&grant).await, Err(TokenError::Revoked));
}

#[tokio::test]
async fn without_the_account_node_known_devices_go_on_and_others_wait() {
    let remote = Remote::new().await;
    let (known, unknown) = (remote.bench.person("ada").await, remote.bench.person("bob").await);
    assert_eq!(remote.authenticate(&known).await, Ok(claims(&known)));
    remote.way.cut.store(true, Ordering::SeqCst);
    remote.bench.clock.advance(60_000);
    remote.way.asked();
    for _ in 0..100 {
        assert_eq!(remote.authenticate(&known).await, Ok(claims(&known)));
    }
    assert_eq!(remote.way.asked(), 1, "who is away is left alone for a while");
    let waits = remote.authenticate(&unknown).await;
    assert!(matches!(waits, Err(TokenError::Unavailable(_))), "{waits:?}");
    remote.way.cut.store(false, Ordering::SeqCst);
    assert_eq!(remote.authenticate(&unknown).await, Ok(claims(&unknown)), "at once");
}

#[tokio::test]
async fn nobody_has_to_be_there_first() {
    let remote = Remote::new().await;
    let grant = remote.bench.person("ada").await;
    remote.way.cut.store(true, Ordering::SeqCst);
    let early = remote.authenticate(&grant).await;
    assert!(matches!(early, Err(TokenError::Unavailable(_))), "{early:?}");
    remote.way.cut.store(false, Ordering::SeqCst);
    assert_eq!(remote.authenticate(&grant).await, Ok(claims(&grant)));
    remote.bench.node.revoke(claims(&grant), grant.device).await.expect("logged out");
    remote.bench.clock.advance(5_000);
    assert_eq!(remote.authenticate(&grant).await, Err(TokenError::Revoked));
}

#[tokio::test]
async fn made_up_tokens_cost_a_question_a_second() {
    let remote = Remote::new().await;
    let grant = remote.bench.person("ada").await;
    assert_eq!(remote.authenticate(&grant).await, Ok(claims(&grant)));
    remote.bench.clock.advance(1_000);
    remote.way.asked();
    let (_, rest) = grant.access_token.split_once('.').expect("three parts");
    // `{"alg":"EdDSA","kid":"nobody"}`
    let foreign = format!("eyJhbGciOiJFZERTQSIsImtpZCI6Im5vYm9keSJ9.{rest}");
    for _ in 0..10 {
        let judged = remote.here.authenticate(&foreign, remote.bench.now()).await;
        assert_eq!(judged, Err(TokenError::Invalid));
        let judged = remote.here.authenticate("a.b.c", remote.bench.now()).await;
        assert_eq!(judged, Err(TokenError::Invalid));
    }
    assert_eq!(remote.way.asked(), 1);
}
