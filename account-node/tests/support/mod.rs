//! A node on the model of the account store, with a clock, ids, randomness and a log of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use volery_account::{AccountNode, AccountOptions, AccountParts, EventSink, HashCost, NotAppended};
use volery_kernel::event::Event;
use volery_kernel::id::UserId;
use volery_kernel::time::{Clock as _, Timestamp};
use volery_ports::account_service::{AccountError, AccountService as _, Grant, LogIn, Registration, User};
use volery_ports::accounts::Claims;
use volery_testkit::sql::{CountedIds, ManualClock, Model};

/// What a test wants of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Everything,
    Nothing,
    /// Everything but this user's.
    AllBut(UserId),
    /// Everything, and says that it did not.
    AndDenies,
    /// Nothing once, then everything.
    AfterOne,
}

/// A log that keeps what it took.
pub(crate) struct TestLog {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) takes: Mutex<Takes>,
    attempts: watch::Sender<usize>,
}

impl TestLog {
    /// Waits until so many more appends were tried.
    pub(crate) async fn tried(&self, more: usize) {
        let mut attempts = self.attempts.subscribe();
        let until = *attempts.borrow() + more;
        attempts.wait_for(|tried| *tried >= until).await.expect("the log is there");
    }
}

#[async_trait]
impl EventSink for TestLog {
    async fn append(&self, event: Event) -> Result<(), NotAppended> {
        let mut takes = self.takes.lock();
        if *takes == Takes::AfterOne {
            *takes = Takes::Everything;
            self.attempts.send_modify(|tried| *tried += 1);
            return Err(NotAppended("once".into()));
        }
        let takes = *takes;
        let stream = event.stream();
        if matches!(takes, Takes::Everything | Takes::AndDenies)
            || matches!(takes, Takes::AllBut(user) if stream != volery_kernel::chat::Recipient::User(user))
        {
            self.events.lock().push(event);
        }
        self.attempts.send_modify(|tried| *tried += 1);
        let taken = takes == Takes::Everything || matches!(takes, Takes::AllBut(user) if stream.id() != user.0);
        if taken { Ok(()) } else { Err(NotAppended("told so".into())) }
    }
}

pub(crate) struct Bench {
    pub(crate) store: Arc<Model>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<TestLog>,
    pub(crate) node: Arc<AccountNode>,
}

pub(crate) const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };

pub(crate) fn options() -> AccountOptions {
    AccountOptions {
        hash_cost: CHEAP,
        relay_every: Duration::from_millis(5),
        tell_within: Duration::from_secs(60),
        ..AccountOptions::default()
    }
}

pub(crate) async fn bench() -> Bench {
    bench_with(options()).await
}

pub(crate) async fn bench_with(options: AccountOptions) -> Bench {
    let store = Arc::new(Model::default());
    let clock = Arc::new(ManualClock::default());
    let log = test_log();
    let node = start(options, &store, &clock, &log).await;
    Bench { store, clock, log, node }
}

/// A log that takes everything.
pub(crate) fn test_log() -> Arc<TestLog> {
    let (events, takes) = (Mutex::default(), Mutex::new(Takes::Everything));
    Arc::new(TestLog { events, takes, attempts: watch::Sender::new(0) })
}

/// Another node on the same store, as another process would be.
pub(crate) async fn start(
    options: AccountOptions,
    store: &Arc<Model>,
    clock: &Arc<ManualClock>,
    log: &Arc<TestLog>,
) -> Arc<AccountNode> {
    let parts = AccountParts {
        store: store.clone(),
        sink: log.clone(),
        ids: Arc::new(CountedIds::default()),
        clock: clock.clone(),
        rng: Box::new(StdRng::seed_from_u64(7)),
    };
    AccountNode::start(options, parts).await.expect("starts")
}

impl Bench {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn register(&self, name: &str) -> Result<User, AccountError> {
        let registration =
            Registration { user_name: name.into(), display_name: String::new(), password: format!("{name} password") };
        self.node.register(registration).await
    }

    pub(crate) async fn log_in(&self, name: &str) -> Result<Grant, AccountError> {
        let log_in = LogIn { user_name: name.into(), password: format!("{name} password"), device_name: String::new() };
        self.node.log_in(log_in).await
    }

    /// A user that is registered and logged in.
    pub(crate) async fn person(&self, name: &str) -> Grant {
        self.register(name).await.expect("registered");
        self.log_in(name).await.expect("logged in")
    }
}

pub(crate) fn claims(grant: &Grant) -> Claims {
    Claims { user: grant.user, device: grant.device, expires: grant.access_expires }
}
