//! `storm`: all sessions of a node break at one moment, and everybody reconnects as a good client does: after a
//! random part of 250 ms, then of more. How many a second come back, what that costs the server, and what
//! those notice of it whose connections did not break.
//!
//! Those are at other nodes. Where there is no other, pairs of their own stand by: their connections stay.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Stage;
use crate::clock;
use crate::failure::Failure;
use crate::latency::Moment;
use crate::load::set_pace;
use crate::meter::Syncs;

/// Everybody is back within this, or the run has failed.
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// Messages a second of each pair that stands by: a 99th percentile wants some hundred of them in a storm.
const BYSTANDERS_RATE: u64 = 5;
/// What follows from the last messages (marks, archive) is over by then.
const SETTLE: Duration = Duration::from_secs(2);

/// How it goes.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Messages a second, of all pairs together, all the while; those who stand by write on top of it.
    pub rate: u64,
    /// Pairs that stand by: the last ones.
    pub bystanders: usize,
    /// The node, by its address; the one with most sessions if `None`.
    pub node: Option<String>,
    /// How often everything breaks.
    pub rounds: usize,
    /// From one return to the next breaking.
    pub calm: Duration,
}

/// One breaking.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Connections that broke.
    pub broken: usize,
    /// Half of them were synced again after so many ms.
    pub p50: f64,
    /// Ninety-nine in a hundred were.
    pub p99: f64,
    /// The last one was.
    pub last: f64,
    /// Connections that broke, by the seconds until all were synced.
    pub per_second: f64,
    /// Deliveries among those who stand by in the calm before, in µs.
    pub before: Moment,
    /// The same until everybody was back.
    pub meanwhile: Moment,
    /// What the servers' processors did meanwhile, in seconds, if that can be known.
    pub cpu: Option<f64>,
    /// How sessions were synced, if that can be known.
    pub syncs: Option<Syncs>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Weather {
    /// The node whose sessions broke.
    pub node: String,
    /// Each breaking.
    pub rounds: Vec<Round>,
    /// 99 in 100 deliveries among those who stand by, in the calm before all rounds, in ms.
    pub calm_p99: f64,
    /// The same until everybody was back.
    pub storm_p99: f64,
    /// Cores that the servers used when nobody said anything any more, if that can be known.
    pub idle_cores: Option<f64>,
}

/// Whose connections break, and where those are.
struct Sides {
    node: usize,
    cut: Vec<usize>,
}

/// Deliveries among those who stand by, in the calm and until everybody was back, in µs.
struct Felt {
    calm: Histogram<u64>,
    storm: Histogram<u64>,
}

impl Storm {
    /// Everybody writes.
    pub fn set_going(&self, stage: &Stage<'_>) {
        let (fleet, accounts, count) = (&stage.fleet, &stage.accounts, stage.fleet.len());
        let first = count - 2 * self.bystanders;
        set_pace(fleet, accounts, 0..first, self.rate);
        set_pace(fleet, accounts, first..count, BYSTANDERS_RATE * self.bystanders as u64);
    }

    /// Plays all rounds.
    ///
    /// # Errors
    /// How many devices are not back in time, or there is no such node.
    pub async fn rage(&self, stage: &Stage<'_>) -> Result<Weather, Failure> {
        let sides = self.sides(stage)?;
        let (mut rounds, mut felt) = (Vec::new(), Felt::nothing(stage));
        for _ in 0..self.rounds {
            rounds.push(self.round(stage, &sides.cut, &mut felt).await?);
        }
        let node = stage.fleet.tally().nodes[sides.node].address.clone();
        let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64 / 1_000.0;
        Ok(Weather {
            node,
            rounds,
            calm_p99: p99(&felt.calm),
            storm_p99: p99(&felt.storm),
            idle_cores: idle(stage, self.calm).await?,
        })
    }

