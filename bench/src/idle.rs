//! `idle_session_kib`: the slope of the server's memory over sessions that have talked and are silent.
//!
//! Users are imported by a process before the server, and logged in on a server before the one that
//! is weighed: each round weighs one that was just started.

use loadtest::account::{Account, log_in};
use loadtest::failure::Failure;
use loadtest::idle;
use loadtest::process::files_allowed;
use loadtest::server::Server;

use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;
use crate::stats::median;

/// The figure.
pub(crate) const NAME: &str = "idle_session_kib";
/// Sockets that are no sessions, and files.
const OTHER_FILES: u64 = 1_000;

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let points = bench.sizes.idle;
    let sessions = points[points.len() - 1];
    let files = idle::users(sessions) as u64 + OTHER_FILES;
    if files_allowed() < files {
        return Err(Failure(format!("{files} open files are needed: ulimit -n {files}")));
    }
    let mut server = bench.server(idle::users(sessions))?;
    let accounts = log_in(server.gateway(), &Server::people(0..sessions)).await?;
    let (mut slopes, mut firsts) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        server.restart()?;
        let accounts = moved(&server, &accounts).await?;
        let seen = idle::weigh(&server, &accounts, &points, bench.sizes.filling).await?;
        progress(NAME, round, bench.rounds, &format!("{:.2} KiB, {:?}", seen.kib_per_session(), seen.points));
        slopes.push(seen.kib_per_session());
        firsts.extend(seen.points.first().map(|(_, kib)| *kib as f64 / 1_024.0));
    }
    let name = format!("idle/rss_at_{}", points[0]);
    let shares = median(&firsts).map(|value| Share { name, value, unit: "MiB" });
    Ok(Taken { figures: vec![(NAME, slopes)], shares: shares.into_iter().collect() })
}

/// The accounts at the server's new address.
async fn moved(server: &Server, accounts: &[Account]) -> Result<Vec<Account>, Failure> {
    let newest = log_in(server.gateway(), &Server::people(0..1)).await?;
    let node = newest.into_iter().next().map(|account| account.node).ok_or(Failure("nobody logged in".to_owned()))?;
    Ok(accounts.iter().map(|account| Account { node: node.clone(), ..account.clone() }).collect())
}
