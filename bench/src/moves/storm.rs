//! `storm_sessions_per_s`: all sessions of a server break at once; how many a second are back and `synced`, the load
//! test on the same cores.

use loadtest::failure::Failure;
use loadtest::load::Span;
use loadtest::process::files_allowed;
use loadtest::scenario::storm::Storm;
use loadtest::scenario::{Plan, Scenario, run as play};
use loadtest::server::Setup;
use loadtest::target::Target;

use crate::bench::{Bench, Taken, progress};
use crate::figure::Share;

/// The figure.
pub(crate) const NAME: &str = "storm_sessions_per_s";
/// Pairs that stand by.
const BYSTANDERS: usize = 50;
/// Sockets that are no sessions, and files.
const OTHER_FILES: u64 = 1_000;

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let sizes = &bench.sizes.moving;
    let bystanders = BYSTANDERS.min(sizes.storm_pairs);
    let users = 2 * (sizes.storm_pairs + bystanders);
    let files = users as u64 + OTHER_FILES;
    if files_allowed() < files {
        return Err(Failure(format!("{files} open files are needed: ulimit -n {files}")));
    }
    let (binary, data) = (bench.programs.server.clone(), Some(bench.data.clone()));
    let target = Target::start(&Setup { binary, data, ..Setup::new(users) })?;
    let storm = Storm { rate: sizes.storm_rate, bystanders, node: None, rounds: bench.rounds, calm: sizes.calm };
    let span = Span { warm_up: sizes.calm, measured: sizes.calm };
    let plan = Plan { scenario: Scenario::Storm(storm), span, begun: None, until: None, bytes: 256, history: None };
    let outcome = play(&target, &plan).await?;
    let weather = outcome.weather.ok_or(Failure("there was no storm".to_owned()))?;
    for (number, round) in weather.rounds.iter().enumerate() {
        progress(
            NAME,
            number,
            bench.rounds,
            &format!("{:.0}/s, the last after {:.0} ms", round.per_second, round.last),
        );
    }
    let index: Option<u64> = weather.rounds.iter().map(|round| Some(round.syncs?.index + round.syncs?.reset)).sum();
    let share = |name: &str, value, unit| Share { name: format!("storm/{name}"), value, unit };
    let mut shares = vec![
        share("bystanders_p99_over_before", weather.storm_p99 / weather.calm_p99, "ratio"),
        share("bystanders_p99_before", weather.calm_p99, "ms"),
    ];
    shares.extend(weather.idle_cores.map(|cores| share("idle_after", cores, "cores")));
    shares.extend(index.map(|count| share("synced_from_index_or_anew", count as f64, "count")));
    let rounds = weather.rounds.iter().map(|round| round.per_second).collect();
    Ok(Taken { figures: vec![(NAME, rounds)], shares })
}
