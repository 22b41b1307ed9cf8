//! Flags; what is printed and what is kept.

use std::path::PathBuf;

use clap::{Parser, ValueEnum as _};
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::report::save;
use loadtest::server::beside;
use volery_crash::crowd::Sizes;

use crate::campaign::{self, Plan};
use crate::ground::{Ground, Place};
use crate::page::page;
use crate::report::table;
use crate::schedule::{Kind, Shape};
use crate::state::{Identity, State};

/// Breaks a cluster on real engines, part by part, while people write to each other, and judges what they saw. Run again, it
/// goes on where it was
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// So many faults, with those of earlier runs; a fault counts if 5 sends were under way when it struck
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    faults: u16,
    /// Says what is broken when; a fresh one if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Brokers, and Cassandra nodes
    #[arg(long, default_value_t = 3, value_parser = one_or_three)]
    replicas: u8,
    /// Only these kinds of faults, by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_enum)]
    only: Vec<Kind>,
    /// Begins anew, on engines that are empty, if there is an earlier campaign
    #[arg(long)]
    anew: bool,
    /// Only ends what an earlier run left up; what was counted stays
    #[arg(long)]
    down: bool,
    /// Leaves the cluster up at the end
    #[arg(long)]
    keep_up: bool,
    /// Keeps all histories, not only those that break a promise
    #[arg(long)]
    keep_histories: bool,
    /// Users who write to each other in pairs without a pause
    #[arg(long, default_value_t = 16, value_parser = even)]
    flooders: usize,
    /// Sends that each of them keeps unacknowledged, four times a second
    #[arg(long, default_value_t = 3)]
    window: usize,
    /// Users who come, read, chat and leave, with two devices each
    #[arg(long, default_value_t = 10)]
    people: usize,
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = "target/chaos")]
    dir: PathBuf,
    /// The first of 400 ports that are its own
    #[arg(long, default_value_t = 18_000, value_parser = clap::value_parser!(u16).range(1_024..32_000))]
    port: u16,
    /// The program volery [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// How often those who write in pairs top up what is unacknowledged, in ms.
const EVERY_MS: u64 = 250;
/// Processes of each role.
const NODES: u8 = 2;

fn even(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0 && count % 2 == 0).ok_or_else(|| "an even number above 0".to_owned())
}

fn one_or_three(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|count| [1, 3].contains(count)).ok_or_else(|| "1 or 3".to_owned())
}

impl Arguments {
    fn place(&self) -> Result<Place, Failure> {
        std::fs::create_dir_all(&self.dir)?;
        Ok(Place {
            // Other programs are told, wherever they run.
            dir: self.dir.canonicalize()?,
            port: self.port,
            shape: Shape { nodes: NODES, copies: self.replicas },
            volery: self.server.clone().unwrap_or_else(beside),
        })
    }

    fn plan(&self, place: &Place) -> Plan {
        let every_ms = Some(EVERY_MS);
        Plan {
            faults: usize::from(self.faults),
            sizes: Sizes { flooders: self.flooders, window: self.window, every_ms, people: self.people },
            file: place.dir.join("campaign.json"),
            histories: place.dir.clone(),
            keep: self.keep_histories,
        }
    }

    /// What there was, or a new one.
    fn state(&self, place: &Place, plan: &Plan) -> Result<State, Failure> {
        let earlier = if self.anew { None } else { State::read(&plan.file)? };
        let known = earlier.as_ref().map(|state| state.of.seed);
        // Any number that is seldom the same: it is printed, and can be given.
        let seed = self.seed.or(known).unwrap_or_else(|| clock::nanos() % 1_000_000);
        let kinds = if self.only.is_empty() { Kind::value_variants().to_vec() } else { self.only.clone() };
        let of = Identity { seed, shape: place.shape, kinds };
        match earlier {
            None => Ok(State::new(of)),
            Some(state) if state.of == of => Ok(state),
            Some(state) => Err(Failure(format!(
                "{} is of another campaign, {:?}: go on with that one, or begin --anew",
                plan.file.display(),
                state.of
            ))),
        }
    }
}

/// Whether every promise held.
///
/// # Errors
/// A sentence: what kept it from being decided.
pub fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let place = arguments.place()?;
    if arguments.down {
        return Ground::lower(&place).map(|()| true);
    }
    let plan = arguments.plan(&place);
    let mut state = arguments.state(&place, &plan)?;
    eprintln!("--seed {}, {} of {} faults were counted before", state.of.seed, state.counted(), plan.faults);
    if state.begun == 0 {
        Ground::clear(&place)?;
    }
    if state.counted() < plan.faults {
        let ground = Ground::raise(&place)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended =
            tokio::task::LocalSet::new().block_on(&runtime, unless_stopped(campaign::run(&plan, &ground, &mut state)));
        if ended.is_err() || !state.is_good() {
            eprintln!(
                "the cluster is left as it is, in {}: run this again to go on, --anew begins anew, --down ends it",
                place.dir.display()
            );
        }
        ended?;
    }
    print!("{}", table(&state));
    save(&place.dir.join("report.html"), page(&state).as_bytes())?;
    println!("written to {0}/report.html and {0}/campaign.json", arguments.dir.display());
    if state.is_good() && !arguments.keep_up {
        Ground::lower(&place)?;
    }
    Ok(state.is_good())
}

/// Ctrl-C ends it, too: the cluster is not among what it kills.
async fn unless_stopped(campaign: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        ended = campaign => ended,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            Err(Failure("stopped; what was counted is kept".to_owned()))
        }
    }
}
