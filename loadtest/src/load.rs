//! `flood`, `pairs` and `talk`: two people of each pair write to each other.
//!
//! | | when a message is sent | latency from |
//! |---|---|---|
//! | `flood` | as soon as fewer than a window of the pair's messages are unacknowledged | sending |
//! | `pairs` | at its time, whatever became of those before it | the time at which it was meant to be sent |
//! | `talk` | in turns, after what came was read | sending |

use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;
use volery_kernel::id::UserId;

use crate::account::Account;
use crate::clock;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::habit::{Flood, Habit, Pace, Talk};
use crate::process::Cpu;
use crate::server::Server;

/// All devices must be synced within this.
const OPENED_WITHIN: Duration = Duration::from_secs(120);
/// The first message of a pace goes this much later, in ns, so that all devices know of theirs.
const FIRST_IN: u64 = 10_000_000;
/// Bytes of a text.
const TEXT: usize = 256;
/// Everything sent must be delivered and archived within this: archive may be minutes behind a flood.
const DRAINED_WITHIN: Duration = Duration::from_secs(240);
const GAPS: &str = "volery_gaps_total";
const ARCHIVED: &str = "volery_messages_total{stage=\"archived\"}";

/// What drives the clients.
#[derive(Clone, Copy, Debug)]
pub enum Drive {
    /// Each side keeps half of this many messages unacknowledged.
    Window(usize),
    /// Messages a second, of all pairs together.
    Rate(u64),
    /// Reads what comes, and answers: see [`Talk`].
    Talk,
}

/// How long the clients write, and how long before that nothing is measured.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Nothing is measured.
    pub warm_up: Duration,
    /// Everything is.
    pub measured: Duration,
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
    /// Read marks that clients said.
    pub marks: u64,
    /// From the last send until the last message was archived.
    pub archived_after: Duration,
}

/// Logs these users in, lets neighbours (0 and 1, 2 and 3, …) write to each other, and waits until
/// everything is delivered and archived.
///
/// # Errors
/// A sentence: a client that failed, or what did not come in time.
pub async fn run(server: &Server, users: std::ops::Range<usize>, drive: Drive, span: Span) -> Result<Flow, Failure> {
    let accounts = server.log_in(users).await?;
    let mut fleet = Fleet::new(server.gateway(), TEXT, None)?;
    for account in &accounts {
        fleet.add(account.clone());
    }
    fleet.start_all(OPENED_WITHIN, |_| {}).await?;

    let archived_before = server.metric(ARCHIVED).await?;
    let (cpu_before, own_before) = (Cpu::of(server.pid())?, Cpu::of(std::process::id())?);
    set_going(&fleet, &accounts, drive);
    tokio::time::sleep(span.warm_up).await;
    fleet.begin();
    let (acks, begun) = (fleet.tally().acked, clock::nanos());
    tokio::time::sleep(span.measured).await;
    let per_second = (fleet.tally().acked - acks) as f64 / clock::since(begun).as_secs_f64();
    fleet.quiet();
    let ended = clock::nanos();
    let owed = || fleet.tally().wanted - fleet.tally().failed.min(fleet.tally().wanted);
    let missing = || owed().saturating_sub(fleet.tally().acked.min(fleet.tally().delivered)) as usize;
    fleet.until("messages are not delivered", DRAINED_WITHIN, missing).await?;
    let acked = fleet.tally().acked;
    if acked == 0 {
        return Err(Failure("no message was acknowledged: nothing was measured".to_owned()));
    }
    server.reaches(ARCHIVED, archived_before + acked, DRAINED_WITHIN).await?;
    let archived_after = clock::since(ended);
    let gaps = server.metric(GAPS).await?;
    let tally = fleet.tally();
    Ok(Flow {
        messages: tally.acked,
        per_second,
        server: Cpu::of(server.pid())?.since(&cpu_before),
        client: Cpu::of(std::process::id())?.since(&own_before),
        ack: tally.ack.whole.clone(),
        delivery: tally.delivery.whole.clone(),
        gaps,
        marks: tally.marks,
        archived_after,
    })
}

/// Neighbours begin to write to each other.
pub fn set_going(fleet: &Fleet, accounts: &[Account], drive: Drive) {
    let each = |habit: &dyn Fn(usize, UserId) -> Box<dyn Habit>| {
        (0..accounts.len()).for_each(|device| fleet.take_up(device, habit(device, accounts[device ^ 1].user)));
    };
    match drive {
        Drive::Window(window) => each(&|_, to| Box::new(Flood { to, window: (window / 2).max(1) })),
        Drive::Rate(rate) => set_pace(fleet, accounts, 0..accounts.len(), rate),
        Drive::Talk => each(&|device, to| {
            Box::new(Talk::new(accounts[device].user, to, device % 2 == 0, clock::nanos() + FIRST_IN))
        }),
    }
}

/// Neighbours among these devices begin to write to each other, so many messages a second all together. Their
/// paces are spread over one interval.
pub fn set_pace(fleet: &Fleet, accounts: &[Account], devices: Range<usize>, rate: u64) {
    let (first, count, step) = (devices.start, devices.len() as u64, 1_000_000_000 / rate.max(1));
    for device in devices {
        let next = clock::nanos() + FIRST_IN + step * (device - first) as u64;
        let to = accounts[device ^ 1].user;
        fleet.take_up(device, Box::new(Pace { to, next, every: step * count }));
    }
}
