//! `ack_p99_over_bare`: an acknowledgement against a bare program that appends as many bytes, makes them
//! durable in groups and answers over the same kind of socket. Both run all the time; the same
//! sessions' code drives them in turn, in windows of seconds.

use hdrhistogram::Histogram;
use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::server::Server;

use crate::bench::{Bench, Taken};
use crate::program::Program;
use crate::records::Records;
use crate::sender::{Senders, Timed};
use crate::stats::histogram;
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
    let mut versus = Versus::new(NAME);
    for _ in 0..bench.rounds {
        let (a, b) = take_turns(bench, &ours, &theirs).await?;
        versus.add(bench, &a, &b)?;
    }
    Ok(versus.taken("ack"))
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
