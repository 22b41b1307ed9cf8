//! What callers meet when the other side is gone, back, silent, or one of two.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use idgen::{ClockedIds, Office, Reserved};
use kit::{Server, account_node, config_node, hasty, reads, remote};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use volery_kernel::generator::Refused;
use volery_kernel::limits;
use volery_kernel::slot::Partition;
use volery_node::health::{Health, State};
use volery_node::metrics::{AskedRole, CallOutcome, Metrics, RoleCall};
use volery_node::shutdown::{Outcome, Shutdown, Stage};
use volery_ports::account_service::{AccountError, AccountService as _, Registration};
use volery_ports::cluster::{Board as _, Cluster as _, Hold, Terms};
use volery_ports::history::{History as _, HistoryError};
use volery_ports::ids::Ids as _;
use volery_rpc::{
    AccountClient, BadEndpoint, CallOptions, ClusterClient, Doors, HistoryClient, NumbersClient, Remote, Watched,
};
use volery_testkit::cluster::{KIND, hold, terms};
use volery_testkit::cluster_store::ModelClusterStore;
use volery_testkit::sql::{ManualClock, Model};
use volery_testkit::timeline::ModelTimeline;

const P: Partition = Partition(0);

fn history_server() -> Server {
    Server::start(Doors::new().history(reads(&Arc::new(ModelTimeline::default()))))
}

/// An address where nobody listens.
fn nowhere() -> String {
    let mut server = history_server();
    server.kill();
    server.url()
}

fn registration(user_name: &str) -> Registration {
    Registration { user_name: user_name.into(), display_name: String::new(), password: "long enough".into() }
}

fn is_unavailable<T: std::fmt::Debug>(outcome: &Result<T, HistoryError>) -> bool {
    matches!(outcome, Err(HistoryError::Unavailable(_)))
}

#[tokio::test]
async fn who_is_gone_is_unavailable_and_who_is_back_answers() {
    let mut server = history_server();
    let history = HistoryClient::new(remote(&[server.url()]));
    assert_eq!(history.archived(P).await, Ok(None));
    server.kill();
    let asked = Instant::now();
    let gone = history.archived(P).await;
    assert!(is_unavailable(&gone), "{gone:?}");
    assert!(asked.elapsed() < CallOptions::default().deadline, "{:?}", asked.elapsed());
    let _back = Server::start_at(server.address, Doors::new().history(reads(&Arc::default())));
    assert_eq!(history.archived(P).await, Ok(None), "at its first call");
}

/// What is told of the calls of a role.
struct Told {
    role: AskedRole,
    health: Health,
    metrics: Metrics,
}

impl Told {
    fn of(role: AskedRole) -> Self {
        Self { role, health: Health::new(), metrics: Metrics::new().expect("metrics") }
    }

    fn watched(&self) -> Watched {
        Watched::new(self.role, self.metrics.clone(), self.health.part("asked"))
    }

    fn state(&self) -> State {
        self.health.report().parts["asked"].clone()
    }

    fn calls(&self, outcome: CallOutcome) -> u64 {
        self.metrics.role_calls.of(RoleCall { role: self.role, outcome }).get()
    }

    fn measured(&self) -> u64 {
        self.metrics.role_seconds.of(self.role).get_sample_count()
    }
}

#[tokio::test]
async fn whether_a_role_answers_is_counted_and_said() {
    let (mut server, told) = (history_server(), Told::of(AskedRole::History));
    let history = HistoryClient::new(remote(&[server.url()]).watched(told.watched()));
    assert_eq!(told.state(), State::Ready, "nobody was asked yet");
    assert_eq!(history.archived(P).await, Ok(None));
    assert_eq!((told.state(), told.calls(CallOutcome::Answered)), (State::Ready, 1));
    server.kill();
    let gone = history.archived(P).await;
    assert!(is_unavailable(&gone), "{gone:?}");
    assert_eq!(told.calls(CallOutcome::NotSent) + told.calls(CallOutcome::Lost), 1, "however often it was tried");
    assert!(matches!(told.state(), State::Degraded(why) if why.starts_with("nobody answers: ")));
    assert!(told.health.report().ready, "the rest goes on");
    let _back = Server::start_at(server.address, Doors::new().history(reads(&Arc::default())));
    assert_eq!(history.archived(P).await, Ok(None));
    assert_eq!((told.state(), told.measured()), (State::Ready, 3));
}

