//! A run from its beginning to its report: log in, connect, do what the scenario says while samples
//! are taken, come to rest, judge.

mod changes;
pub mod day;
pub mod storm;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use volery_checker::history::History;

use crate::account::Account;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::load::{self, Drive, Span};
use crate::process::Cpu;
use crate::progress::Progress;
use crate::sample::{Sample, Sampler};
use crate::tally::Tally;
use crate::target::{Load, Target};

/// All devices must be synced within this.
const OPENED_WITHIN: Duration = Duration::from_secs(300);
/// What is under way when the measured time ends must end within this, and so must the reading after it.
const REST_WITHIN: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A run has about so many samples, a second apart at most; the kernel counts processor time in steps
/// of 10 ms, so closer ones would be noise.
const SAMPLES: u32 = 40;
const SAMPLE_LEAST: Duration = Duration::from_millis(200);
const SAMPLE_MOST: Duration = Duration::from_secs(1);

/// What people do.
#[derive(Clone, Debug)]
pub enum Scenario {
    /// As many messages as go through.
    Flood {
        /// Unconfirmed messages of a pair.
        window: usize,
    },
    /// A steady rate.
    Pairs {
        /// Messages a second, of all pairs together.
        rate: u64,
    },
    /// People come and go.
    Day(day::Habits),
    /// All sessions of a node break at once.
    Storm(storm::Storm),
}

impl Scenario {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flood { .. } => "flood",
            Self::Pairs { .. } => "pairs",
            Self::Day(_) => "day",
            Self::Storm(_) => "storm",
        }
    }

    /// Devices of each user.
    #[must_use]
    pub const fn devices(&self) -> usize {
        match self {
            Self::Day(habits) => habits.devices,
            Self::Flood { .. } | Self::Pairs { .. } | Self::Storm(_) => 1,
        }
    }
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What people do.
    pub scenario: Scenario,
    /// How long.
    pub span: Span,
    /// Made once the first message of `flood` and `pairs` is acknowledged.
    pub begun: Option<PathBuf>,
    /// The measured time of `flood` and `pairs` ends early once this file is there.
    pub until: Option<PathBuf>,
    /// Length of a text in bytes.
    pub bytes: usize,
    /// Records a history under this name.
    pub history: Option<String>,
}

/// What came of it.
pub struct Outcome {
    /// Second by second.
    pub samples: Vec<Sample>,
    /// The counts of the measured time; latencies too.
    pub tally: Tally,
    /// How long that was, in seconds.
    pub seconds: f64,
    /// What the server used meanwhile, if it is the run's own.
    pub server: Option<Load>,
    /// What the load test used meanwhile.
    pub own: Cpu,
    /// When that began, in ns of the monotonic clock.
    pub begun: u64,
    /// Sessions of each node at its end, by its number in the tally.
    pub sessions: Vec<usize>,
    /// Of `storm`.
    pub weather: Option<storm::Weather>,
    /// Errors of the whole run, by code.
    pub errors: Vec<(String, u64)>,
    /// What every device did and saw.
    pub history: Option<History>,
}

/// Makes a run.
///
/// # Errors
/// A sentence: what did not come in time.
pub async fn run(target: &Target, plan: &Plan) -> Result<Outcome, Failure> {
    let accounts = target.devices(plan.scenario.devices()).await?;
    let mut fleet = Fleet::at(target.gateways().clone(), plan.bytes, plan.history.clone())?;
    for account in &accounts {
        fleet.add(account.clone());
    }
    let mut stage = Stage { target, fleet, accounts };
    stage.connect(plan).await?;
    let mut weather = None;
    let mut outcome = match &plan.scenario {
        Scenario::Flood { window } => {
            load::set_going(&stage.fleet, &stage.accounts, Drive::Window(*window));
            stage.measure(plan.span, async |stage| stage.pass(plan).await).await?
        }
        Scenario::Pairs { rate } => {
            load::set_going(&stage.fleet, &stage.accounts, Drive::Rate(*rate));
            stage.measure(plan.span, async |stage| stage.pass(plan).await).await?
        }
        Scenario::Day(habits) => {
            let mut day = day::Day::new(habits.clone(), &stage);
            day.live(&stage, plan.span.warm_up).await;
            stage
                .measure(Span { warm_up: Duration::ZERO, ..plan.span }, async |stage| {
                    day.live(stage, plan.span.measured).await;
                    Ok(())
                })
                .await?
        }
        Scenario::Storm(storm) => {
            storm.set_going(&stage);
            stage
                .measure(plan.span, async |stage| {
                    weather = Some(storm.rage(stage).await?);
                    Ok(())
                })
                .await?
        }
    };
    outcome.weather = weather;
    outcome.history = stage.rest().await?;
    let errors = &stage.fleet.tally().errors;
    outcome.errors = errors.iter().map(|(code, count)| (code.clone(), *count)).collect();
    Ok(outcome)
}

