//! Faults, one blow after the other, in rounds: each has people of its own on the same cluster, comes to rest and is judged,
//! so that histories stay small.
//!
//! A fault counts if sends were under way when it struck; a blow with one that does not is struck again. After each blow
//! everybody must be synced again in time, or that is a finding, beside whatever the checker finds.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::future::try_join_all;
use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::progress::Progress;
use loadtest::sample::{Sample, Sampler};
use loadtest::target::Target;
use loadtest::verdict::{self, Verdict};
use tokio::time::{MissedTickBehavior, interval, sleep};
use volery_checker::history::History;
use volery_crash::campaign::target_at;
use volery_crash::crowd::{Crowd, Sizes};
use volery_crash::story;

use crate::fault::Fault;
use crate::ground::Ground;
use crate::schedule::{Blow, Schedule, Timed};
use crate::state::{Round, State, Struck};

/// Faults of one round, about.
const ROUND: usize = 10;
/// A fault counts if it met so many sends without an answer.
pub const UNDER_WAY_LEAST: usize = 5;
/// So often one blow is struck until all of it counts.
const TRIES_MOST: usize = 5;
const BACK_WITHIN: Duration = Duration::from_secs(90);
const REST_WITHIN: Duration = Duration::from_secs(240);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A fault waits so long for sends to meet, and looks so often: a quick cluster has answered within milliseconds.
const MEETS_WITHIN: Duration = Duration::from_secs(3);
const MEETS_LOOK: Duration = Duration::from_millis(1);
/// What was on its way when the brokers went away is answered by then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// What is wanted of a campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// So many faults that count, with those that did before.
    pub faults: usize,
    /// Who is there in each round.
    pub sizes: Sizes,
    /// Where its state is kept.
    pub file: PathBuf,
    /// Where histories are kept that break a promise; all of them if `keep`.
    pub histories: PathBuf,
    /// Whether histories that are good are kept, too.
    pub keep: bool,
}

/// Goes on until all are done, or until nobody comes to rest any more.
///
/// # Errors
/// A sentence: something does not start or end, people cannot log in, a blow does not meet any sends.
pub async fn run(plan: &Plan, ground: &Ground, state: &mut State) -> Result<(), Failure> {
    let bar = Progress::new("faults", plan.faults as u64);
    let watch = Watch { begun: clock::nanos(), before: state.seconds };
    while state.counted() < plan.faults {
        let number = state.begun;
        state.begun += 1;
        state.write(&plan.file)?;
        let mut schedule = Schedule::new(state.of.seed, state.of.shape, &state.of.kinds).skip(state.blows);
        let stage = Stage { plan, ground, bar: &bar, watch, counted: state.counted(), name: name(state, number) };
        let (round, blows) = stage.play(number, &mut schedule).await?;
        let ended = round.verdict.is_some();
        state.blows += blows;
        state.rounds.push(round);
        state.seconds = watch.now();
        state.write(&plan.file)?;
        bar.at(state.counted() as u64, "");
        if !ended {
            break;
        }
    }
    Ok(())
}

fn name(state: &State, number: usize) -> String {
    format!("chaos of seed {}, round {number}", state.of.seed)
}

/// Seconds of the campaign, with those of earlier runs.
#[derive(Clone, Copy)]
struct Watch {
    begun: u64,
    before: f64,
}

impl Watch {
    fn now(self) -> f64 {
        self.before + clock::since(self.begun).as_secs_f64()
    }
}

/// Where a round plays.
struct Stage<'c> {
    plan: &'c Plan,
    ground: &'c Ground,
    bar: &'c Progress,
    watch: Watch,
    counted: usize,
    name: String,
}

