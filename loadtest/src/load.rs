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
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use volery_kernel::id::UserId;
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
pub enum Drive {
    /// Each side keeps half of this many messages unacknowledged.
    Window(usize),
    /// Messages a second, of all pairs together.
    Rate(u64),
}

/// How long the clients write, and how long before that nothing is measured.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Nothing is measured.
    pub warm_up: Duration,
    /// Everything is.
    pub measured: Duration,
}

struct Side {
    link: Link,
    peer: UserId,
    sent: VecDeque<u64>,
}

impl Side {
    async fn open(account: Account, peer: UserId, number: usize) -> Result<Self, Failure> {
        let link = Link::open(&account, number).await?;
        Ok(Self { link, peer, sent: VecDeque::new() })
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
}

/// What was seen. "Measured" leaves the warm-up out; processor time does not, and goes on until
/// everything is archived.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Acknowledged, all of them.
    pub messages: u64,
    /// Acknowledged a second, measured.
    pub per_second: f64,
    /// What the server used.
    pub server: Cpu,
    /// What this process used.
    pub client: Cpu,
    /// From sending (or its intended time) to the acknowledgement, in µs, measured.
    pub ack: Histogram<u64>,
    /// From sending (or its intended time) to the delivery, in µs, measured.
    pub delivery: Histogram<u64>,
    /// `gap`s that the server ever said.
    pub gaps: u64,
    /// From the last send until the last message was archived.
    pub archived_after: Duration,
}

impl Flow {
    /// As figures, each beginning with `name`.
    #[must_use]
    pub fn figures(&self, name: &str, drive: Drive) -> Vec<Figure> {
        let messages = self.messages as f64;
        let each = |used: u64| used as f64 / messages;
        let mut figures = judged(name, drive, self.per_second, each(self.server.total));
        figures.push(Figure::plain(format!("{name}_client_cpu_us_per_message"), each(self.client.total), "us"));
        figures.push(Figure::plain(format!("{name}_messages"), messages, "messages"));
        figures.push(Figure::plain(format!("{name}_gaps"), self.gaps as f64, "gaps"));
        let drained = self.archived_after.as_secs_f64() * 1_000.0;
        figures.push(Figure::plain(format!("{name}_archived_after"), drained, "ms"));
        let threads = self.server.threads.iter().map(|(thread, used)| (thread, each(*used)));
        let threads = threads.filter(|(_, share)| *share >= 0.05);
        figures.extend(threads.map(|(thread, share)| Figure::plain(format!("{name}_cpu_us[{thread}]"), share, "us")));
        figures.extend(tally::latencies(&format!("{name}_ack"), &self.ack));
        figures.extend(tally::latencies(&format!("{name}_delivery"), &self.delivery));
        figures
    }
}

/// Logs these users in, lets neighbours (0 and 1, 2 and 3, …) write to each other, and waits until
/// everything is delivered and archived.
///
/// # Errors
/// A sentence: a client that failed, or what did not come in time.
pub async fn run(server: &Server, users: std::ops::Range<usize>, drive: Drive, span: Span) -> Result<Flow, Failure> {
    let begin = users.start;
    let accounts = log_in(server.gateway(), &Server::people(users)).await?;
    let opened = accounts.iter().enumerate();
    let opened = opened.map(|(at, account)| Side::open(account.clone(), accounts[at ^ 1].user, begin + at));
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
    let (per_second, clients) = beside(writing, clients).await?;
    let ended = clock::nanos();
    let ((), clients) = beside(all_delivered(&tally), clients).await?;
    let archived = server.reaches(ARCHIVED, archived_before + tally.acks(), DRAINED_WITHIN);
    beside(archived, clients).await?.0?;
    let archived_after = clock::since(ended);
    let (ack, delivery) = tally.histograms();
    Ok(Flow {
        messages: tally.acks(),
        per_second,
        server: Cpu::of(server.pid())?.since(&cpu_before),
        client: Cpu::of(std::process::id())?.since(&own_before),
        ack,
        delivery,
        gaps: server.metric(GAPS).await?,
        archived_after,
    })
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

type Client = JoinHandle<Result<(), Failure>>;

struct Clients {
    tasks: Vec<Client>,
}

fn start(sides: Vec<Side>, drive: Drive, running: &Rc<Cell<bool>>, tally: &Tally) -> Clients {
    let mut times = Vec::new();
    let tasks = sides.into_iter().map(|mut side| {
        let (running, tally) = (Rc::clone(running), tally.clone());
        let (due, mut due_now) = mpsc::unbounded_channel();
        times.push(due);
        tokio::task::spawn_local(async move {
            match drive {
                Drive::Window(window) => side.flood((window / 2).max(1), &running, &tally).await,
                Drive::Rate(_) => side.follow(&mut due_now, &tally).await,
            }
        })
    });
    let tasks = tasks.collect();
    if let Drive::Rate(rate) = drive {
        pace(rate, times, running);
    }
    Clients { tasks }
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
