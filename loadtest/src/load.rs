//! `flood` and `pairs`: two people of each pair write to each other.
//!
//! | | when a message is sent | latency from |
//! |---|---|---|
//! | `flood` | as soon as fewer than a window of the pair's messages are unacknowledged | sending |
//! | `pairs` | at its time, whatever became of those before it | the time at which it was meant to be sent |

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join_all, select_all};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_wire::client::{History, Request};
use volery_wire::server::Reply;

use crate::account::{Account, log_in};
use crate::clock;
use crate::failure::Failure;
use crate::link::Link;
use crate::process::Cpu;
use crate::report::{Better, Figure};
use crate::server::Server;
use crate::tally::{self, Tally};

/// Bytes of a text.
const TEXT: usize = 256;
/// Everything sent must be delivered and archived within this.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
const GAPS: &str = "volery_gaps_total";
const ARCHIVED: &str = "volery_messages_total{stage=\"archived\"}";

/// What drives the clients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drive {
    /// Each side keeps half of this many messages unacknowledged.
    Window(usize),
    /// Messages a second, of all pairs together.
    Rate(u64),
}

/// How long the clients write, and how long before that nothing is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

struct Side {
    link: Link,
    peer: UserId,
    chat: ChatId,
    sent: VecDeque<u64>,
}

impl Side {
    async fn open(account: Account, peer: UserId, number: usize) -> Result<Self, Failure> {
        let link = Link::open(&account, number).await?;
        Ok(Self { link, peer, chat: ChatId::direct(account.user, peer), sent: VecDeque::new() })
    }

    fn send(&mut self, meant: u64) {
        self.sent.push_back(meant);
        self.link.send(self.peer, &tally::text(meant, TEXT));
    }

    async fn turn(&mut self, tally: &Tally) -> Result<(), Failure> {
        let Self { link, sent, .. } = self;
        let mut see = |reply: &Reply<'_>| match reply {
            Reply::Ack(_) => sent.pop_front().into_iter().for_each(|sent| tally.acked(sent)),
            Reply::Message(message) => tally.delivered(&message.text),
            _ => {}
        };
        link.turn(&mut see).await
    }

    /// Keeps `window` messages under way while `running`; then goes on reading.
    async fn flood(&mut self, window: usize, running: &Cell<bool>, tally: &Tally) -> Result<(), Failure> {
        loop {
            while running.get() && self.sent.len() < window {
                self.send(clock::nanos());
            }
            self.turn(tally).await?;
        }
    }

    /// Sends when told; ends never.
    async fn follow(&mut self, times: &mut mpsc::UnboundedReceiver<u64>, tally: &Tally) -> Result<(), Failure> {
        loop {
            tokio::select! {
                biased;
                Some(meant) = times.recv() => self.send(meant),
                seen = self.turn(tally) => seen?,
            }
        }
    }

    /// How long each of `count` newest pages took, in nanoseconds.
    async fn pages(&mut self, count: usize) -> Result<Vec<u64>, Failure> {
        let newest = History {
            chat: self.chat,
            before: None,
            after: None,
            around: None,
            around_time: None,
            cursor: None,
            limit: Some(50),
        };
        let mut took = Vec::with_capacity(count);
        while took.len() < count {
            let begun = clock::nanos();
            let mut rows = None;
            self.link.ask(&Request::History(newest.clone()));
            while rows.is_none() {
                let mut see = |reply: &Reply<'_>| {
                    if let Reply::Page(page) = reply {
                        rows = Some(page.messages.len());
                    }
                };
                self.link.turn(&mut see).await?;
            }
            if rows != Some(50) {
                return Err(Failure(format!("a page has {rows:?} rows, not 50")));
            }
            took.push(clock::nanos() - begun);
        }
        Ok(took)
    }
}

/// Runs `pairs` pairs and answers the figures, each beginning with `name`.
pub(crate) async fn run(
    server: &Server,
    name: &str,
    users: std::ops::Range<usize>,
    drive: Drive,
    span: Span,
) -> Result<Vec<Figure>, Failure> {
    let begin = users.start;
    let accounts = log_in(server, users).await?;
    let opened = accounts.iter().enumerate().map(|(at, account)| {
        // Neighbours talk to each other.
        Side::open(account.clone(), accounts[at ^ 1].user, begin + at)
    });
    let sides = join_all(opened).await.into_iter().collect::<Result<Vec<_>, _>>()?;

    let tally = Tally::new()?;
    let archived_before = server.metric(ARCHIVED).await?;
    let running = Rc::new(Cell::new(true));
    let (cpu_before, own_before) = (Cpu::of(server.pid())?, Cpu::of(std::process::id())?);
    let clients = start(sides, drive, &running, &tally);
    let writing = async {
        tokio::time::sleep(span.warm_up).await;
        tally.begin();
        let (acks, begun) = (tally.acks(), clock::nanos());
        tokio::time::sleep(span.measured).await;
        running.set(false);
        (tally.acks() - acks) as f64 / clock::since(begun).as_secs_f64()
    };
    let (rate, clients) = beside(writing, clients).await?;
    let ended = clock::nanos();
    let ((), clients) = beside(all_delivered(&tally), clients).await?;
    let archived = server.reaches(ARCHIVED, archived_before + tally.acks(), DRAINED_WITHIN);
    let (archived, clients) = beside(archived, clients).await?;
    archived?;
    let drained = clock::since(ended);
    let used = Cpu::of(server.pid())?.since(&cpu_before);
    let own = Cpu::of(std::process::id())?.since(&own_before);

    let messages = tally.acks() as f64;
    let mut figures = judged(name, drive, rate, used.total as f64 / messages);
    figures.push(Figure::plain(format!("{name}_client_cpu_us_per_message"), own.total as f64 / messages, "us"));
    figures.push(Figure::plain(format!("{name}_messages"), messages, "messages"));
    figures.push(Figure::plain(format!("{name}_gaps"), server.metric(GAPS).await? as f64, "gaps"));
    figures.push(Figure::plain(format!("{name}_archived_after"), drained.as_secs_f64() * 1_000.0, "ms"));
    for (thread, used) in &used.threads {
        let share = *used as f64 / messages;
        if share >= 0.05 {
            figures.push(Figure::plain(format!("{name}_cpu_us[{thread}]"), share, "us"));
        }
    }
    figures.extend(tally.latencies(name));
    if let Drive::Window(_) = drive {
        figures.extend(pages(clients, name).await?);
    }
    Ok(figures)
}