impl Stage<'_> {
    /// The round, and how many blows of the schedule it had.
    async fn play(&self, number: usize, schedule: &mut dyn Iterator<Item = Blow>) -> Result<(Round, usize), Failure> {
        let users = self.plan.sizes.users();
        let users = users * number..users * (number + 1);
        self.ground.import(users.clone()).await?;
        let target = target_at(self.ground.gateway(number))?;
        let crowd = Crowd::gather(target.gateway(), &target, users, self.plan.sizes, self.name.clone()).await?;
        let mut round = Round { number, at: self.watch.now(), ..Round::default() };
        let left = ROUND.min(self.plan.faults - self.counted);
        let mut scene = Scene { stage: self, crowd: &crowd, places: Vec::new(), round: &mut round };
        let (blows, samples) = crowd.live(sampled(&target, &crowd, scene.blows(schedule, left))).await?;
        let places = scene.places;
        round.samples = samples;
        match crowd.fleet().come_to_rest(REST_WITHIN).await {
            Ok(Some(history)) => self.judge(history, places, &mut round)?,
            Ok(None) => round.findings.push("nothing was recorded".to_owned()),
            Err(Failure(why)) => round.findings.push(format!("nobody comes to rest: {why}")),
        }
        let tally = crowd.fleet().tally();
        (round.acknowledged, round.errors) = (tally.acked, tally.errors.clone());
        Ok((round, blows))
    }

    fn judge(&self, mut history: History, places: Vec<(u64, String)>, round: &mut Round) -> Result<(), Failure> {
        story::place(&mut history, places);
        let verdict = Verdict::of(&history);
        if self.plan.keep || !verdict.is_good() || !round.findings.is_empty() {
            let file = self.plan.histories.join(format!("round-{}.jsonl", round.number));
            verdict::keep(&history, &file)?;
            self.bar.say(&format!("the history of round {} is in {}", round.number, file.display()));
            round.history = Some(file);
        }
        verdict.told.iter().for_each(|told| self.bar.say(told));
        self.bar.say(&format!("round {}: {}", round.number, verdict.sentence()));
        round.verdict = Some(verdict);
        Ok(())
    }
}

/// A round as it is played.
struct Scene<'s> {
    stage: &'s Stage<'s>,
    crowd: &'s Crowd<'s>,
    /// Where faults stand in the history.
    places: Vec<(u64, String)>,
    round: &'s mut Round,
}