/// Longer than all of it takes.
const LONG: Duration = Duration::from_secs(60);

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn without_idgen_ids_last_for_what_is_reserved_and_no_longer() {
    let (clock, store) = (Arc::new(ManualClock::default()), Arc::new(Model::default()));
    let office = || Doors::new().numbers(Arc::new(Office::new(store.clone(), clock.clone())));
    let (mut server, told) = (Server::start(office()), Told::of(AskedRole::Idgen));
    let numbers = NumbersClient::new(remote(&[server.url()]).watched(told.watched()));
    let reserved = Reserved::take(Arc::new(numbers), "a process".into(), 1).await.expect("a number");
    let (ids, horizon) = (ClockedIds::new(reserved.generators()[0].clone(), clock.clone()), reserved.horizon());
    let renewing = tokio::spawn(reserved.renew(clock.clone()));
    // It counts from when it begins.
    tokio::task::yield_now().await;
    let first = horizon();
    clock.advance(limits::RESERVE_EVERY_MS.value);
    until("each minute it is renewed", || horizon() > first).await;

    server.kill();
    let last = horizon();
    clock.advance(limits::RESERVE_EVERY_MS.value);
    until("idgen is missed", || matches!(told.state(), State::Degraded(_))).await;
    assert!(ids.take().is_ok(), "it had nine minutes left");
    clock.advance(limits::RESERVE_AHEAD_MS.value - limits::RESERVE_EVERY_MS.value);
    assert_eq!((ids.take(), horizon()), (Err(Refused::Reservation { until: last }), last));

    let _back = Server::start_at(server.address, office());
    until("it is renewed once idgen is back", || horizon() > last).await;
    assert_eq!(told.state(), State::Ready);
    assert!(ids.take().is_ok());
    renewing.abort();
}

#[tokio::test]
async fn who_refuses_is_there_and_who_lets_wait_takes_no_time() {
    let told = Told::of(AskedRole::Config);
    let node = config_node(Arc::default(), Arc::default(), Shutdown::new()).await;
    let server = Server::start(Doors::new().cluster(node));
    let cluster = ClusterClient::new(hasty(&[server.url()]).watched(told.watched()));
    let other = Hold { terms: Terms { partitions: 9, ..terms() }, ..hold("a", "p") };
    assert!(cluster.hold(other).await.is_err());
    assert_eq!((told.state(), told.calls(CallOutcome::Refused), told.measured()), (State::Ready, 1, 1));
    assert!(cluster.map(KIND, 1, Duration::from_millis(20)).await.is_ok());
    assert_eq!((told.calls(CallOutcome::Answered), told.measured()), (1, 1));
}

#[tokio::test]
async fn nobody_has_to_be_up_first() {
    let mut server = history_server();
    server.kill();
    let history = HistoryClient::new(hasty(&[server.url()]));
    let early = history.archived(P).await;
    assert!(is_unavailable(&early), "{early:?}");
    let _up = Server::start_at(server.address, Doors::new().history(reads(&Arc::default())));
    assert_eq!(history.archived(P).await, Ok(None));
}

/// By a clock that stands still while anybody works: however slow the machine is.
#[tokio::test(start_paused = true)]
async fn deadlines_hold_where_nobody_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let history = HistoryClient::new(hasty(&[format!("http://{}", silent.local_addr().expect("an address"))]));
    let asked = Instant::now();
    let unanswered = history.archived(P).await;
    let took = asked.elapsed();
    assert!(is_unavailable(&unanswered), "{unanswered:?}");
    assert!(took >= Duration::from_millis(450) && took < Duration::from_millis(1_400), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_endpoints_one_may_be_killed_and_no_call_fails() {
    let (mut one, two) = (history_server(), history_server());
    let history = Arc::new(HistoryClient::new(remote(&[one.url(), two.url()])));
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let (history, stop, calls) = (history.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(history.archived(P).await, Ok(None));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let reach = async |goal: usize| {
        while calls.load(Ordering::Relaxed) < goal && askers.iter().all(|asker| !asker.is_finished()) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    reach(200).await;
    one.kill();
    reach(calls.load(Ordering::Relaxed) + 500).await;
    let _back = Server::start_at(one.address, Doors::new().history(reads(&Arc::default())));
    reach(calls.load(Ordering::Relaxed) + 500).await;
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.expect("no call failed");
    }
}

#[tokio::test]
async fn a_silent_endpoint_takes_few_calls_from_one_that_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let server = history_server();
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    // Before the connection is given up for want of a sign of life, and longer than a busy machine takes to answer.
    let options = CallOptions { deadline: Duration::from_secs(1), ..CallOptions::default() };
    let history = HistoryClient::new(Remote::new(&[silent, server.url()], options).expect("endpoints"));
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(history.archived(P).await.is_err());
    }
    assert!((1..=20).contains(&failed), "{failed} of 100 were lost to the silent one: taking turns, it is half");
}

#[tokio::test]
async fn an_endpoint_that_stands_still_costs_time_and_no_call() {
    let still = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let server = history_server();
    let still = format!("http://{}", still.local_addr().expect("an address"));
    let options = CallOptions { deadline: Duration::from_secs(10), ..CallOptions::default() };
    let history = HistoryClient::new(Remote::new(&[still, server.url()], options).expect("endpoints"));
    for call in 0..50 {
        assert_eq!(history.archived(P).await, Ok(None), "call {call}");
    }
}

/// Takes connections, reads a request's beginning and hangs up; counts how often.
async fn hangs_up() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut beginning = [0; 200];
            if socket.read_exact(&mut beginning).await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (url, count)
}

