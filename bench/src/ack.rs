//! `ack_p99_over_bare`: an acknowledgement against a bare program that appends as many bytes, makes them
//! durable in groups and answers over the same kind of socket. Both run all the time; the same
//! sessions' code drives them in turn, in windows of seconds.

use hdrhistogram::Histogram;
use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;
use crate::program::Program;
use crate::sender::{Senders, Timed};
use crate::stats::{histogram, median, p99};

/// The figure.
pub(crate) const NAME: &str = "ack_p99_over_bare";
const APPENDS: &str = "volery_log_appends_total";
const APPENDED_BYTES: &str = "volery_log_append_bytes_total";

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let users = 2 * bench.sizes.pairs;
    let server = bench.server(users)?;
    let accounts = log_in(server.gateway(), &Server::people(0..users)).await?;
    let ours = Senders::open(&accounts, Timed::Acknowledged).await?;
    ours.window(bench.sizes.rate, bench.sizes.window).await?;
    let folder = bench.folder()?;
    let record = bytes_of_a_record(&server).await?.to_string();
    let arguments = [folder.path().join("log").into_os_string(), record.into()];
    let bare = Program::start(&bench.programs.bare_append, &arguments.each_ref().map(|argument| argument.as_ref()))?;
    let theirs: Vec<Account> = accounts.iter().map(|account| at(account, bare.address())).collect();
    let theirs = Senders::open(&theirs, Timed::Acknowledged).await?;
    theirs.window(bench.sizes.rate, bench.sizes.window).await?;
    let (mut ratios, mut us, mut them) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let (a, b) = take_turns(bench, &ours, &theirs).await?;
        let (a, b) = (p99(&a)?, p99(&b)?);
        progress(NAME, round, bench.rounds, &format!("p99 {a:.0} µs, bare {b:.0} µs"));
        ratios.push(a / b);
        us.push(a);
        them.push(b);
    }
    let share = |name: &str, rounds: &[f64]| Some(Share { name: name.into(), value: median(rounds)?, unit: "us" });
    let shares = [share("ack/p99", &us), share("ack/p99_bare", &them)];
    Ok(Taken { figures: vec![(NAME, ratios)], shares: shares.into_iter().flatten().collect() })
}

/// Windows of both, in turn.
async fn take_turns(
    bench: &Bench,
    ours: &Senders,
    theirs: &Senders,
) -> Result<(Histogram<u64>, Histogram<u64>), Failure> {
    let (mut a, mut b) = (histogram()?, histogram()?);
    for _ in 0..bench.sizes.windows {
        a.add(ours.window(bench.sizes.rate, bench.sizes.window).await?)?;
        b.add(theirs.window(bench.sizes.rate, bench.sizes.window).await?)?;
    }
    Ok((a, b))
}

fn at(account: &Account, node: &str) -> Account {
    Account { node: node.to_owned(), ..account.clone() }
}

/// Framing included. The counters are brought up once a second.
async fn bytes_of_a_record(server: &Server) -> Result<u64, Failure> {
    server.reaches(APPENDS, 1, std::time::Duration::from_secs(10)).await?;
    let (records, bytes) = (server.metric(APPENDS).await?, server.metric(APPENDED_BYTES).await?);
    Ok(bytes.div_ceil(records.max(1)))
}
