//! The node put together: threads, their partitions, the door. Options → start → handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::{Arbiter, ArbiterHandle};
use rustls::ServerConfig;
use tokio::sync::{mpsc, oneshot, watch};
use volery_kernel::generator::Generator;
use volery_kernel::map::PartitionMap;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Clock;
use volery_node::health::{Health, Part};
use volery_node::metrics::Metrics;
use volery_ports::accounts::Accounts;
use volery_ports::bus::Bus;
use volery_ports::history::History;
use volery_ports::log::Log;

use crate::core::pace::Rate;
use crate::greeter;
use crate::timing::{self, Timing};
use crate::voice::{Voice, voice};
use crate::worker::{Stop, Worker};

/// What may differ between nodes.
#[derive(Clone, Debug)]
pub struct Options {
    /// As the map names this node.
    pub name: String,
    /// Where the door listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads of sessions and partitions, at least 1.
    pub threads: usize,
    /// How fast one session may send; a change takes hold of those that are open. Once the sender is dropped,
    /// the last one stays.
    pub rate: watch::Receiver<Rate>,
    /// Bytes of the newest events held in memory, of all partitions together.
    pub tail_bytes: usize,
}

/// What the node works with. One generator a thread, so that taking an id takes no lock.
pub struct Parts {
    /// Where sends go and events come from.
    pub log: Arc<dyn Log>,
    /// Who people are.
    pub accounts: Arc<dyn Accounts>,
    /// The past.
    pub history: Arc<dyn History>,
    /// Who is typing, who is online: what may be lost.
    pub bus: Arc<dyn Bus>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Makes a thread's generator; numbers are reserved by whoever gives it.
    pub generators: Vec<Arc<parking_lot::Mutex<Generator>>>,
    /// What the door shows its clients; without it they come unencrypted.
    pub tls: Option<Arc<ServerConfig>>,
    /// What the node counts.
    pub metrics: Metrics,
    /// What the node says of itself.
    pub health: Health,
    /// Who owns what, as far as is known; only a larger version changes anything. Once the sender is dropped,
    /// the last one stays.
    pub map: watch::Receiver<Arc<PartitionMap>>,
    /// Whether the cluster refuses this node. While it does, nobody is taken in, and who is here is told to
    /// reconnect: others serve them. Once the sender is dropped, the last word stays.
    pub refused: watch::Receiver<bool>,
}

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("the door cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Fewer generators than threads.
    #[error("{threads} threads need as many generators, and there are {generators}")]
    Generators {
        /// Threads asked for.
        threads: usize,
        /// Generators given.
        generators: usize,
    },
    /// The map is another cluster's.
    #[error("the map speaks of {map} partitions, and the log has {log}")]
    Partitions {
        /// Those of the map.
        map: usize,
        /// Those of the log.
        log: u16,
    },
    /// A thread ended while it started.
    #[error("a thread of the messaging node did not start")]
    Thread,
}

/// Everything that all threads share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) partitions: Partitions,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) voice: Voice,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timing: Timing,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) metrics: Metrics,
    pub(crate) map: watch::Receiver<Arc<PartitionMap>>,
    pub(crate) refused: watch::Receiver<bool>,
}

/// A running node.
pub struct MessagingNode {
    address: SocketAddr,
    threads: Vec<(Arbiter, Addr<Worker>)>,
    stop_greeting: Vec<oneshot::Sender<()>>,
    shared: Arc<Shared>,
    part: Part,
}

impl MessagingNode {
    /// Starts the threads, reads the newest records of every partition that the map gives to this node, then
    /// opens the door.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options, parts: Parts) -> Result<Self, StartError> {
        let Parts { log, accounts, history, bus, clock, generators, tls, metrics, health, map, refused } = parts;
        let threads = options.threads.max(1);
        if generators.len() < threads {
            return Err(StartError::Generators { threads, generators: generators.len() });
        }
        let listener = listen(options.listen).map_err(|error| StartError::Listen(options.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(options.listen, error))?;
        let partitions = same_partitions(log.partitions(), &map.borrow())?;
        let (voice, speaking) = voice(Arc::clone(&bus), metrics.clone());
        let timing = Timing::new(health.part("clock"));
        let shared = Arc::new(Shared {
            options,
            partitions,
            log,
            accounts,
            history,
            bus,
            voice,
            clock,
            timing,
            tls,
            metrics,
            map,
            refused,
        });
        let part = health.part("messaging");
        let mut started = Vec::with_capacity(threads);
        for (thread, generator) in generators.into_iter().take(threads).enumerate() {
            started.push(start_thread(thread, threads, &shared, generator).await?);
        }
        if let Some((arbiter, _)) = started.first() {
            arbiter.spawn(speaking);
            arbiter.spawn(timing::watch(Arc::clone(&shared)));
        }
        let workers: Vec<_> = started.iter().map(|(_, worker)| worker.clone()).collect();
        let mut stop_greeting = Vec::with_capacity(threads);
        for (arbiter, _) in &started {
            let listener = listener.try_clone().map_err(|error| StartError::Listen(address, error))?;
            stop_greeting.push(greet_on(&arbiter.handle(), listener, &shared, &workers));
        }
        part.ready();
        Ok(Self { address, threads: started, stop_greeting, shared, part })
    }

