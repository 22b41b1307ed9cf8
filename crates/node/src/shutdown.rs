//! Leaving in two stages: stop accepting and hand over; then, at the deadline, drop what is left.
//!
//! Whoever must be waited for holds a [`Guard`] and lets go of it when it is done; at the end the names
//! of those that still hold one are known. Trap: a guard in a task that never looks at the stage waits
//! the whole deadline, so every holder selects on [`Shutdown::draining`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the shutdown is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    #[default]
    Running,
    /// Accept nothing new, finish and hand over what is there.
    Draining,
    /// Drop everything now.
    Dropping,
}

/// How a shutdown ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everybody was done in time.
    Clean,
    /// These had to be dropped, at the deadline or by a second signal.
    Dropped(Vec<&'static str>),
}

#[derive(Default)]
struct Shared {
    stage: watch::Sender<Stage>,
    /// Guards by name, and a count that changes with every one let go.
    held: Mutex<BTreeMap<&'static str, usize>>,
    count: watch::Sender<usize>,
}

/// The shutdown of one node; clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Shared>);

/// While it lives, the node waits for its holder, up to the deadline.
pub struct Guard {
    shutdown: Shutdown,
    name: &'static str,
}

impl Shutdown {
    /// A node that runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody to wait for. Several may have one name.
    #[must_use]
    pub fn guard(&self, name: &'static str) -> Guard {
        *self.held().entry(name).or_default() += 1;
        self.0.count.send_modify(|count| *count += 1);
        Guard { shutdown: self.clone(), name }
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        *self.0.stage.borrow()
    }

    /// Moves on to `stage`; never back.
    pub fn advance(&self, stage: Stage) {
        self.0.stage.send_if_modified(|now| {
            let later = stage > *now;
            *now = (*now).max(stage);
            later
        });
    }

    /// Returns once draining has begun.
    pub async fn draining(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Returns once everything must be dropped.
    pub async fn dropping(&self) {
        self.reached(Stage::Dropping).await;
    }

    async fn reached(&self, stage: Stage) {
        // The sender lives in `self`: the wait cannot end without the stage.
        let _ = self.0.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Runs the two stages once draining has begun (by [`Self::advance`] or a signal): waits for all
    /// guards until the deadline or [`Stage::Dropping`], then drops, and says who was left.
    pub async fn finish(&self, deadline: Duration) -> Outcome {
        self.draining().await;
        tokio::select! {
            () = self.all_let_go() => {}
            () = self.dropping() => {}
            () = tokio::time::sleep(deadline) => {}
        }
        let left: Vec<_> = self.held().keys().copied().collect();
        self.advance(Stage::Dropping);
        if left.is_empty() { Outcome::Clean } else { Outcome::Dropped(left) }
    }

    async fn all_let_go(&self) {
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.shutdown.held();
        if let Some(count) = held.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                held.remove(self.name);
            }
        }
        drop(held);
        self.shutdown.0.count.send_modify(|count| *count -= 1);
    }
}

/// SIGTERM and SIGINT of the process, caught from the moment this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them. Call it before the node is said to be up, inside a runtime.
    ///
    /// # Errors
    /// The process may not install handlers.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Turns signals into stages, for ever: the first drains, the second drops at once.
    pub async fn drive(mut self, shutdown: Shutdown) {
        self.next().await;
        tracing::info!("shutting down; a second signal drops everything at once");
        shutdown.advance(Stage::Draining);
        self.next().await;
        shutdown.advance(Stage::Dropping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn it_ends_as_soon_as_everybody_has_let_go() {
        let shutdown = Shutdown::new();
        for name in ["door", "door", "archive"] {
            let guard = shutdown.guard(name);
            let seen = shutdown.clone();
            tokio::spawn(async move {
                seen.draining().await;
                drop(guard);
            });
        }
        shutdown.advance(Stage::Draining);
        assert_eq!(shutdown.finish(LONG).await, Outcome::Clean);
        assert_eq!(shutdown.stage(), Stage::Dropping);
    }

    #[tokio::test]
    async fn the_deadline_names_who_is_left() {
        let shutdown = Shutdown::new();
        let _stuck = shutdown.guard("stuck");
        drop(shutdown.guard("quick"));
        shutdown.advance(Stage::Draining);
        assert_eq!(shutdown.finish(Duration::from_millis(1)).await, Outcome::Dropped(vec!["stuck"]));
    }

    #[tokio::test]
    async fn dropping_does_not_wait_for_the_deadline() {
        let shutdown = Shutdown::new();
        let _stuck = shutdown.guard("stuck");
        shutdown.advance(Stage::Draining);
        let finish = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.finish(LONG).await }
        });
        shutdown.advance(Stage::Dropping);
        assert_eq!(finish.await.expect("no panic"), Outcome::Dropped(vec!["stuck"]));
    }

    #[tokio::test]
    async fn stages_never_go_back() {
        let shutdown = Shutdown::new();
        shutdown.advance(Stage::Dropping);
        shutdown.advance(Stage::Draining);
        assert_eq!(shutdown.stage(), Stage::Dropping);
        shutdown.draining().await;
    }

    fn terminate_myself() {
        let pid = std::process::id().to_string();
        let status = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_drops() {
        let shutdown = Shutdown::new();
        let _stuck = shutdown.guard("stuck");
        let signals = Signals::catch().expect("handlers may be installed");
        tokio::spawn(signals.drive(shutdown.clone()));
        terminate_myself();
        shutdown.draining().await;
        assert_eq!(shutdown.stage(), Stage::Draining);
        terminate_myself();
        assert_eq!(shutdown.finish(LONG).await, Outcome::Dropped(vec!["stuck"]));
    }
}
