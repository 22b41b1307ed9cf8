//! What one types: scenarios with their flags, each default with its reason.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use volery_tls::Trust;

use crate::failure::Failure;
use crate::load::Span;
use crate::report::data::{Machine, Report, distributions, figures};
use crate::report::{self, html};
use crate::scenario::storm::Storm;
use crate::scenario::{Plan, Scenario, day};
use crate::server::{Setup, beside};
use crate::target::{Running, Target};
use crate::verdict::judge;
use crate::{clock, idle, process};

/// Files that a process has open beside the sockets of its sessions.
const FILES_BESIDE: u64 = 1_000;

/// Drives many devices against Volery through the public protocol, and says what they saw and what
/// it cost. Each is the client's own state machine: it reconnects, retries and catches up.
///
/// Without --target a server is started on an empty folder, with imported users, and is gone
/// afterwards. At the end: a table, a JSON file and a page in --out.
///
/// Exit code: 0, and 1 if a promise was broken, 2 if the run could not be made.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Debug, Args)]
struct Common {
    /// Seconds measured; the default is enough for a p99 at 1,000 messages a second
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Ends the measured time of `flood` and `pairs` early, once this file is there
    #[arg(long, global = true, value_name = "FILE")]
    until: Option<PathBuf>,
    /// Makes this file once the first message of `flood` or `pairs` is acknowledged: for who breaks something then
    #[arg(long, global = true, value_name = "FILE")]
    begun: Option<PathBuf>,
    /// Seconds before that; the default lets caches fill and the first segments open
    #[arg(long, global = true, default_value_t = 2)]
    warm_up: u64,
    /// Bytes of a message's text; the default is a long chat message
    #[arg(long, global = true, default_value_t = 256, value_parser = clap::value_parser!(u64).range(64..=8192))]
    bytes: u64,
    /// Where the report goes: SCENARIO.json and SCENARIO.html
    #[arg(long, global = true, default_value = "target/loadtest")]
    out: PathBuf,
    /// Records no history and judges nothing: costs less memory, and chats are read page by page instead of whole
    #[arg(long, global = true)]
    no_check: bool,
    /// Keeps the history that the checker reads, as JSON lines; what breaks a promise is kept in --out anyway
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_check")]
    history: Option<PathBuf>,
    /// The gateway of a cluster that runs already, like http://127.0.0.1:8400 [default: a server of the run's own]
    #[arg(long, global = true, value_name = "URL", requires = "users_file")]
    target: Option<String>,
    /// Its users: JSON lines like {"user_name":"ada","password":"…"}; for a checked run they must have no chats yet
    #[arg(long = "users", global = true, value_name = "FILE", id = "users_file", requires = "target")]
    users: Option<PathBuf>,
    /// Authorities that the devices believe, as PEM, where the gateway is https:// [default: those of this machine]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The server's binary [default: `volery` beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where the server's folder is made; /dev/shm leaves the disk out [default: the system's folder for temporary files]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A setting of the server; limits that are there against abuse are open already
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Memory of sessions that have talked and are silent; the slope over five points. Not checked: it weighs
    Idle {
        /// How many; the default makes the slope steady to a few percent
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
        sessions: u32,
    },
    /// As many messages as go through: each pair keeps some unconfirmed
    Flood {
        /// Pairs of users; the default keeps both cores of a small machine busy
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Unconfirmed messages of a pair; the default fills groups without queueing for long
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
        window: u32,
    },
    /// A steady rate, whatever the answers; latency from the time at which a message was meant to go
    Pairs {
        /// Pairs of users; the default gives each a message in ten seconds' breath
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Messages a second, of all pairs together; the default is far from what a small machine takes
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
    },
    /// People come, read, chat in bursts, leave, and come back on another device
    Day {
        /// People; about half of them are there at a time
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..))]
        people: u32,
        /// Who comes, a second [default: so many that half are there: people / (2 × stay)]
        #[arg(long)]
        arrivals: Option<f64>,
        /// Seconds that one stays on average; short, so that a short run has many visits
        #[arg(long, default_value_t = 10.0)]
        stay: f64,
        /// Seconds that one pauses on average before the next thing; short for the same reason
        #[arg(long, default_value_t = 1.0)]
        pause: f64,
        /// With how many others one chats
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
        contacts: u32,
        /// Devices of each person
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
        devices: u32,
        /// How likely one picks any of them on coming back, instead of the last one
        #[arg(long, default_value_t = 0.3)]
        switch: f64,
    },
    /// Everybody's connection breaks at once, and all reconnect
    Storm {
        /// Pairs of users; the default is what a small machine syncs within the clients' first back-off
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Messages a second meanwhile, so that there is something to catch up and to retry
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
        /// How often everything breaks; one round alone may be luck
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Seconds between two rounds, and after the last one
        #[arg(long, default_value_t = 2)]
        calm: u64,
    },
}

impl What {
    fn users(&self) -> usize {
        match self {
            Self::Idle { sessions } => idle::users(*sessions as usize),
            Self::Flood { pairs, .. } | Self::Pairs { pairs, .. } | Self::Storm { pairs, .. } => 2 * *pairs as usize,
            Self::Day { people, .. } => *people as usize,
        }
    }

    fn scenario(&self) -> Option<Scenario> {
        match *self {
            Self::Idle { .. } => None,
            Self::Flood { window, .. } => Some(Scenario::Flood { window: window as usize }),
            Self::Pairs { rate, .. } => Some(Scenario::Pairs { rate }),
            Self::Day { people, arrivals, stay, pause, contacts, devices, switch } => {
                Some(Scenario::Day(day::Habits {
                    devices: devices as usize,
                    arrivals: arrivals.unwrap_or(f64::from(people) / (2.0 * stay)),
                    stay,
                    pause,
                    contacts: (contacts as usize).min(people as usize - 1),
                    switch,
                }))
            }
            Self::Storm { rate, rounds, calm, .. } => {
                Some(Scenario::Storm(Storm { rate, rounds: rounds as usize, calm: Duration::from_secs(calm) }))
            }
        }
    }
}