    /// Where the door listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Before stage one, of a node that drains or is no member any more: waits until others own what it had and its
    /// sessions have gone there, at most for `within`. Not at all if nobody else serves.
    pub async fn hand_over(&self, within: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let Shared { options, partitions, map, metrics, .. } = &*self.shared;
        let mut map = map.clone();
        let moved = async {
            let is_rid = |map: &PartitionMap| !partitions.iter().any(|one| map.is_owned_by(one, &options.name));
            let is_alone =
                |map: &PartitionMap| !map.members().iter().any(|other| other.serves() && other.name != options.name);
            // Where nobody tells of maps any more, the last one stays.
            if map.wait_for(|map| is_rid(map) || is_alone(map)).await.is_ok_and(|map| !is_alone(&map)) {
                while metrics.sessions.get() > 0 {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        if tokio::time::timeout(within, moved).await.is_err() {
            tracing::info!("not all partitions and sessions went to other nodes in time");
        }
    }

    /// Stage one of a shutdown: accepts nothing more and closes every session with *going away*.
    /// Answers when they are closed, or after `within`.
    pub async fn drain(&mut self, within: Duration) {
        self.part.down("closing");
        self.stop_greeting.clear();
        let closing = self.threads.iter().map(|(_, worker)| worker.send(Stop));
        let closed = futures::future::join_all(closing);
        if tokio::time::timeout(within, closed).await.is_err() {
            tracing::warn!("sessions were still open at the end of their time");
        }
    }

    /// Stage two: ends the threads.
    pub fn stop(self) {
        for (arbiter, _) in self.threads {
            arbiter.stop();
            // A thread that panicked has nothing left to end.
            let _ = arbiter.join();
        }
    }
}

fn same_partitions(log: Partitions, map: &PartitionMap) -> Result<Partitions, StartError> {
    let same = usize::from(log.count()) == map.partitions();
    same.then_some(log).ok_or(StartError::Partitions { map: map.partitions(), log: log.count() })
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    const BACKLOG: i32 = 4_096;
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Partition p belongs to thread p modulo the number of threads, whether this node serves it or not.
pub(crate) fn thread_of(partition: Partition, threads: usize) -> usize {
    usize::from(partition.0) % threads
}

async fn start_thread(
    thread: usize,
    threads: usize,
    shared: &Arc<Shared>,
    generator: Arc<parking_lot::Mutex<Generator>>,
) -> Result<(Arbiter, Addr<Worker>), StartError> {
    let arbiter = Arbiter::new();
    let (address, started) = oneshot::channel();
    let (ready, mut all_ready) = mpsc::channel(1);
    let shared = Arc::clone(shared);
    arbiter.spawn_fn(move || {
        let mine = move |partition: Partition| thread_of(partition, threads) == thread;
        let worker = Worker::new(shared, generator, Box::new(mine), ready).start();
        // Whoever starts the thread waits for the address.
        let _ = address.send(worker);
    });
    let worker = started.await.map_err(|_| StartError::Thread)?;
    all_ready.recv().await.ok_or(StartError::Thread)?;
    Ok((arbiter, worker))
}

/// Accepts on a thread until the sender is dropped.
fn greet_on(
    arbiter: &ArbiterHandle,
    listener: std::net::TcpListener,
    shared: &Arc<Shared>,
    workers: &[Addr<Worker>],
) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    let (shared, workers) = (Arc::clone(shared), workers.to_vec());
    arbiter.spawn_fn(move || {
        actix_rt::spawn(greeter::accept_until(stopped, listener, shared, workers));
    });
    stop
}
