//! What every other node does with a [`Cluster`]: asks whether it may use its log, holds its lease, follows the map
//! and the settings. Who has no others beside it follows the settings on a [`Board`] alone.
//!
//! All of it goes on for ever, whatever fails: who cannot reach a config-node carries on with what it
//! knew, and says so once, not at each try. Trap avoided: an answer from a config-node that is behind is
//! older than what is known; it is left aside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use volery_kernel::limits;
use volery_kernel::map::{MemberState, NodeKind, PartitionMap};
use volery_ports::cluster::{Board, Cluster, Hold, HoldError, Settings, Terms, Unavailable};

/// How long one question waits for news. Connections in between last longer than that.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause before the next question when one brought nothing new.
const PAUSE: Duration = Duration::from_millis(250);

/// How it stands with a node's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No config-node has said anything yet.
    #[default]
    Unknown,
    /// It is held: a config-node has said so within a second.
    Held,
    /// It was held when last a config-node answered; now none does, for this reason. That takes no lease from anybody.
    Unanswered(String),
    /// A config-node said no: anything but [`HoldError::Unavailable`]. It is asked again:
    /// a node that was killed and starts anew is told that its name is taken until its old lease has
    /// ended, [`limits::LEASE_MS`] at most.
    Refused(HoldError),
}

impl Standing {
    /// Nobody answers. Answers whether that is news: it is none to who had no lease.
    fn goes_unanswered(&mut self, reason: String) -> bool {
        let news = *self == Self::Held;
        if news {
            *self = Self::Unanswered(reason);
        }
        news
    }
}

/// A lease that is renewed until this is dropped.
pub struct HeldLease {
    cluster: Arc<dyn Cluster>,
    hold: Hold,
    say: watch::Sender<Standing>,
    renewing: JoinHandle<()>,
}

impl HeldLease {
    /// How it stands, now and from now on.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.say.subscribe()
    }

    /// Says from now on that this node is about to leave: it is drained, and stays a member meanwhile.
    ///
    /// # Errors
    /// Nobody could be asked, or the lease is not held: nobody takes over what this node has.
    pub async fn drain(&mut self) -> Result<(), HoldError> {
        self.renewing.abort();
        self.hold.member.state = MemberState::Draining;
        let told = self.cluster.hold(self.hold.clone()).await;
        self.renewing = tokio::spawn(renew(Arc::clone(&self.cluster), self.hold.clone(), self.say.clone()));
        told
    }

    /// Renews no more and gives the lease up: others own its partitions within a second, instead of after
    /// [`limits::LEASE_MS`].
    ///
    /// # Errors
    /// Nobody could be asked: it ends by itself.
    pub async fn leave(self) -> Result<(), Unavailable> {
        self.renewing.abort();
        self.cluster.leave(self.hold.kind, &self.hold.member.name, &self.hold.process).await
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Takes a lease and renews it each [`limits::LEASE_EVERY_MS`].
#[must_use]
pub fn hold_lease(cluster: Arc<dyn Cluster>, hold: Hold) -> HeldLease {
    let say = watch::Sender::new(Standing::default());
    let renewing = tokio::spawn(renew(Arc::clone(&cluster), hold.clone(), say.clone()));
    HeldLease { cluster, hold, say, renewing }
}

async fn renew(cluster: Arc<dyn Cluster>, hold: Hold, say: watch::Sender<Standing>) {
    let mut reach = Reach::new("lease");
    let mut ticks = interval(Duration::from_millis(limits::LEASE_EVERY_MS.value));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let standing = match cluster.hold(hold.clone()).await {
            Ok(()) => Standing::Held,
            Err(HoldError::Unavailable(error)) => {
                reach.lost(&error);
                say.send_if_modified(|now| now.goes_unanswered(error.0));
                continue;
            }
            Err(error) => Standing::Refused(error),
        };
        reach.answered();
        say.send_if_modified(|now| {
            let other = *now != standing;
            if let Standing::Refused(error) = &standing
                && other
            {
                tracing::error!(%error, "this node is not part of the cluster");
            }
            *now = standing;
            other
        });
    }
}

