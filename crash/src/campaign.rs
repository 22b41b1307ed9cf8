//! Kills and pauses at random moments, in rounds: each has people of its own on the same server, comes
//! to rest and is judged, so that histories stay small while the server's folder grows.
//!
//! Some kills do not wait until everybody is back from the one before: they meet a server that is
//! reading its log again, and devices in the middle of their retries.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use loadtest::clock;
use loadtest::failure::Failure;
use loadtest::progress::Progress;
use loadtest::report::save;
use loadtest::server::Setup;
use loadtest::target::{Running, Target};
use loadtest::verdict::{self, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use volery_checker::history::History;
use volery_tls::Trust;

use crate::crowd::{Crowd, Sizes};
use crate::report::{Break, Report};
use crate::story;
use crate::victim::Victim;

/// Breaks of one round.
const ROUND: usize = 10;
/// A break counts if it met so many unacknowledged sends.
pub const UNACKNOWLEDGED_LEAST: usize = 50;
/// From a server that is ready to the next kill, in ms, if nobody waits for anybody; and how often so.
const EARLY_MS: Range<u64> = 0..300;
const EARLY: f64 = 0.2;
/// From the last one synced to the next break, in ms.
const CALM_MS: Range<u64> = 50..1_200;
const LOST_WITHIN: Duration = Duration::from_secs(10);
const BACK_WITHIN: Duration = Duration::from_secs(90);
const REST_WITHIN: Duration = Duration::from_secs(180);

/// How the server is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// `SIGKILL`, and a start on the same folder.
    Kill,
    /// `SIGSTOP`, and `SIGCONT` after so long.
    Stop(Duration),
}

/// What is done, and to whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How.
    pub blow: Blow,
    /// How often; only what counts is counted.
    pub times: usize,
    /// Says at which moments.
    pub seed: u64,
    /// Who is there.
    pub sizes: Sizes,
    /// The program `volery`.
    pub binary: PathBuf,
    /// Where the server's folder is made; the system's place for temporary files if `None`.
    pub data: Option<PathBuf>,
    /// `KEY=VALUE` of its configuration.
    pub settings: Vec<String>,
    /// Where histories are kept; only what breaks a promise is, beside the data, if `None`.
    pub history: Option<PathBuf>,
}

impl Plan {
    /// Three times what is needed if everything counts, and one more: then it is given up.
    const fn rounds_most(&self) -> usize {
        3 * self.times.div_ceil(ROUND) + 1
    }

    /// The server, for so many users.
    pub(crate) fn setup(&self, users: usize) -> Setup {
        Setup {
            binary: self.binary.clone(),
            data: self.data.clone(),
            settings: self.settings.clone(),
            ..Setup::new(users)
        }
    }
}

/// Does it.
///
/// # Errors
/// A sentence: the server does not start again, devices do not come back, too few breaks count.
pub async fn run(plan: &Plan) -> Result<Report, Failure> {
    let (begun, mut rng) = (clock::nanos(), StdRng::seed_from_u64(plan.seed));
    let users = plan.sizes.users();
    let mut victim = Victim::start(plan.setup(users * plan.rounds_most()), &mut rng)?;
    let what = if plan.blow == Blow::Kill { "kill" } else { "stop" };
    let mut report = Report::new(what, plan.seed, plan.sizes);
    let bar = Progress::new("breaks", plan.times as u64);
    for number in 0..plan.rounds_most() {
        let left = plan.times - report.counted;
        if left == 0 {
            break;
        }
        let round = Round { plan, number, users: users * number..users * (number + 1), times: left.min(ROUND) };
        victim = round.play(victim, &mut rng, &mut report, &bar).await?;
        bar.at(report.counted as u64, "");
    }
    report.seconds = clock::since(begun).as_secs_f64();
    if report.counted < plan.times {
        return Err(Failure(format!("{}only {} of {} breaks count", report.table(), report.counted, plan.times)));
    }
    Ok(report)
}

/// A target without users of its own: a day's stage asks for one.
///
/// # Errors
/// Never: nothing is read of an empty file.
pub fn target_at(gateway: &str) -> Result<Target, Failure> {
    Target::running(&Running { gateway: gateway.to_owned(), trust: Trust::machine(), users: "/dev/null".into() }, 0)
}

struct Round<'p> {
    plan: &'p Plan,
    number: usize,
    users: Range<usize>,
    times: usize,
}