fn judged(name: &str, drive: Drive, rate: f64, cpu: f64) -> Vec<Figure> {
    use Better::{Higher, Lower};
    let (per_second, per_message) = (format!("{name}_messages_per_s"), format!("{name}_cpu_us_per_message"));
    match drive {
        Drive::Window(_) => vec![
            Figure::judged(&per_message, cpu, "us", Lower, 60.0, 35.0),
            Figure::judged(&per_second, rate, "1/s", Higher, 15_000.0, 37_000.0),
        ],
        Drive::Rate(_) => {
            vec![Figure::judged(&per_message, cpu, "us", Lower, 140.0, 95.0), Figure::plain(per_second, rate, "1/s")]
        }
    }
}

type Client = JoinHandle<Result<Side, Failure>>;

struct Clients {
    tasks: Vec<Client>,
    stop: Rc<tokio::sync::Notify>,
}

fn start(sides: Vec<Side>, drive: Drive, running: &Rc<Cell<bool>>, tally: &Tally) -> Clients {
    let stop = Rc::new(tokio::sync::Notify::new());
    let mut times = Vec::new();
    let tasks = sides.into_iter().map(|mut side| {
        let (running, tally, stop) = (Rc::clone(running), tally.clone(), Rc::clone(&stop));
        let (due, mut due_now) = mpsc::unbounded_channel();
        times.push(due);
        tokio::task::spawn_local(async move {
            let stopped = stop.notified();
            let driven = async {
                match drive {
                    Drive::Window(window) => side.flood((window / 2).max(1), &running, &tally).await,
                    Drive::Rate(_) => side.follow(&mut due_now, &tally).await,
                }
            };
            tokio::select! {
                ended = driven => ended?,
                () = stopped => {}
            }
            Ok(side)
        })
    });
    let tasks = tasks.collect();
    if let Drive::Rate(rate) = drive {
        pace(rate, times, running);
    }
    Clients { tasks, stop }
}

/// Says when to send, from a thread of its own: a runtime's timers are exact to a millisecond only.
fn pace(rate: u64, times: Vec<mpsc::UnboundedSender<u64>>, running: &Rc<Cell<bool>>) {
    let (step, mut next) = (1_000_000_000 / rate.max(1), clock::nanos() + 10_000_000);
    let (still, running) = (std::sync::Arc::new(()), Rc::clone(running));
    let ended = std::sync::Arc::downgrade(&still);
    std::thread::spawn(move || {
        for due in times.iter().cycle() {
            std::thread::sleep(Duration::from_nanos(next.saturating_sub(clock::nanos())));
            if ended.strong_count() == 0 || due.send(next).is_err() {
                return;
            }
            next += step;
        }
    });
    tokio::task::spawn_local(async move {
        while running.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(still);
    });
}

/// Does `work` while the clients run; a client that fails ends it.
async fn beside<T>(work: impl Future<Output = T>, mut clients: Clients) -> Result<(T, Clients), Failure> {
    let failed = select_all(clients.tasks.iter_mut()).map(|(ended, ..)| ended);
    let done = tokio::select! {
        biased;
        ended = failed => {
            let failure = ended?.err().unwrap_or_else(|| Failure("a client ended early".to_owned()));
            return Err(failure);
        }
        done = work => done,
    };
    Ok((done, clients))
}

async fn all_delivered(tally: &Tally) {
    let begun = clock::nanos();
    while tally.deliveries() < tally.acks() && clock::since(begun) < DRAINED_WITHIN {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Pages of 50 over the socket, one at a time, of the chats that were just written.
async fn pages(clients: Clients, name: &str) -> Result<Vec<Figure>, Failure> {
    let Clients { tasks, stop } = clients;
    stop.notify_waiters();
    let mut took = Vec::new();
    for task in tasks {
        let mut side = task.await??;
        took.extend(side.pages(10).await?);
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    let gauge = |which: &str, share| Figure::plain(format!("{name}_page_{which}"), at(share), "us");
    Ok(vec![gauge("p50", 0.5), gauge("p99", 0.99)])
}
