//! `ack_p99_over_bare`: an acknowledgement against a bare program that appends as many bytes, makes them
//! durable in groups and answers over the same kind of socket. Both run all the time; the same
//! sessions' code drives them in turn, in windows of seconds.
//!
//! What each costs of a processor stands beside it: `cpu_bare` is the least that a message costs which is made durable
//! and acknowledged at this rate, before anybody is told of it.

use hdrhistogram::Histogram;
use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::process::Cpu;
use loadtest::server::Server;

use crate::bench::{Bench, Taken};
use crate::figure::Share;
use crate::program::Program;
use crate::records::Records;
use crate::sender::{Senders, Timed};
use crate::stats::{histogram, median};
use crate::versus::Versus;

/// The figure.
pub(crate) const NAME: &str = "ack_p99_over_bare";

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let users = 2 * bench.sizes.pairs;
    let server = bench.server(users)?;
    let accounts = log_in(server.gateway(), &Server::people(0..users)).await?;
    let ours = Senders::open(&accounts, Timed::Acknowledged).await?;
    ours.window(bench.sizes.rate, bench.sizes.window).await?;
    let folder = bench.folder()?;
    let record = Records::some(&server).await?.bytes_each().to_string();
    let arguments = [folder.path().join("log").into_os_string(), record.into()];
    let bare = Program::start(&bench.programs.bare_append, &arguments.each_ref().map(|argument| argument.as_ref()))?;
    let theirs: Vec<Account> = accounts.iter().map(|account| at(account, bare.address())).collect();
    let theirs = Senders::open(&theirs, Timed::Acknowledged).await?;
    theirs.window(bench.sizes.rate, bench.sizes.window).await?;
    let (mut versus, mut cpu) = (Versus::new(NAME), [Vec::new(), Vec::new()]);
    let used = || Ok::<_, Failure>([Cpu::of(server.pid())?.total, Cpu::of(bare.pid())?.total]);
    for _ in 0..bench.rounds {
        let before = used()?;
        let (a, b) = take_turns(bench, &ours, &theirs).await?;
        let used = used()?;
        for (at, times) in [&a, &b].into_iter().enumerate() {
            cpu[at].push((used[at] - before[at]) as f64 / times.len() as f64);
        }
        versus.add(bench, &a, &b)?;
    }
    let mut taken = versus.taken("ack");
    let share = |name: &str, rounds: &[f64]| Some(Share { name: name.into(), value: median(rounds)?, unit: "us" });
    taken.shares.extend([share("ack/cpu", &cpu[0]), share("ack/cpu_bare", &cpu[1])].into_iter().flatten());
    Ok(taken)
}

/// Windows of both, in turn; each comes first as often as the other.
async fn take_turns(
    bench: &Bench,
    ours: &Senders,
    theirs: &Senders,
) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
    let (mut a, mut b) = (histogram()?, histogram()?);
    for turn in 0..bench.sizes.windows {
        let mut arms = [(ours, &mut a), (theirs, &mut b)];
        arms.rotate_left(turn % 2);
        for (senders, times) in arms {
            times.add(senders.window(bench.sizes.rate, bench.sizes.window).await?)?;
        }
    }
    Ok((a, b))
}

fn at(account: &Account, node: &str) -> Account {
    Account { node: node.to_owned(), ..account.clone() }
}
