//! Load through the public protocol, and what it costs the server.
//!
//! Starts a server of its own on an empty folder, so that runs are comparable. Clients share one
//! thread; their own CPU is shown, because they share the machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use loadtest::failure::Failure;
use loadtest::load::{Drive, Span};
use loadtest::report::Figure;
use loadtest::server::{Server, Setup, beside};
use loadtest::{idle, load, process, report};

#[derive(Parser)]
#[command(version, about = "Load through the public protocol, and what it costs the server")]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The server's binary [default: the one beside this one]
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// Where the server's folder is made [default: the system's folder for temporary files]
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    /// Settings of the server, KEY=VALUE
    #[arg(long = "set", global = true)]
    settings: Vec<String>,
    /// Writes the figures to this file too
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Seconds measured
    #[arg(long, global = true, default_value_t = 10)]
    seconds: u64,
}

#[derive(Subcommand, Clone, Copy)]
enum Scenario {
    /// Memory of sessions that have talked and are silent
    Idle {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        sessions: usize,
    },
    /// As many messages as go through
    Flood {
        /// Pairs of users
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Unacknowledged messages of a pair
        #[arg(long, default_value_t = 8)]
        window: usize,
    },
    /// A steady rate, whatever the answers
    Pairs {
        /// Pairs of users
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Messages a second, of all pairs together
        #[arg(long, default_value_t = 1_000)]
        rate: u64,
    },
    /// The short form of all: what `make bench` prints
    Bench,
}

fn main() -> ExitCode {
    let Arguments { scenario, common } = Arguments::parse();
    let done = run(scenario, &common).and_then(|figures| {
        report::print(&figures);
        common.json.as_deref().map_or(Ok(()), |file| report::write(file, &figures))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(what)) => {
            eprintln!("loadtest: {what}");
            ExitCode::FAILURE
        }
    }
}

fn run(scenario: Scenario, common: &Common) -> Result<Vec<Figure>, Failure> {
    match scenario {
        Scenario::Bench => {
            let idle = Scenario::Idle { sessions: 5_000 };
            let flood = Scenario::Flood { pairs: 100, window: 8 };
            let pairs = Scenario::Pairs { pairs: 100, rate: 1_000 };
            let each = [flood, pairs, idle].map(|scenario| run(scenario, common));
            Ok(each.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
        }
        scenario => alone(scenario, common),
    }
}

/// One scenario on a server of its own.
fn alone(scenario: Scenario, common: &Common) -> Result<Vec<Figure>, Failure> {
    let users = match scenario {
        Scenario::Idle { sessions } => idle::users(sessions),
        Scenario::Flood { pairs, .. } | Scenario::Pairs { pairs, .. } => 2 * pairs,
        Scenario::Bench => 0,
    };
    let files = users as u64 + 1_000;
    if process::files_allowed() < files {
        return Err(Failure(format!("{files} open files are needed: ulimit -n {files}")));
    }
    let server = Server::start(&Setup {
        binary: common.server.clone().unwrap_or_else(beside),
        data: common.data.clone(),
        settings: common.settings.clone(),
        users,
    })?;
    let span = Span { warm_up: Duration::from_secs(2), measured: Duration::from_secs(common.seconds) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        match scenario {
            Scenario::Idle { sessions } => {
                let points: Vec<usize> = (1..=5).map(|fifth| sessions * fifth / 10 * 2).collect();
                Ok(idle::run(&server, &points).await?.figures())
            }
            Scenario::Flood { window, .. } => flow(&server, "flood", users, Drive::Window(window), span).await,
            Scenario::Pairs { rate, .. } => {
                flow(&server, &format!("rate_{rate}"), users, Drive::Rate(rate), span).await
            }
            Scenario::Bench => Ok(Vec::new()),
        }
    })
}

async fn flow(server: &Server, name: &str, users: usize, drive: Drive, span: Span) -> Result<Vec<Figure>, Failure> {
    Ok(load::run(server, 0..users, drive, span).await?.figures(name, drive))
}