impl Scene<'_> {
    /// Blows until so many faults count; how many blows. It ends early with a finding.
    async fn blows(&mut self, schedule: &mut dyn Iterator<Item = Blow>, faults: usize) -> Result<usize, Failure> {
        let (mut done, mut counted) = (0, 0);
        while counted < faults && self.round.findings.is_empty() {
            let Some(mut blow) = schedule.next() else { return Err(Failure("there is nothing to break".to_owned())) };
            blow.faults.truncate(faults - counted);
            counted += self.until_it_counts(&blow).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn until_it_counts(&mut self, blow: &Blow) -> Result<usize, Failure> {
        for _ in 0..TRIES_MOST {
            sleep(blow.calm).await;
            let struck = self.strike(blow).await?;
            self.say(&struck);
            let counts = struck.iter().all(|struck| struck.counts);
            // All or none: what is struck again is counted once.
            self.round.struck.extend(struck.into_iter().map(|struck| Struck { counts, ..struck }));
            if counts || !self.round.findings.is_empty() {
                return Ok(blow.faults.len());
            }
        }
        Err(Failure(format!("{TRIES_MOST} times fewer than {UNDER_WAY_LEAST} sends were under way: {blow:?}")))
    }

    /// One blow, until everybody is back.
    async fn strike(&mut self, blow: &Blow) -> Result<Vec<Struck>, Failure> {
        let (open, begun, away) = (self.crowd.open(), clock::nanos(), Cell::new(None));
        let all = async {
            let done = try_join_all(blow.faults.iter().map(|timed| self.fault(*timed))).await?;
            let healed = clock::nanos();
            Ok::<_, Failure>((done, self.crowd.back(open, BACK_WITHIN).await.map(|()| millis(healed, clock::nanos()))))
        };
        let (done, back) = tokio::select! {
            done = all => done?,
            never = self.look_who_is_away(&away) => match never {},
        };
        let names: Vec<_> = blow.faults.iter().map(|timed| timed.fault.to_string()).collect();
        let late = back.as_ref().err().map(|Failure(why)| format!("after {}: {why}", names.join(" and ")));
        let (back_ms, away_ms) = (back.ok(), away.get().map_or(0.0, |until| millis(begun, until)));
        let met = blow.faults.len() > 1;
        let (done, found): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        self.round.findings.extend(found.into_iter().flatten().chain(late));
        self.places.extend(done.iter().map(|(at, struck)| (*at, struck.fault.to_string())));
        let struck = done.into_iter().map(|(_, struck)| Struck { met, away_ms, back_ms, ..struck }).collect();
        Ok(struck)
    }

    /// One fault, where it stands in the history, and what was wrong while it lasted.
    async fn fault(&self, timed: Timed) -> Result<((u64, Struck), Option<String>), Failure> {
        let Timed { fault, after, .. } = timed;
        sleep(after).await;
        self.until_under_way().await;
        let (at, from, under_way) = (self.crowd.now(), self.stage.watch.now(), self.crowd.unacknowledged().len());
        self.stage.ground.strike(fault).await?;
        let wrong = self.left(timed).await;
        self.stage.ground.heal(fault).await?;
        let (to, counts) = (self.stage.watch.now(), under_way >= UNDER_WAY_LEAST);
        let struck = Struck { fault, from, to, under_way, met: false, counts, away_ms: 0.0, back_ms: None };
        Ok(((at, struck), wrong))
    }

    /// Waits for a moment that counts; not for ever, as nobody may be served just now.
    async fn until_under_way(&self) {
        let begun = clock::nanos();
        while self.crowd.unacknowledged().len() < UNDER_WAY_LEAST && clock::since(begun) < MEETS_WITHIN {
            sleep(MEETS_LOOK).await;
        }
    }

    /// Leaves it so; what was wrong meanwhile. With too few brokers no send may be acknowledged.
    async fn left(&self, Timed { fault, lasts, .. }: Timed) -> Option<String> {
        if fault != Fault::Outage {
            sleep(lasts).await;
            return None;
        }
        // What archive answers a retry with may have stood in the log before.
        let taken = || {
            let tally = self.crowd.fleet().tally();
            tally.acked + tally.changes - tally.retried
        };
        sleep(ANSWERED_WITHIN).await;
        let before = taken();
        sleep(lasts.saturating_sub(ANSWERED_WITHIN)).await;
        let wrongly = taken() - before;
        (wrongly > 0).then(|| format!("{wrongly} sends were acknowledged with too few brokers"))
    }

    /// Notes the last moment at which one of those who are always there was not synced.
    async fn look_who_is_away(&self, away: &Cell<Option<u64>>) -> Infallible {
        let always = self.crowd.stage.accounts.len()..self.crowd.spare().start;
        loop {
            if always.clone().any(|device| !self.crowd.fleet().is_synced(device)) {
                away.set(Some(clock::nanos()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn say(&self, struck: &[Struck]) {
        for one in struck {
            let lasted = one.to - one.from;
            let back = one.back_ms.map_or("not all are back".to_owned(), |ms| format!("all back {ms:.0} ms after it"));
            let counts = if one.counts { "" } else { "; it does not count" };
            self.stage.bar.say(&format!(
                "{:>6.0} s  {}, for {lasted:.1} s: {} sends under way, somebody away for {:.0} ms, {back}{counts}",
                one.from, one.fault, one.under_way, one.away_ms
            ));
        }
    }
}

fn millis(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

/// Takes samples while something goes on.
async fn sampled<T>(
    target: &Target,
    crowd: &Crowd<'_>,
    play: impl Future<Output = Result<T, Failure>>,
) -> Result<(T, Vec<Sample>), Failure> {
    let mut sampler = Sampler::new(target, crowd.fleet())?;
    let (mut play, mut ticks) = (pin!(play), interval(SAMPLE_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            played = &mut play => return Ok((played?, sampler.samples)),
            _ = ticks.tick() => sampler.take(target, crowd.fleet())?,
        }
    }
}
