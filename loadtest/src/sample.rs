//! What a run looked like from moment to moment: what clients counted, and what the server used.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::latency::{Latency, Moment};
use crate::process::Cpu;
use crate::target::{Load, Target};

/// A stretch of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the measured time began, at its end.
    pub at: f64,
    /// Messages that users wanted sent, a second.
    pub wanted: f64,
    /// Acknowledged, a second.
    pub acked: f64,
    /// Delivered, a second.
    pub delivered: f64,
    /// Devices that were connected and held everything.
    pub synced: usize,
    /// Sessions by node, in the order of the tally.
    pub sessions: Vec<usize>,
    /// Messages accepted by each of these nodes, a second.
    pub accepted: Vec<f64>,
    /// Latencies of acknowledgements, in µs.
    pub ack: Moment,
    /// Latencies of deliveries, in µs.
    pub delivery: Moment,
    /// Latencies of deliveries among bystanders, in µs.
    pub bystanders: Moment,
    /// From the loss of a session to `synced`, in µs.
    pub back: Moment,
    /// Errors of any kind.
    pub errors: u64,
    /// Processor time of the server by thread, in cores.
    pub server: BTreeMap<String, f64>,
    /// The server's resident memory in KiB.
    pub rss_kib: u64,
    /// Processor time of the load test, in cores.
    pub own: f64,
}

/// Takes samples.
pub struct Sampler {
    begun: u64,
    last: u64,
    counts: [u64; 4],
    accepted: Vec<u64>,
    load: Load,
    own: Cpu,
    /// So far.
    pub samples: Vec<Sample>,
}

impl Sampler {
    /// Begins now.
    ///
    /// # Errors
    /// The server ended.
    pub fn new(target: &Target, fleet: &Fleet) -> Result<Self, Failure> {
        let now = clock::nanos();
        let load = target.load()?.unwrap_or_default();
        let own = Cpu::of(std::process::id())?;
        let (counts, accepted, samples) = (counts(fleet), accepted(fleet), Vec::new());
        Ok(Self { begun: now, last: now, counts, accepted, load, own, samples })
    }

    /// When it began, in ns of the monotonic clock.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How long ago the last one was taken.
    #[must_use]
    pub fn age(&self) -> Duration {
        clock::since(self.last)
    }

    /// One more.
    ///
    /// # Errors
    /// The server ended.
    pub fn take(&mut self, target: &Target, fleet: &Fleet) -> Result<(), Failure> {
        let now = clock::nanos();
        let seconds = (now - self.last).max(1) as f64 / 1e9;
        let (counts, load, own) = (counts(fleet), target.load()?.unwrap_or_default(), Cpu::of(std::process::id())?);
        let each = |at: usize| (counts[at] - self.counts[at]) as f64 / seconds;
        let cores = |micros: u64| micros as f64 / 1e6 / seconds;
        let threads = load.cpu.since(&self.load.cpu).threads;
        let accepted = accepted(fleet);
        let before = self.accepted.iter().copied().chain(std::iter::repeat(0));
        let accepted_each = accepted.iter().zip(before).map(|(now, before)| (now - before) as f64 / seconds).collect();
        let [ack, delivery, bystanders, back] = fleet.tally_mut(|tally| {
            [&mut tally.ack, &mut tally.delivery, &mut tally.bystanders, &mut tally.back].map(Latency::look)
        });
        self.samples.push(Sample {
            at: (now - self.begun) as f64 / 1e9,
            wanted: each(0),
            acked: each(1),
            delivered: each(2),
            synced: fleet.synced(),
            sessions: fleet.by_node(),
            accepted: accepted_each,
            ack,
            delivery,
            bystanders,
            back,
            errors: counts[3] - self.counts[3],
            server: threads.into_iter().map(|(name, used)| (name, cores(used))).collect(),
            rss_kib: load.rss_kib,
            own: cores(own.since(&self.own).total),
        });
        (self.last, self.counts, self.accepted, self.load, self.own) = (now, counts, accepted, load, own);
        Ok(())
    }
}

fn counts(fleet: &Fleet) -> [u64; 4] {
    let tally = fleet.tally();
    [tally.wanted, tally.acked, tally.delivered, tally.errors.values().sum()]
}

/// By node.
fn accepted(fleet: &Fleet) -> Vec<u64> {
    fleet.tally().nodes.iter().map(|node| node.accepted).collect()
}
