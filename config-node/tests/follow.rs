//! Followers keep the newest that they were ever told, whatever they are told and however long nobody is
//! there.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use volery_config::follow::{Standing, admitted, follow_map, follow_settings, hold_lease};
use volery_kernel::map::{NodeKind, PartitionMap};
use volery_ports::accounts::Unavailable;
use volery_ports::cluster::{
    Board, Change, ChangeError, Cluster, Drain, Hold, HoldError, Order, OrderError, Setting, Settings, Terms,
};
use volery_testkit::cluster::{KIND, hold};
use volery_testkit::cluster_store::map;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Says what it was told to, one answer a question, each a version, and then nothing more. Tells which
/// versions had been seen.
struct Script {
    versions: Mutex<VecDeque<Option<u64>>>,
    holds: Mutex<VecDeque<Result<(), HoldError>>>,
    asked: mpsc::UnboundedSender<u64>,
}

fn away() -> Unavailable {
    Unavailable("away".into())
}

fn script(versions: &[Option<u64>], holds: Vec<Result<(), HoldError>>) -> (Arc<Script>, mpsc::UnboundedReceiver<u64>) {
    let (asked, questions) = mpsc::unbounded_channel();
    let versions = Mutex::new(versions.iter().copied().collect());
    (Arc::new(Script { versions, holds: Mutex::new(holds.into()), asked }), questions)
}

impl Script {
    async fn next(&self, seen: u64) -> Result<u64, Unavailable> {
        let _ = self.asked.send(seen);
        let next = self.versions.lock().await.pop_front();
        match next {
            Some(version) => version.ok_or_else(away),
            None => std::future::pending().await,
        }
    }

    async fn held(&self) -> Result<(), HoldError> {
        let next = self.holds.lock().await.pop_front();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Cluster for Script {
    async fn admit(&self, _: &Terms, _: bool) -> Result<(), HoldError> {
        self.held().await
    }

    async fn hold(&self, _: Hold) -> Result<(), HoldError> {
        self.held().await
    }

    async fn leave(&self, _: NodeKind, _: &str, _: &str) -> Result<(), Unavailable> {
        Err(away())
    }
}

#[async_trait]
impl Board for Script {
    async fn map(&self, _: NodeKind, seen: u64, _: Duration) -> Result<PartitionMap, Unavailable> {
        Ok(map(self.next(seen).await?, &[], &[None]))
    }

    async fn settings(&self, seen: u64, _: Duration) -> Result<Settings, Unavailable> {
        Ok(Settings { version: self.next(seen).await?, settings: Vec::new() })
    }

    async fn change(&self, _: Change) -> Result<Setting, ChangeError> {
        Err(away().into())
    }

    async fn drains(&self, _: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        Err(away())
    }

    async fn order(&self, _: Order) -> Result<PartitionMap, OrderError> {
        Err(away().into())
    }
}

const ANSWERS: [Option<u64>; 7] = [None, Some(5), Some(7), None, Some(6), Some(7), Some(8)];

/// What each question names as seen: the first is asked twice, and answers that fail or are behind
/// change nothing.
const SEEN: [u64; 8] = [0, 0, 5, 7, 7, 7, 7, 8];

async fn questions(mut asked: mpsc::UnboundedReceiver<u64>) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < SEEN.len() {
        let next = tokio::time::timeout(LONG, asked.recv()).await;
        seen.push(next.expect("in time").expect("asks on"));
    }
    seen
}

#[tokio::test]
async fn a_map_is_followed_through_outages_and_old_answers() {
    let (cluster, asked) = script(&ANSWERS, Vec::new());
    let map = follow_map(cluster, KIND).await;
    assert_eq!(map.borrow().version(), 5, "the first answer is waited for");
    assert_eq!(questions(asked).await, SEEN);
    assert_eq!(map.borrow().version(), 8);
}

#[tokio::test]
async fn settings_are_followed_alike_and_nobody_asks_for_nobody() {
    let (cluster, asked) = script(&ANSWERS, Vec::new());
    let settings = follow_settings(cluster.clone());
    assert_eq!(*settings.borrow().as_ref(), Settings::default(), "nobody is waited for");
    assert_eq!(questions(asked).await, SEEN);
    assert_eq!(settings.borrow().version, 8);
    drop(settings);
    let ended = async {
        while Arc::strong_count(&cluster) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, ended).await.is_ok(), "still asks");
}

#[tokio::test]
async fn who_asks_whether_it_may_use_the_log_waits_for_an_answer() {
    let refused = HoldError::Partitions { cluster: 8, node: 9 };
    let (cluster, _asked) = script(&[], vec![Err(away().into()), Err(away().into()), Ok(()), Err(refused.clone())]);
    let terms = hold("a", "p").terms;
    assert_eq!(admitted(cluster.as_ref(), &terms, false).await, Ok(()));
    assert_eq!(admitted(cluster.as_ref(), &terms, true).await, Err(refused), "that is an answer");
}

#[tokio::test]
async fn an_outage_is_said_and_takes_no_lease() {
    let refused = HoldError::Partitions { cluster: 8, node: 9 };
    let gone = || Err(away().into());
    let holds = vec![Ok(()), gone(), gone(), Ok(()), Err(refused.clone())];
    let (cluster, _asked) = script(&[], holds);
    let lease = hold_lease(cluster, hold("a", "p"));
    let mut standing = lease.standing();
    let mut seen = Vec::new();
    while seen.last() != Some(&Standing::Refused(refused.clone())) {
        assert!(tokio::time::timeout(LONG, standing.changed()).await.is_ok(), "after {seen:?}");
        seen.push(standing.borrow_and_update().clone());
    }
    let unanswered = Standing::Unanswered("away".to_owned());
    assert_eq!(seen, [Standing::Held, unanswered, Standing::Held, Standing::Refused(refused)]);
    assert_eq!(lease.leave().await, Err(away()));
}
