//! What a run is given, and what it gives back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::load::Span;
use loadtest::server::{Server, Setup};

use crate::figure::Share;

/// Programs beside this one.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `volery`.
    pub server: PathBuf,
    /// `bare-append`.
    pub bare_append: PathBuf,
    /// `bare-page`.
    pub bare_page: PathBuf,
}

impl Programs {
    /// Those in a folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let named = |name| folder.join(name);
        Self { server: named("volery"), bare_append: named("bare-append"), bare_page: named("bare-page") }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Sessions at which the server is weighed; even, rising.
    pub idle: [usize; 5],
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
    /// Pages of a window: half of them never read before. Even.
    pub pages: usize,
    /// Pages a second.
    pub pages_per_second: u64,
    /// Devices that come back.
    pub devices: usize,
    /// Readers that stall.
    pub readers: usize,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Sizes {
    /// Those of the issue: minutes.
    pub const FULL: Self = Self {
        idle: [5_000, 7_500, 10_000, 12_500, 15_000],
        pairs: 100,
        rate: 1_000,
        flood: Span { warm_up: seconds(2), measured: seconds(8) },
        steady: Span { warm_up: seconds(2), measured: seconds(10) },
        window: seconds(1),
        windows: 6,
        pages: 400,
        pages_per_second: 400,
        devices: 1_000,
        readers: 1_000,
    };

    /// For a test of the suites themselves: seconds. Its figures say nothing.
    pub const TINY: Self = Self {
        idle: [20, 40, 60, 80, 100],
        pairs: 4,
        rate: 200,
        flood: Span { warm_up: Duration::ZERO, measured: seconds(1) },
        steady: Span { warm_up: Duration::ZERO, measured: seconds(1) },
        window: Duration::from_millis(400),
        windows: 1,
        pages: 40,
        pages_per_second: 400,
        devices: 20,
        readers: 10,
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
        let binary = self.programs.server.clone();
        Server::start(&Setup { binary, data: Some(self.data.clone()), ..Setup::new(users) })
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
