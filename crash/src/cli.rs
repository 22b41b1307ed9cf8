//! Flags; what is printed and what is kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::report::save;
use loadtest::server::beside;

use crate::campaign::{self, Blow, Plan};
use crate::crowd::Sizes;
use crate::full;
use crate::report::Report;

/// Breaks `volery up` again and again while people write to each other, and judges what they saw
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// Kills the server so often; a kill counts if it met 50 unacknowledged sends and a retry was resolved after it
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    kills: u16,
    /// Stops it (SIGSTOP) for so many seconds instead, once
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30", conflicts_with = "kills")]
    stop: Option<u64>,
    /// Fills its disk instead, a small one that is mounted for it (needs root), and makes room again
    #[arg(long, conflicts_with_all = ["kills", "stop"])]
    full_disk: bool,
    /// Says at which moments it breaks; a fresh one if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Users who flood each other in pairs
    #[arg(long, default_value_t = 40, value_parser = even)]
    flooders: usize,
    /// Sends that each of them keeps unacknowledged
    #[arg(long, default_value_t = 8)]
    window: usize,
    /// Users who come, read, chat and leave, with two devices each
    #[arg(long, default_value_t = 20)]
    people: usize,
    /// Keeps the history here; of further rounds, with their number behind the name
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Writes the report here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Sets a key of the server's configuration
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The program volery [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where the server's folder is made [default: the system's place for temporary files]
    #[arg(long, value_name = "DIR", conflicts_with = "full_disk")]
    data: Option<PathBuf>,
}

fn even(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0 && count % 2 == 0).ok_or_else(|| "an even number above 0".to_owned())
}

impl Arguments {
    fn plan(&self) -> Plan {
        let (blow, times) = match self.stop {
            Some(seconds) => (Blow::Stop(Duration::from_secs(seconds)), 1),
            None => (Blow::Kill, usize::from(self.kills)),
        };
        Plan {
            blow,
            times,
            // Any number that is seldom the same: it is printed, and can be given.
            seed: self.seed.unwrap_or_else(|| clock::nanos() % 1_000_000),
            sizes: Sizes { flooders: self.flooders, window: self.window, every_ms: None, people: self.people },
            binary: self.server.clone().unwrap_or_else(beside),
            data: self.data.clone(),
            settings: self.settings.clone(),
            history: self.history.clone(),
        }
    }
}

/// Whether every promise held.
///
/// # Errors
/// A sentence: what kept it from being decided.
pub fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let plan = arguments.plan();
    eprintln!("--seed {}", plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let everything = async {
        match arguments.full_disk {
            true => full::run(&plan).await,
            false => campaign::run(&plan).await,
        }
    };
    let report = tokio::task::LocalSet::new().block_on(&runtime, everything)?;
    print!("{}", report.table());
    keep(arguments, &report)?;
    Ok(report.is_good())
}

fn keep(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let Some(file) = &arguments.json else { return Ok(()) };
    save(file, &serde_json::to_vec_pretty(report)?)?;
    println!("written to {}", file.display());
    Ok(())
}