impl Round<'_> {
    async fn play(
        &self,
        victim: Victim,
        rng: &mut StdRng,
        report: &mut Report,
        bar: &Progress,
    ) -> Result<Victim, Failure> {
        let target = target_at(victim.server().gateway())?;
        let name = format!("{} of seed {}, round {}", report.what, self.plan.seed, self.number);
        let crowd = Crowd::gather(target.gateway(), &target, self.users.clone(), self.plan.sizes, name).await?;
        let before = report.counted as u64;
        let (victim, mut breaks) = crowd
            .live(async {
                let (mut victim, mut breaks) = (victim, Vec::with_capacity(self.times));
                tokio::time::sleep(Duration::from_millis(rng.random_range(CALM_MS))).await;
                for at in 0..self.times {
                    let done;
                    (victim, done) = self.strike(victim, &crowd, rng).await?;
                    breaks.push(done);
                    // Whether they count is known at the end of the round.
                    bar.at(before, &format!("count, {} more in this round", at + 1));
                }
                self.back(crowd.open(), &victim, &crowd).await?;
                Ok((victim, breaks))
            })
            .await?;
        let mut history = rest(&crowd).await?;
        let answered = story::answered(&history);
        let ends: Vec<u64> = breaks.iter().skip(1).map(|next| next.at_us).chain([u64::MAX]).collect();
        let least = UNACKNOWLEDGED_LEAST;
        breaks.iter_mut().zip(ends).for_each(|(one, end)| one.judge(&answered, end, least));
        story::place(&mut history, breaks.iter().map(|one| (one.at_us, report.what.to_owned())).collect());
        let verdict = judge(&history, self.plan.history.as_deref(), self.plan.seed, self.number)?;
        report.add(breaks, crowd.fleet().tally().acked, verdict);
        Ok(victim)
    }

    /// One break, and the time after it.
    async fn strike(&self, victim: Victim, crowd: &Crowd<'_>, rng: &mut StdRng) -> Result<(Victim, Break), Failure> {
        let (met, open, at_us) = (crowd.unacknowledged(), crowd.open(), crowd.now());
        let mut done = Break { at_us, ..Break::default() };
        let victim = match self.plan.blow {
            Blow::Kill => {
                victim.kill()?;
                crowd.lost(LOST_WITHIN).await?;
                done.unacknowledged = met.intersection(&crowd.unacknowledged()).count();
                let begun = clock::nanos();
                let victim = victim.started_again().await?;
                done.restart_ms = millis_since(begun);
                victim
            }
            Blow::Stop(time) => {
                let paused = victim.pause()?;
                tokio::time::sleep(time).await;
                done.unacknowledged = met.intersection(&crowd.unacknowledged()).count();
                drop(paused);
                victim
            }
        };
        let begun = clock::nanos();
        let early = self.plan.blow == Blow::Kill && rng.random_bool(EARLY);
        if !early {
            self.back(open, &victim, crowd).await?;
            done.synced_ms = Some(millis_since(begun));
        }
        let pause = if early { EARLY_MS } else { CALM_MS };
        tokio::time::sleep(Duration::from_millis(rng.random_range(pause))).await;
        Ok((victim, done))
    }

    /// As [`Crowd::back`]; what the server says of itself then is kept, because it ends with the campaign.
    async fn back(&self, devices: Vec<usize>, victim: &Victim, crowd: &Crowd<'_>) -> Result<(), Failure> {
        let Err(Failure(what)) = crowd.back(devices, BACK_WITHIN).await else { return Ok(()) };
        let file = evidence(self.plan.seed, self.number, "metrics");
        let kept = victim.server().metrics().await.and_then(|metrics| save(&file, metrics.as_bytes()));
        let metrics = kept.map_or_else(|Failure(why)| format!("none, {why}"), |()| file.display().to_string());
        Err(Failure(format!("{what}; the server's metrics: {metrics}")))
    }
}

fn evidence(seed: u64, round: usize, kind: &str) -> PathBuf {
    std::env::temp_dir().join(format!("volery-crash-{seed}-{round}.{kind}"))
}

fn millis_since(begun: u64) -> f64 {
    clock::since(begun).as_secs_f64() * 1_000.0
}

/// The end of a round: everybody comes to rest, everything is read.
///
/// # Errors
/// How many devices are not done in time.
pub async fn rest(crowd: &Crowd<'_>) -> Result<History, Failure> {
    let history = crowd.fleet().come_to_rest(REST_WITHIN).await?;
    history.ok_or_else(|| Failure("nothing was recorded".to_owned()))
}

/// Lets the checker decide. A history that breaks a promise is always kept.
///
/// # Errors
/// A history that cannot be written.
pub fn judge(history: &History, keep: Option<&std::path::Path>, seed: u64, round: usize) -> Result<Verdict, Failure> {
    let asked = keep.map(|file| numbered(file, round));
    let verdict = verdict::judge(history, asked.as_deref(), &evidence(seed, round, "jsonl"))?;
    if !verdict.is_good() {
        verdict.print();
    }
    Ok(verdict)
}

/// The first round's file has the name that was asked for; others add their number.
fn numbered(file: &std::path::Path, round: usize) -> PathBuf {
    if round == 0 {
        return file.to_owned();
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{round}"));
    name.into()
}