/// Where a scenario plays.
pub struct Stage<'t> {
    /// What the load goes to.
    pub target: &'t Target,
    /// All devices.
    pub fleet: Fleet,
    /// Whose they are, by number.
    pub accounts: Vec<Account>,
}

impl Stage<'_> {
    /// Everybody connects; before a `day`, nobody does. Who is recorded must begin with nothing: what
    /// stands in older chats is unknown to the checker.
    async fn connect(&mut self, plan: &Plan) -> Result<(), Failure> {
        let is_day = matches!(plan.scenario, Scenario::Day(_));
        let may_have_chats = self.target.may_have_chats() && plan.history.is_some();
        if is_day && !may_have_chats {
            return Ok(());
        }
        let bar = Progress::new("connections", self.fleet.len() as u64);
        self.fleet.start_all(OPENED_WITHIN, |opened| bar.at(opened as u64, "")).await?;
        let has_chats = |device: &usize| self.fleet.look(*device, |app| !app.view().chats().is_empty());
        if may_have_chats && (0..self.fleet.len()).any(|device| has_chats(&device)) {
            let what =
                "these users have chats already, of which the checker knows nothing: use new ones, or --no-check";
            return Err(Failure(what.to_owned()));
        }
        if is_day {
            (0..self.fleet.len()).for_each(|device| self.fleet.stop(device));
        }
        Ok(())
    }

    /// Lets the measured time pass, at most until a file is there.
    async fn pass(&self, plan: &Plan) -> Result<(), Failure> {
        let is_there = async {
            self.tell_of_the_first(plan.begun.as_deref()).await?;
            let Some(file) = plan.until.as_deref() else { return std::future::pending().await };
            while !file.exists() {
                tokio::time::sleep(SAMPLE_LEAST).await;
            }
            Ok(())
        };
        // Time that has run out is as good an end.
        tokio::time::timeout(plan.span.measured, is_there).await.unwrap_or(Ok(()))
    }

    /// Makes a file once a message is acknowledged.
    async fn tell_of_the_first(&self, file: Option<&Path>) -> Result<(), Failure> {
        let Some(file) = file else { return Ok(()) };
        while self.fleet.tally().acked == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(std::fs::write(file, "")?)
    }

    /// Measures while `play` goes on, after a warm-up.
    async fn measure(
        &self,
        span: Span,
        play: impl AsyncFnOnce(&Self) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        tokio::time::sleep(span.warm_up).await;
        self.fleet.begin();
        let (load, own, before) = (self.target.load()?, Cpu::of(std::process::id())?, self.fleet.tally().clone());
        let begun = crate::clock::nanos();
        let mut sampler = Sampler::new(self.target, &self.fleet)?;
        let bar = Progress::new("measuring", span.measured.as_secs());
        {
            let mut play = std::pin::pin!(play(self));
            let mut ticks = tokio::time::interval((span.measured / SAMPLES).clamp(SAMPLE_LEAST, SAMPLE_MOST));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                tokio::select! {
                    ended = &mut play => break ended?,
                    _ = ticks.tick() => {
                        sampler.take(self.target, &self.fleet)?;
                        let last = sampler.samples.last().map_or(0.0, |sample| sample.acked);
                        bar.at(crate::clock::since(begun).as_secs(), &format!("s, {last:.0} messages/s"));
                    }
                }
            }
        }
        if sampler.samples.is_empty() || sampler.age() >= SAMPLE_LEAST {
            sampler.take(self.target, &self.fleet)?;
        }
        let used = |now: Load| Load { cpu: now.cpu.since(&load.clone().unwrap_or_default().cpu), rss_kib: now.rss_kib };
        Ok(Outcome {
            begun: sampler.begun(),
            samples: sampler.samples,
            tally: self.fleet.tally().since(&before),
            seconds: crate::clock::since(begun).as_secs_f64(),
            server: self.target.load()?.map(used),
            own: Cpu::of(std::process::id())?.since(&own),
            sessions: self.fleet.by_node(),
            weather: None,
            errors: Vec::new(),
            history: None,
        })
    }

    async fn rest(&self) -> Result<Option<History>, Failure> {
        let _bar = Progress::new("coming to rest", 1);
        self.fleet.come_to_rest(REST_WITHIN).await
    }
}