/// Does what was asked; `command` is how. False if a promise was broken.
///
/// # Errors
/// A sentence that says what to do.
pub fn run(arguments: &Arguments, command: String) -> Result<bool, Failure> {
    let Arguments { what, common } = arguments;
    match what {
        What::Idle { sessions } => idle_run(common, *sessions as usize, command).map(|()| true),
        _ => what.scenario().map_or(Ok(true), |scenario| measured_run(common, what.users(), scenario, command)),
    }
}

fn measured_run(common: &Common, users: usize, scenario: Scenario, command: String) -> Result<bool, Failure> {
    let devices = users * scenario.devices();
    enough_files(devices)?;
    let target = target(common, users)?;
    let span = span(common);
    let history = (!common.no_check).then(|| command.clone());
    let (begun, until) = (common.begun.clone(), common.until.clone());
    let plan = Plan { scenario, span, begun, until, bytes: common.bytes as usize, history };
    let mut outcome = local(crate::scenario::run(&target, &plan))?;
    let evidence = common.out.join(format!("{}.history", plan.scenario.name()));
    let verdict = outcome.history.take().map(|history| judge(&history, common.history.as_deref(), &evidence));
    let report = Report {
        scenario: plan.scenario.name().to_owned(),
        command,
        ended: clock::wall().0,
        machine: Machine::here(),
        place: target.place(),
        seconds: outcome.seconds,
        devices,
        figures: figures(&outcome),
        distributions: distributions(&outcome),
        samples: outcome.samples,
        rounds: outcome.rounds,
        memory: Vec::new(),
        errors: outcome.errors,
        verdict: verdict.transpose()?,
    };
    tell(&report, &common.out)?;
    Ok(report.verdict.is_none_or(|verdict| verdict.is_good()))
}

fn idle_run(common: &Common, sessions: usize, command: String) -> Result<(), Failure> {
    enough_files(idle::users(sessions))?;
    let target = target(common, idle::users(sessions))?;
    let Some(server) = target.server() else {
        return Err(Failure("idle weighs the server's process: it needs one of its own, without --target".to_owned()));
    };
    let points: Vec<usize> = (1..=5).map(|fifth| sessions * fifth / 10 * 2).collect();
    let idle = local(idle::run(server, &points, span(common)))?;
    let report = Report {
        scenario: "idle".to_owned(),
        command,
        ended: clock::wall().0,
        machine: Machine::here(),
        place: target.place(),
        seconds: 0.0,
        devices: sessions,
        figures: idle.figures(),
        distributions: Vec::new(),
        samples: Vec::new(),
        rounds: Vec::new(),
        memory: idle.points,
        errors: Vec::new(),
        verdict: None,
    };
    tell(&report, &common.out)
}

fn span(common: &Common) -> Span {
    Span { warm_up: Duration::from_secs(common.warm_up), measured: Duration::from_secs(common.seconds) }
}

fn tell(report: &Report, out: &Path) -> Result<(), Failure> {
    report::print(&report.figures);
    for (code, count) in &report.errors {
        println!("error {code}: {count}");
    }
    match &report.verdict {
        Some(verdict) => verdict.print(),
        None => println!("\nchecker: this run was not checked"),
    }
    let file = |ending: &str| out.join(format!("{}.{ending}", report.scenario));
    report::save(&file("json"), &serde_json::to_vec_pretty(report)?)?;
    report::save(&file("html"), html::page(report).as_bytes())?;
    println!("\nreport: {}", file("html").display());
    Ok(())
}

fn target(common: &Common, users: usize) -> Result<Target, Failure> {
    let trust = Trust::of(common.ca.as_deref())?;
    match (&common.target, &common.users) {
        (Some(gateway), Some(file)) => {
            Target::running(&Running { gateway: gateway.clone(), trust, users: file.clone() }, users)
        }
        _ => Target::start(&setup(common, trust, users)),
    }
}

fn setup(common: &Common, trust: Trust, users: usize) -> Setup {
    Setup {
        binary: common.server.clone().unwrap_or_else(beside),
        data: common.data.clone(),
        settings: common.settings.clone(),
        users,
        trust,
    }
}

fn enough_files(devices: usize) -> Result<(), Failure> {
    let files = devices as u64 + FILES_BESIDE;
    if process::files_allowed() < files {
        return Err(Failure(format!(
            "{files} open files are needed: say `ulimit -n {files}` first, or use fewer devices"
        )));
    }
    Ok(())
}

/// Everything lives on this thread.
fn local<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn half_of_the_people_are_there_by_default() {
        let what = Arguments::parse_from(["loadtest", "day", "--people", "100", "--stay", "5"]).what;
        let Some(Scenario::Day(habits)) = what.scenario() else { panic!("not a day: {what:?}") };
        assert_eq!((what.users(), habits.arrivals, habits.contacts), (100, 10.0, 6));
    }

    #[test]
    fn a_target_wants_its_users() {
        let parse = |words: &[&str]| Arguments::try_parse_from(["loadtest", "flood"].iter().chain(words)).is_ok();
        assert!(!parse(&["--target", "http://127.0.0.1:1"]));
        assert!(!parse(&["--users", "file"]));
        assert!(parse(&["--users", "file", "--target", "http://127.0.0.1:1"]));
    }
}
