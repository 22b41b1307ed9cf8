//! What a run is given, and what it gives back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::idle;
use loadtest::load::Span;
use loadtest::server::{Server, Setup};

use crate::figure::Share;
use crate::moves::Moving;

/// Programs beside this one.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `volery`.
    pub server: PathBuf,
    /// `bare-append`.
    pub bare_append: PathBuf,
    /// `bare-page`.
    pub bare_page: PathBuf,
    /// `bare-probe`.
    pub bare_probe: PathBuf,
    /// `bare-durable`.
    pub bare_durable: PathBuf,
    /// `bare-page-cql`.
    pub bare_page_cql: PathBuf,
    /// `many-nodes`.
    pub many_nodes: PathBuf,
    /// `engines/engines` of the source tree.
    pub engines: PathBuf,
}

impl Programs {
    /// Those in a folder, and `engines` elsewhere.
    #[must_use]
    pub fn of(folder: &Path, engines: &Path) -> Self {
        let named = |name| folder.join(name);
        Self {
            server: named("volery"),
            bare_append: named("bare-append"),
            bare_page: named("bare-page"),
            bare_probe: named("bare-probe"),
            bare_durable: named("bare-durable"),
            bare_page_cql: named("bare-page-cql"),
            many_nodes: named("many-nodes"),
            engines: engines.to_owned(),
        }
    }
}

/// How many pages are read.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// Of a window: half of them never read before. Even.
    pub each_window: usize,
    /// A second.
    pub per_second: u64,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Sessions at which the server is weighed; even, rising.
    pub idle: [usize; 5],
    /// What fills the server's caches before it is weighed.
    pub filling: Span,
    /// Pairs of users that write to each other.
    pub pairs: usize,
    /// Messages a second of all pairs together, where there is a rate.
    pub rate: u64,
    /// A flood.
    pub flood: Span,
    /// A run at that rate.
    pub steady: Span,
    /// A window of one arm, where two take turns.
    pub window: Duration,
    /// Windows of each arm in a round.
    pub windows: usize,
    /// Out of the embedded timeline.
    pub pages: Pages,
    /// Out of Cassandra, where writing the rows takes longer.
    pub cql_pages: Pages,
    /// A round of deliveries with bare probes among them.
    pub probed: Duration,
    /// A flood that has to be sustained.
    pub sustained: Span,
    /// Rounds of it, at most.
    pub sustained_rounds: usize,
    /// Pairs of users who talk in turns.
    pub talkers: usize,
    /// How long they do.
    pub talk: Span,
    /// Devices that come back.
    pub devices: usize,
    /// Readers that stall.
    pub readers: usize,
    /// Partitions that move.
    pub moving: Moving,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Sizes {
    /// Those of the issue: minutes.
    pub const FULL: Self = Self {
        idle: [5_000, 7_500, 10_000, 12_500, 15_000],
        filling: idle::FILLING,
        pairs: 100,
        rate: 1_000,
        flood: Span { warm_up: seconds(2), measured: seconds(8) },
        steady: Span { warm_up: seconds(2), measured: seconds(10) },
        window: seconds(1),
        windows: 6,
        pages: Pages { each_window: 400, per_second: 400 },
        cql_pages: Pages { each_window: 100, per_second: 100 },
        probed: seconds(20),
        sustained: Span { warm_up: seconds(5), measured: seconds(60) },
        sustained_rounds: 3,
        talkers: 300,
        talk: Span { warm_up: seconds(5), measured: seconds(25) },
        devices: 1_000,
        readers: 1_000,
        moving: Moving::FULL,
    };

    /// For a test of the suites themselves: seconds. Its figures say nothing.
    pub const TINY: Self = Self {
        idle: [20, 40, 60, 80, 100],
        filling: Span { warm_up: Duration::ZERO, measured: seconds(1) },
        pairs: 4,
        rate: 200,
        flood: Span { warm_up: Duration::ZERO, measured: seconds(1) },
        steady: Span { warm_up: Duration::ZERO, measured: seconds(1) },
        window: Duration::from_millis(400),
        windows: 1,
        pages: Pages { each_window: 40, per_second: 400 },
        cql_pages: Pages { each_window: 40, per_second: 200 },
        probed: seconds(1),
        sustained: Span { warm_up: Duration::ZERO, measured: seconds(2) },
        sustained_rounds: 1,
        talkers: 4,
        talk: Span { warm_up: Duration::ZERO, measured: seconds(5) },
        devices: 20,
        readers: 10,
        moving: Moving::TINY,
    };
}

/// What a run is given.
#[derive(Clone, Debug)]
pub struct Bench {
    /// What is started.
    pub programs: Programs,
    /// Where servers and bare programs have their folders: on the disk that is to be measured.
    pub data: PathBuf,
    /// How often each figure is taken.
    pub rounds: usize,
    /// How much is measured.
    pub sizes: Sizes,
}

impl Bench {
    /// A server with so many users, imported by a process before it.
    ///
    /// # Errors
    /// Why it did not start.
    pub fn server(&self, users: usize) -> Result<Server, Failure> {
        self.server_with(users, Vec::new())
    }

    /// The same with settings, `KEY=VALUE` each.
    ///
    /// # Errors
    /// As [`Bench::server`].
    pub fn server_with(&self, users: usize, settings: Vec<String>) -> Result<Server, Failure> {
        let binary = self.programs.server.clone();
        Server::start(&Setup { binary, data: Some(self.data.clone()), settings, ..Setup::new(users) })
    }

    /// An empty folder, removed when it is dropped.
    ///
    /// # Errors
    /// The file system's.
    pub fn folder(&self) -> Result<tempfile::TempDir, Failure> {
        std::fs::create_dir_all(&self.data)?;
        Ok(tempfile::tempdir_in(&self.data)?)
    }
}

/// The rounds of one figure.
pub type Rounds = (&'static str, Vec<f64>);

/// What a run has measured.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Figures by name, each with its rounds.
    pub figures: Vec<Rounds>,
    /// What explains them.
    pub shares: Vec<Share>,
}

/// Says how far a run is, to people.
pub fn progress(figure: &str, round: usize, rounds: usize, seen: &str) {
    eprintln!("  {figure}: round {} of {rounds}: {seen}", round + 1);
}