    /// Whose connections are to break; the others are told that they stand by.
    fn sides(&self, stage: &Stage<'_>) -> Result<Sides, Failure> {
        let (fleet, by_node) = (&stage.fleet, stage.fleet.by_node());
        let node = self.chosen(stage, &by_node)?;
        let alone = by_node[node] == fleet.len();
        let last = if alone { fleet.len() - 2 * self.bystanders } else { fleet.len() };
        let is_cut = |device: usize| fleet.node_of(device) == Some(node) && device < last;
        let calm = |device: &usize| !is_cut(*device) && !is_cut(device ^ 1);
        (0..fleet.len()).filter(calm).for_each(|device| fleet.stands_by(device));
        Ok(Sides { node, cut: (0..fleet.len()).filter(|device| is_cut(*device)).collect() })
    }

    fn chosen(&self, stage: &Stage<'_>, by_node: &[usize]) -> Result<usize, Failure> {
        let tally = stage.fleet.tally();
        let fullest = || (0..by_node.len()).max_by_key(|node| by_node[*node]);
        let named = |name: &String| tally.nodes.iter().position(|node| node.address == *name);
        let chosen = self.node.as_ref().map_or_else(fullest, named).filter(|node| by_node[*node] > 0);
        chosen.ok_or_else(|| {
            let nodes: Vec<_> = tally.nodes.iter().map(|node| node.address.as_str()).collect();
            Failure(format!(
                "no session is at {}: they are at {}",
                self.node.as_deref().unwrap_or("any node"),
                nodes.join(", ")
            ))
        })
    }

    async fn round(&self, stage: &Stage<'_>, cut: &[usize], felt: &mut Felt) -> Result<Round, Failure> {
        let fleet = &stage.fleet;
        let times = || (fleet.tally().bystanders.whole.clone(), fleet.tally().back.whole.clone());
        let (calm_from, _) = times();
        tokio::time::sleep(self.calm).await;
        let meter = stage.target.meter().await?;
        let ((storm_from, back_from), begun) = (times(), clock::nanos());
        cut.iter().for_each(|device| fleet.cut(*device));
        let away = || cut.iter().filter(|device| !fleet.is_synced(**device)).count();
        fleet.until("devices are not back", BACK_WITHIN, away).await?;
        let (took, (mut meanwhile, mut back)) = (clock::since(begun), times());
        let used = stage.target.meter().await?.zip(meter).map(|(now, before)| now.since(&before));
        let mut before = storm_from.clone();
        before.subtract(&calm_from)?;
        meanwhile.subtract(&storm_from)?;
        back.subtract(&back_from)?;
        felt.calm.add(&before)?;
        felt.storm.add(&meanwhile)?;
        let millis = |quantile| back.value_at_quantile(quantile) as f64 / 1_000.0;
        Ok(Round {
            broken: cut.len(),
            p50: millis(0.5),
            p99: millis(0.99),
            last: millis(1.0),
            per_second: cut.len() as f64 / took.as_secs_f64(),
            before: Moment::of(&before),
            meanwhile: Moment::of(&meanwhile),
            cpu: used.map(|used| used.cpu),
            syncs: used.map(|used| used.syncs),
        })
    }
}

impl Felt {
    fn nothing(stage: &Stage<'_>) -> Self {
        let mut times = stage.fleet.tally().bystanders.whole.clone();
        times.reset();
        Self { calm: times.clone(), storm: times }
    }
}

/// Nobody says anything any more: what do the sessions themselves cost?
async fn idle(stage: &Stage<'_>, time: Duration) -> Result<Option<f64>, Failure> {
    stage.fleet.quiet();
    tokio::time::sleep(SETTLE).await;
    let (before, begun) = (stage.target.meter().await?, clock::nanos());
    tokio::time::sleep(time).await;
    let used = stage.target.meter().await?.zip(before).map(|(now, before)| now.since(&before).cpu);
    Ok(used.map(|used| used / clock::since(begun).as_secs_f64()))
}
