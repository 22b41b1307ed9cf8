//! `stalled_readers_p99_ratio`: the delivery p99 of everybody else beside readers that stall, against the same
//! beside as many that read. Two servers get the same sends: on one the readers do not read, with a
//! receive buffer of 4 KiB each, on the other they do. The others write on both in turn, in windows of seconds.
//!
//! Trap avoided: readers that are not stalled. Every one has to have a full window while the others are
//! timed, and a `gap` once it reads again, as the server counts them; else there is no figure.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use loadtest::account::{Account, log_in};
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::link::{Link, Open};
use loadtest::process::Cpu;
use loadtest::server::Server;
use tokio::task::JoinHandle;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_wire::client::Request;
use volery_wire::server::Reply;

use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;
use crate::post::post;
use crate::sender::{Senders, Timed};
use crate::stats::{histogram, median, p99};

/// The figure.
pub(crate) const NAME: &str = "stalled_readers_p99_ratio";
const RECEIVE_BUFFER: u32 = 4 * 1_024;
/// Windows that each reader is sent.
const WINDOWS: usize = 4;
const TEXT: usize = 8_000;
const MESSAGES: usize = WINDOWS * limits::WINDOW_BYTES.value / TEXT + 1;
const SENDERS: usize = 10;
const AT_ONCE: usize = 100;
const WITHIN: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);
/// CPU of both servers in a second beyond which they are at work: a twentieth of one processor.
const BUSY_MICROS: u64 = 50_000;
const PING_AFTER: Duration = Duration::from_secs(50);
const GAPS: &str = "volery_gaps_total";
const STALLED: &str = "volery_stalled_sessions";
const ARCHIVED: &str = "volery_messages_total{stage=\"archived\"}";

/// A server with its readers. Users: the pairs, then the readers, then the senders.
struct Place {
    server: Server,
    others: Senders,
    readers: Vec<Link>,
    to: Vec<UserId>,
    senders: Vec<Link>,
}

/// Readers that read, for as long as this lives.
struct Reading {
    seen: Rc<Seen>,
    tasks: Vec<JoinHandle<()>>,
}

/// What readers were told.
#[derive(Default)]
struct Seen {
    /// Readers that have every message.
    complete: Cell<usize>,
    /// Readers that were told `gap`, however often.
    gapped: Cell<usize>,
}

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let mut control = Place::prepare(bench, None).await?;
    let reading = Reading::begin(std::mem::take(&mut control.readers));
    control.send().await?;
    reading.all(bench.sizes.readers).await?;
    let mut stalled = Place::prepare(bench, Some(RECEIVE_BUFFER)).await?;
    stalled.send().await?;
    let servers = [&stalled.server, &control.server];
    quiet(servers).await?;
    let (mut ratios, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        stalled.all_windows_are_full().await?;
        let (a, b) = in_turn(bench, &stalled.others, &control.others).await?;
        progress(NAME, round, bench.rounds, &format!("p99 {a:.0} µs, without {b:.0} µs"));
        ratios.push(a / b);
        with.push(a);
        without.push(b);
    }
    stalled.all_windows_are_full().await?;
    let gaps = stalled.release().await?;
    let share = |name: &str, rounds: &[f64]| Some(Share { name: name.into(), value: median(rounds)?, unit: "us" });
    let mut shares: Vec<_> =
        [share("stalled/p99", &with), share("stalled/p99_without", &without)].into_iter().flatten().collect();
    shares.push(Share { name: "stalled/gaps".into(), value: gaps as f64, unit: "gaps" });
    Ok(Taken { figures: vec![(NAME, ratios)], shares })
}

/// Windows of both, in turn.
async fn in_turn(bench: &Bench, stalled: &Senders, control: &Senders) -> Result<(f64, f64), Failure> {
    let (mut a, mut b) = (histogram()?, histogram()?);
    for _ in 0..bench.sizes.windows {
        a.add(stalled.window(bench.sizes.rate, bench.sizes.window).await?)?;
        b.add(control.window(bench.sizes.rate, bench.sizes.window).await?)?;
    }
    Ok((p99(&a)?, p99(&b)?))
}

impl Place {
    async fn prepare(bench: &Bench, receive_buffer: Option<u32>) -> Result<Self, Failure> {
        let (pairs, readers) = (2 * bench.sizes.pairs, bench.sizes.readers);
        let server = bench.server(pairs + readers + SENDERS)?;
        let mut pairs = log_in(server.gateway(), &Server::people(0..pairs + readers + SENDERS)).await?;
        let mut accounts = pairs.split_off(2 * bench.sizes.pairs);
        let senders = accounts.split_off(readers);
        let to = accounts.iter().map(|account| account.user).collect();
        let open = Open { receive_buffer, ..Open::default() };
        let readers = open_all(&accounts, &open).await?;
        let senders = open_all(&senders, &Open::default()).await?;
        Ok(Self { server, others: Senders::open(&pairs, Timed::Delivered).await?, readers, to, senders })
    }

