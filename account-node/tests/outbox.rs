//! The outbox's way to the log: order per recipient, at least once, nobody held up by another.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::time::Duration;

use support::{Bench, Takes, bench, bench_with, claims, options, start, test_log};
use volery_account::AccountOptions;
use volery_kernel::event::Event;
use volery_kernel::id::{DeviceId, UserId};
use volery_ports::account_service::{AccountService as _, Grant, Told};
use volery_ports::sql::{AccountStore as _, NewEntry};
use volery_testkit::sql::id;

/// The devices that the log was told of in this user's stream, in order.
fn told(bench: &Bench, user: UserId) -> Vec<DeviceId> {
    let events = bench.log.events.lock();
    let theirs = events.iter().filter_map(|event| match event {
        Event::DeviceRevoked { user: whose, device, .. } if *whose == user => Some(*device),
        _ => None,
    });
    theirs.collect()
}

async fn impatient() -> Bench {
    bench_with(AccountOptions { tell_within: Duration::from_millis(10), ..options() }).await
}

impl Bench {
    /// Its node leads the outbox: it has told something.
    async fn relays(&self) {
        let other = self.person("the_first").await;
        assert_eq!(self.node.revoke(claims(&other), other.device).await, Ok(Told::OnTheLog));
    }
}

/// Logs so many more devices of a user in and out again, while the log does not take it.
async fn log_out_unheard(bench: &Bench, name: &str, devices: usize) -> Vec<DeviceId> {
    let mut revoked = Vec::new();
    for _ in 0..devices {
        let grant: Grant = bench.log_in(name).await.expect("logged in");
        assert_eq!(bench.node.revoke(claims(&grant), grant.device).await, Ok(Told::Later));
        revoked.push(grant.device);
    }
    revoked
}

async fn until_empty(bench: &Bench) {
    while !bench.store.outbox_take(0, 1).await.expect("there").is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_waited_is_told_in_order_when_the_log_is_back() {
    let bench = impatient().await;
    let ada = bench.person("ada").await.user;
    *bench.log.takes.lock() = Takes::Nothing;
    let revoked = log_out_unheard(&bench, "ada", 5).await;
    assert!(told(&bench, ada).is_empty());
    *bench.log.takes.lock() = Takes::Everything;
    until_empty(&bench).await;
    assert_eq!(told(&bench, ada), revoked);
}

#[tokio::test]
async fn one_stream_that_takes_nothing_holds_up_nobody_else() {
    let bench = bench().await;
    let (ada, bob) = (bench.person("ada").await.user, bench.person("bob").await);
    *bench.log.takes.lock() = Takes::AllBut(ada);
    let mut revoked = Vec::new();
    for number in 0..300 {
        let (device, event) = (bench.log_in("ada").await.expect("logged in").device, id(1_000 + number));
        let event = Event::DeviceRevoked { id: event, user: ada, device };
        let entry = NewEntry { stream: event.stream(), event: volery_proto::encode(&event).into() };
        bench.store.revoke(ada, device, bench.now(), entry).await.expect("there");
        revoked.push(device);
    }
    assert_eq!(bench.node.revoke(claims(&bob), bob.device).await, Ok(Told::OnTheLog), "behind more than a page");
    assert_eq!((told(&bench, bob.user), told(&bench, ada)), (vec![bob.device], vec![]));
    *bench.log.takes.lock() = Takes::AfterOne;
    until_empty(&bench).await;
    assert_eq!(told(&bench, ada), revoked);
}

#[tokio::test]
async fn an_append_that_was_denied_and_happened_is_told_again_and_nothing_is_skipped() {
    let bench = impatient().await;
    let ada = bench.person("ada").await.user;
    *bench.log.takes.lock() = Takes::AndDenies;
    let revoked = log_out_unheard(&bench, "ada", 3).await;
    *bench.log.takes.lock() = Takes::Everything;
    until_empty(&bench).await;
    let mut heard = told(&bench, ada);
    assert!(heard.len() > revoked.len(), "at least once: {heard:?}");
    heard.dedup();
    assert_eq!(heard, revoked, "in order, whatever came twice");
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_log_is_back() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    *bench.log.takes.lock() = Takes::Nothing;
    let (node, caller) = (bench.node.clone(), claims(&grant));
    let waiting = tokio::spawn(async move { node.revoke(caller, caller.device).await });
    bench.log.tried(3).await;
    assert!(!waiting.is_finished());
    *bench.log.takes.lock() = Takes::Everything;
    assert_eq!(waiting.await.expect("ran"), Ok(Told::OnTheLog));
    assert_eq!(told(&bench, grant.user), [grant.device]);
}

#[tokio::test]
async fn another_start_tells_what_the_last_one_left() {
    let bench = impatient().await;
    let ada = bench.person("ada").await.user;
    *bench.log.takes.lock() = Takes::Nothing;
    let revoked = log_out_unheard(&bench, "ada", 2).await;
    let Bench { store, clock, log, node } = bench;
    drop(node);
    *log.takes.lock() = Takes::Everything;
    let node = start(options(), &store, &clock, &log).await;
    let bench = Bench { store, clock, log, node };
    until_empty(&bench).await;
    assert_eq!(told(&bench, ada), revoked);
}

#[tokio::test]
async fn of_two_nodes_one_relays_and_the_other_hears_of_it() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    bench.relays().await;
    let quiet = test_log();
    let follower = start(options(), &bench.store, &bench.clock, &quiet).await;
    assert_eq!(follower.revoke(claims(&grant), grant.device).await, Ok(Told::OnTheLog));
    assert_eq!(told(&bench, grant.user), [grant.device]);
    assert!(quiet.events.lock().is_empty(), "who follows appends nothing");

    let next = bench.log_in("ada").await.expect("logged in");
    let Bench { node, .. } = bench;
    drop(node);
    assert_eq!(follower.revoke(claims(&next), next.device).await, Ok(Told::OnTheLog), "it leads now");
    assert_eq!(quiet.events.lock().len(), 1);
}

#[tokio::test]
async fn who_has_lost_the_lead_appends_nothing() {
    let bench = bench().await;
    bench.relays().await;
    let ada = bench.person("ada").await;
    bench.store.forget_lead();
    let elsewhere = bench.store.outbox_lead().await.expect("there").expect("free");
    let waits = tokio::time::timeout(Duration::from_millis(100), bench.node.revoke(claims(&ada), ada.device)).await;
    assert!(waits.is_err(), "nobody relays");
    assert!(told(&bench, ada.user).is_empty());
    drop(elsewhere);
    until_empty(&bench).await;
    assert_eq!(told(&bench, ada.user), [ada.device], "the lead is free again");
}