/// Whether a node may use the log that it names ([`Cluster::admit`]). Waits for the first answer of a config-node.
///
/// # Errors
/// It may not; never [`HoldError::Unavailable`].
pub async fn admitted(cluster: &dyn Cluster, node: &Terms, opened: bool) -> Result<(), HoldError> {
    let mut reach = Reach::new("admission");
    loop {
        match cluster.admit(node, opened).await {
            Err(HoldError::Unavailable(error)) => reach.not_yet(&error),
            judged => {
                reach.answered();
                return judged;
            }
        }
        sleep(PAUSE).await;
    }
}

/// The newest map of a kind of node, from the first answer of a config-node on; waits for that. Followed until
/// nobody looks at it any more.
pub async fn follow_map(cluster: Arc<dyn Cluster>, kind: NodeKind) -> watch::Receiver<Arc<PartitionMap>> {
    let ask = move |seen, patience| {
        let cluster = Arc::clone(&cluster);
        async move { cluster.map(kind, seen, patience).await }
    };
    follow("map", ask, PartitionMap::version).await
}

/// The newest settings; none are set until somebody has answered, which is not waited for: a node starts
/// with its own configuration. Followed until nobody looks at them any more.
#[must_use]
pub fn follow_settings(board: Arc<dyn Board>) -> watch::Receiver<Arc<Settings>> {
    let ask = move |seen, patience| {
        let board = Arc::clone(&board);
        async move { board.settings(seen, patience).await }
    };
    keep_on(Reach::new("settings"), ask, |settings| settings.version, Settings::default())
}

async fn follow<T, A, F>(what: &'static str, ask: A, version: fn(&T) -> u64) -> watch::Receiver<Arc<T>>
where
    T: Send + Sync + 'static,
    A: Fn(u64, Duration) -> F + Send + 'static,
    F: Future<Output = Result<T, Unavailable>> + Send,
{
    let mut reach = Reach::new(what);
    let first = loop {
        match ask(0, Duration::ZERO).await {
            Ok(first) => break first,
            Err(error) => reach.not_yet(&error),
        }
        sleep(PAUSE).await;
    };
    reach.answered();
    keep_on(reach, ask, version, first)
}

fn keep_on<T, A, F>(reach: Reach, ask: A, version: fn(&T) -> u64, first: T) -> watch::Receiver<Arc<T>>
where
    T: Send + Sync + 'static,
    A: Fn(u64, Duration) -> F + Send + 'static,
    F: Future<Output = Result<T, Unavailable>> + Send,
{
    let (show, watched) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        let shown = show.clone();
        tokio::select! {
            () = go_on(reach, ask, version, show) => {}
            () = shown.closed() => {}
        }
    });
    watched
}

async fn go_on<T, A, F>(mut reach: Reach, ask: A, version: fn(&T) -> u64, show: watch::Sender<Arc<T>>)
where
    A: Fn(u64, Duration) -> F,
    F: Future<Output = Result<T, Unavailable>>,
{
    loop {
        let seen = version(&show.borrow());
        let answer = ask(seen, PATIENCE).await;
        match answer {
            Err(error) => reach.lost(&error),
            Ok(newest) => {
                reach.answered();
                if version(&newest) > seen {
                    show.send_replace(Arc::new(newest));
                    continue;
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// Whether it is answered, for the log: said when it changes.
struct Reach {
    what: &'static str,
    lost: bool,
}

impl Reach {
    fn new(what: &'static str) -> Self {
        Self { what, lost: false }
    }

    fn not_yet(&mut self, Unavailable(reason): &Unavailable) {
        if !self.lost {
            tracing::warn!(what = self.what, reason, "nobody answers: waiting for the first answer");
        }
        self.lost = true;
    }

    fn lost(&mut self, Unavailable(reason): &Unavailable) {
        if !self.lost {
            tracing::warn!(what = self.what, reason, "nobody answers: carrying on with what is known");
        }
        self.lost = true;
    }

    fn answered(&mut self) {
        if self.lost {
            tracing::info!(what = self.what, "somebody answers again");
        }
        self.lost = false;
    }
}