    /// Whoever sent leaves: they confirm nothing, and their windows would count as well.
    async fn send(&mut self) -> Result<(), Failure> {
        let before = self.server.metric(ARCHIVED).await?;
        let each = self.to.chunks(self.to.len().div_ceil(self.senders.len()));
        try_join_all(self.senders.iter_mut().zip(each).map(|(link, to)| post(link, to, MESSAGES, TEXT))).await?;
        self.senders.clear();
        self.server.reaches(ARCHIVED, before + (self.to.len() * MESSAGES) as u64, WITHIN).await
    }

    /// Also says a word for each reader: a client that is silent for long is closed.
    async fn all_windows_are_full(&mut self) -> Result<(), Failure> {
        let stalled = self.server.metric(STALLED).await?;
        for reader in &mut self.readers {
            reader.ask(&Request::Ping);
            reader.flush()?;
        }
        if stalled == self.to.len() as u64 {
            return Ok(());
        }
        Err(Failure(format!("the server counts {stalled} full windows, of {} readers", self.to.len())))
    }

    /// The readers read to the end, each told of its gap; how many `gap`s the server counted.
    async fn release(&mut self) -> Result<u64, Failure> {
        let (before, readers) = (self.server.metric(GAPS).await?, self.readers.len());
        let reading = Reading::begin(std::mem::take(&mut self.readers));
        reading.all(readers).await?;
        let (counted, gapped) = (self.server.metric(GAPS).await? - before, reading.seen.gapped.get());
        if gapped == readers && counted >= readers as u64 {
            return Ok(counted);
        }
        Err(Failure(format!("{gapped} of {readers} readers were told of a gap; the server counts {counted}")))
    }
}

/// Waits until what was sent is on the disk and its store's tables are merged: that is work for whoever is timed
/// first.
async fn quiet(servers: [&Server; 2]) -> Result<(), Failure> {
    let begun = clock::nanos();
    // SAFETY: takes nothing; writes the kernel's dirty pages.
    unsafe { libc::sync() };
    loop {
        let used = || servers.iter().map(|server| Ok(Cpu::of(server.pid())?.total)).sum::<Result<u64, Failure>>();
        let before = used()?;
        tokio::time::sleep(SECOND).await;
        if used()? - before < BUSY_MICROS {
            return Ok(());
        }
        if clock::since(begun) > WITHIN {
            return Err(Failure("the servers do not come to rest".to_owned()));
        }
    }
}

async fn open_all(accounts: &[Account], open: &Open) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::with_capacity(accounts.len());
    for (at, batch) in accounts.chunks(AT_ONCE).enumerate() {
        let opened = batch.iter().zip(at * AT_ONCE..).map(|(account, number)| Link::open_as(account, number, open));
        links.extend(try_join_all(opened).await?);
    }
    Ok(links)
}

impl Reading {
    fn begin(readers: Vec<Link>) -> Self {
        let seen = Rc::new(Seen::default());
        let tasks = readers.into_iter().map(|link| tokio::task::spawn_local(read(link, Rc::clone(&seen))));
        Self { tasks: tasks.collect(), seen }
    }

    /// Waits until all of them have everything.
    async fn all(&self, readers: usize) -> Result<(), Failure> {
        let begun = clock::nanos();
        while self.seen.complete.get() < readers {
            if clock::since(begun) > WITHIN {
                return Err(Failure(format!("{} of {readers} readers have everything", self.seen.complete.get())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Until the connection ends: then the messages that are missing tell. After a gap some come twice, and
/// older ones after newer. Who hears nothing says something: a client that is silent for long is closed.
async fn read(mut link: Link, seen: Rc<Seen>) {
    let (mut messages, mut first_gap) = (HashSet::new(), true);
    let add = |cell: &Cell<usize>| cell.set(cell.get() + 1);
    let mut see = |reply: &Reply<'_>| match reply {
        Reply::Message(message) if messages.insert(message.id) && messages.len() == MESSAGES => add(&seen.complete),
        Reply::Gap if std::mem::take(&mut first_gap) => add(&seen.gapped),
        _ => {}
    };
    loop {
        match tokio::time::timeout(PING_AFTER, link.turn(&mut see)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                link.confirm();
                link.ask(&Request::Ping);
            }
        }
    }
}