#[tokio::test]
async fn what_changes_something_is_sent_once_and_what_looks_again() {
    let (url, count) = hangs_up().await;
    let accounts = AccountClient::new(remote(&[url]));
    let lost = accounts.register(registration("ada")).await;
    assert!(matches!(lost, Err(AccountError::Unavailable(_))), "{lost:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let lost = accounts.user_by_name("ada").await;
    assert!(matches!(lost, Err(AccountError::Unavailable(_))), "{lost:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1 + 3, "an attempt and two more");
}

#[tokio::test]
async fn what_changes_something_goes_elsewhere_if_it_was_not_sent() {
    let subject = account_node(Arc::new(Model::default())).await;
    let server = Server::start(Doors::new().accounts(subject.accounts));
    let accounts = AccountClient::new(remote(&[nowhere(), nowhere(), server.url(), nowhere(), nowhere()]));
    for name in ["ada", "ben", "cleo", "dora", "emil", "fay"] {
        assert_eq!(accounts.register(registration(name)).await.map(|user| user.user_name), Ok(name.to_owned()));
    }
}

#[tokio::test]
async fn a_role_that_is_not_there_is_a_fault_and_not_asked_again() {
    let server = history_server();
    let accounts = AccountClient::new(remote(&[server.url()]));
    let foreign = accounts.user_by_name("ada").await;
    assert!(matches!(foreign, Err(AccountError::Fault(_))), "{foreign:?}");
}

#[tokio::test]
async fn leaving_is_told_and_waits_for_nobody_who_watches() {
    let server = history_server();
    let history = HistoryClient::new(hasty(&[server.url()]));
    assert_eq!(history.archived(P).await, Ok(None));
    let channel = tonic::transport::Endpoint::from_shared(server.url()).expect("a URL").connect_lazy();
    let mut health = HealthClient::new(channel);
    let service = "volery.history.v1.History".to_owned();
    let watch = health.watch(HealthCheckRequest { service }).await.expect("watched");
    let mut watch = watch.into_inner();
    let mut next = async || watch.message().await.map(|news| news.map(|news| news.status()));
    assert_eq!(next().await.expect("news"), Some(ServingStatus::Serving));
    server.drain();
    assert_eq!(next().await.expect("news"), Some(ServingStatus::NotServing));
    assert_eq!(next().await.expect("the end"), None);
    assert_eq!(server.shutdown.finish(Duration::from_secs(10)).await, Outcome::Clean);
    let left = history.archived(P).await;
    assert!(is_unavailable(&left), "{left:?}");
}

#[tokio::test]
async fn endpoints_are_urls_with_a_port() {
    let judged = |urls: &[&str]| Remote::new(urls, CallOptions::default()).err();
    assert_eq!(judged(&["http://127.0.0.1:1", "http://node.example:8411"]), None);
    assert_eq!(judged(&[]), Some(BadEndpoint::None));
    for bad in ["", "node", "127.0.0.1:1", "http://node", "https://node:1", "http://node:port"] {
        assert_eq!(judged(&[bad]), Some(BadEndpoint::NotAUrl { url: bad.to_owned(), scheme: "http" }), "{bad}");
    }
}

/// A config-node behind a door, both leaving by one word.
async fn cluster_server(store: &Arc<ModelClusterStore>, shutdown: &Shutdown) -> Server {
    let node = config_node(store.clone(), Arc::new(ManualClock::default()), shutdown.clone()).await;
    Server::start(Doors::new().cluster(node))
}

#[tokio::test]
async fn a_watch_outlives_the_deadline_and_the_config_node_that_it_waited_on() {
    let (store, shutdown) = (Arc::new(ModelClusterStore::default()), Shutdown::new());
    let (mut one, two) = (cluster_server(&store, &shutdown).await, cluster_server(&store, &shutdown).await);
    let (at_one, at_two) = (remote(&[one.url(), two.url()]), remote(&[two.url()]));
    let watching = tokio::spawn(async move { ClusterClient::new(at_one).map(KIND, 1, Duration::from_secs(20)).await });
    sleep(CallOptions::default().deadline + Duration::from_millis(500)).await;
    assert!(!watching.is_finished(), "a watch waits longer than a look-up");
    one.kill();
    assert_eq!(ClusterClient::new(at_two).hold(hold("a", "p")).await, Ok(()));
    let map = watching.await.expect("no panic");
    assert_eq!(map.map(|map| map.version()), Ok(2));
}

#[tokio::test]
async fn a_config_node_that_leaves_lets_nobody_wait() {
    let (store, shutdown) = (Arc::new(ModelClusterStore::default()), Shutdown::new());
    let server = cluster_server(&store, &shutdown).await;
    let cluster = ClusterClient::new(remote(&[server.url()]));
    let asked = Instant::now();
    let leave = async {
        sleep(Duration::from_millis(50)).await;
        shutdown.advance(Stage::Draining);
        server.drain();
    };
    let (map, ()) = tokio::join!(cluster.map(KIND, 1, Duration::from_secs(20)), leave);
    assert_eq!(map.map(|map| map.version()), Ok(1), "as it is");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(server.shutdown.finish(Duration::from_secs(20)).await, Outcome::Clean);
}
