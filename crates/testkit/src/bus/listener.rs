//! An ear that remembers what it heard, for tests.
//!
//! Trap avoided: to follow takes hold soon, not at once; so tests say something until it is heard, and judge
//! only what was said after that.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partition;
use volery_ports::bus::{Bus, Ear, News, Presence, Said, Topic};

/// What takes longer is a fault; it includes an engine that comes back.
const WITHIN: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(10);
/// Said by who wants to know whether it is heard.
const MARKER: News = News::Typing { to: UserId(Id::ZERO), from: UserId(Id::ZERO) };

fn counts(news: &News) -> bool {
    ![MARKER, News::Anew].contains(news)
}

/// See the module.
pub struct Listener {
    ear: Box<dyn Ear>,
    heard: Arc<Mutex<Vec<News>>>,
}

impl Listener {
    /// Follows these from now on.
    #[must_use]
    pub fn new(bus: &dyn Bus, topics: &[Topic]) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&heard);
        let ear = bus.listen(Arc::new(move |news| remembered.lock().push(news)));
        ear.follow(topics);
        Self { ear, heard }
    }

    /// The ear itself.
    #[must_use]
    pub fn ear(&self) -> &dyn Ear {
        self.ear.as_ref()
    }

    /// What it heard since it was asked last, but [`News::Anew`].
    #[must_use]
    pub fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.heard.lock()).into_iter().filter(counts).collect()
    }

    /// Forgets that it was told so.
    pub fn forget_anew(&self) {
        self.heard.lock().retain(|news| *news != News::Anew);
    }

    /// Waits until it was told that it may have missed something.
    pub async fn anew(&self) {
        until("to hear that it begins anew", async || self.heard.lock().contains(&News::Anew)).await;
    }

    /// Waits until exactly these were heard, in this order.
    pub async fn hears(&self, expected: &[News]) {
        let all = async || self.heard.lock().iter().filter(|news| counts(news)).count() >= expected.len();
        until("to hear as much", all).await;
        assert_eq!(self.take(), expected);
    }

    /// Has `by` type to nobody in the partition until that is heard. Nothing of it is remembered.
    pub async fn catch_up(&self, by: &dyn Bus, partition: Partition) {
        let News::Typing { to, from } = MARKER else { return };
        until("to hear what it follows", async || {
            // Whoever is away says nothing, and is asked again.
            let _ = by.say(vec![Said::Typing { partition, to, from }]).await;
            let mut heard = self.heard.lock();
            let before = heard.len();
            heard.retain(|news| *news != MARKER);
            heard.len() < before
        })
        .await;
    }
}

/// Waits until something holds.
///
/// # Panics
/// If that takes too long.
pub(super) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(WITHIN, async {
        while !holds().await {
            tokio::time::sleep(EVERY).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain {what}");
}

/// Waits until a user's presence is this.
///
/// # Panics
/// If that takes too long.
pub(super) async fn until_presence(bus: &dyn Bus, user: UserId, expected: Presence) {
    until("for a presence", async || bus.presence(&[user]).await == Ok(vec![expected])).await;
}
