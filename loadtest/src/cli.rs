//! What one types: scenarios with their flags, each default with its reason.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::idle;
pub use crate::run::run;
use crate::scenario::storm::Storm;
use crate::scenario::{Scenario, day};

/// Drives many devices against Volery through the public protocol, and says what they saw and what
/// it cost. Each is the client's own state machine: it reconnects, retries and catches up.
///
/// Without --gateway a server is started on an empty folder, with imported users, and is gone
/// afterwards. At the end: a table, a JSON file and a page in --out.
///
/// Exit code: 0, and 1 if a promise was broken, 2 if the run could not be made.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) what: What,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Seconds measured; the default is enough for a p99 at 1,000 messages a second
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Ends the measured time of `flood` and `pairs` early, once this file is there
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) until: Option<PathBuf>,
    /// Makes this file once the first message of `flood` or `pairs` is acknowledged: for who breaks something then
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) begun: Option<PathBuf>,
    /// Seconds before that; the default lets caches fill and the first segments open
    #[arg(long, global = true, default_value_t = 2)]
    pub(crate) warm_up: u64,
    /// Bytes of a message's text; the default is a long chat message
    #[arg(long, global = true, default_value_t = 256, value_parser = clap::value_parser!(u64).range(64..=8192))]
    pub(crate) bytes: u64,
    /// Where the report goes: SCENARIO.json and SCENARIO.html
    #[arg(long, global = true, default_value = "target/loadtest")]
    pub(crate) out: PathBuf,
    /// Records no history and judges nothing: costs less memory, and chats are read page by page instead of whole
    #[arg(long, global = true)]
    pub(crate) no_check: bool,
    /// Keeps the history that the checker reads, as JSON lines; what breaks a promise is kept in --out anyway
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_check")]
    pub(crate) history: Option<PathBuf>,
    /// The gateway of a cluster that runs already, like http://127.0.0.1:8400; of several, by commas, each device has
    /// one, and takes the next when that does not answer [default: a server of the run's own]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// Its users: JSON lines like {"user_name":"ada","password":"…"}; for a checked run they must have no chats yet
    /// [default: new ones are registered, which accounts.registrations_per_hour_address has to allow]
    #[arg(long = "users", global = true, value_name = "FILE", id = "users_file", requires = "gateway")]
    pub(crate) users: Option<PathBuf>,
    /// Where its messaging nodes answer metrics, like http://127.0.0.1:8424, by commas: `storm` tells by them what it
    /// costs and how devices were synced
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',', requires = "gateway")]
    pub(crate) probes: Vec<String>,
    /// Authorities that the devices believe, as PEM, where the gateway is https:// [default: those of this machine]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's binary [default: `volery` beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) server: Option<PathBuf>,
    /// Where the server's folder is made; /dev/shm leaves the disk out [default: the system's folder for temporary files]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A setting of the server; limits that are there against abuse are open already
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum What {
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
        /// How likely one edits or deletes a message, or reacts to one, when nothing is unread; the default makes one
        /// change of ten to twenty messages, so that messages stay the load
        #[arg(long, default_value_t = 0.15)]
        changes: f64,
    },
    /// All connections of a node break at once, and everybody reconnects; others stand by
    Storm {
        /// Pairs of users; the default is what a small machine syncs within the clients' first back-off
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Pairs more whose connections stay where there is one node only, to see what they notice; the default gives
        /// a 99th percentile of some hundred deliveries
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        bystanders: u32,
        /// The node whose connections break, like ws://127.0.0.1:8401/v1/ws [default: the one with most of them]
        #[arg(long, value_name = "ADDRESS")]
        node: Option<String>,
        /// Messages a second meanwhile, so that there is something to catch up and to retry
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
        /// How often everything breaks; one round alone may be luck
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Seconds before each round; the default has some hundred deliveries among bystanders
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
        calm: u64,
    },
}

impl What {
    pub(crate) fn users(&self) -> usize {
        match self {
            Self::Idle { sessions } => idle::users(*sessions as usize),
            Self::Flood { pairs, .. } | Self::Pairs { pairs, .. } => 2 * *pairs as usize,
            Self::Storm { pairs, bystanders, .. } => 2 * (*pairs as usize + *bystanders as usize),
            Self::Day { people, .. } => *people as usize,
        }
    }

    pub(crate) fn scenario(&self) -> Option<Scenario> {
        match self.clone() {
            Self::Idle { .. } => None,
            Self::Flood { window, .. } => Some(Scenario::Flood { window: window as usize }),
            Self::Pairs { rate, .. } => Some(Scenario::Pairs { rate }),
            Self::Day { people, arrivals, stay, pause, contacts, devices, switch, changes } => {
                Some(Scenario::Day(day::Habits {
                    devices: devices as usize,
                    arrivals: arrivals.unwrap_or(f64::from(people) / (2.0 * stay)),
                    stay,
                    pause,
                    contacts: (contacts as usize).min(people as usize - 1),
                    switch,
                    changes,
                }))
            }
            Self::Storm { rate, bystanders, node, rounds, calm, .. } => {
                let (bystanders, rounds, calm) = (bystanders as usize, rounds as usize, Duration::from_secs(calm));
                Some(Scenario::Storm(Storm { rate, bystanders, node, rounds, calm }))
            }
        }
    }
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
    fn what_only_a_running_cluster_has_wants_its_gateway() {
        let parse = |words: &[&str]| Arguments::try_parse_from(["loadtest", "flood"].iter().chain(words)).is_ok();
        assert!(parse(&["--gateway", "http://127.0.0.1:1"]));
        assert!(!parse(&["--users", "file"]) && !parse(&["--probes", "http://127.0.0.1:1"]));
        assert!(parse(&["--users", "file", "--gateway", "http://127.0.0.1:1"]));
    }
}
