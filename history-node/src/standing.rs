//! How one kind of reader stands, over all partitions: told as a part of the node's health, and counted.
//!
//! What was set aside keeps the part degraded until the process starts anew, as does what has stopped.
//! A partition *waits* while an engine is away, and has *stopped* when its log is not the one that it knew.
//! Neither takes the others along, so the part is degraded at worst. Traps avoided: a partition that goes on
//! must not declare another one healed, which waits or has stopped; and an outage that all partitions meet, twice a
//! second each, must not bury the log: that they wait is said once, again from time to time, and when it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::health::{Part, State};
use volery_node::metrics::{HistoryReader, Label as _, Metrics};

/// Partitions that are named; the others are counted.
const NAMED_MOST: usize = 8;
/// How often the log is told that partitions still wait.
const TOLD_EVERY_MS: u64 = 30_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ail {
    Waits { since: Timestamp, reason: String },
    Stopped { reason: String },
}

/// See the module.
pub(crate) struct Standing {
    reader: HistoryReader,
    part: Part,
    metrics: Metrics,
    ails: Mutex<Ails>,
}

#[derive(Default)]
struct Ails {
    by_partition: BTreeMap<Partition, Ail>,
    /// Records that were set aside since the start. It takes a person, or a later version, to apply them.
    aside: u64,
    /// When the log was told last that partitions wait, if it was not told yet that they go on.
    told: Option<Timestamp>,
}

impl Standing {
    pub(crate) fn new(reader: HistoryReader, part: Part, metrics: Metrics) -> Self {
        Self { reader, part, metrics, ails: Mutex::default() }
    }

    /// So many partitions are read here from now on. Who reads none is well.
    pub(crate) fn holds(&self, count: usize, now: Timestamp) {
        self.metrics.reader_partitions.of(self.reader).set(i64::try_from(count).unwrap_or(i64::MAX));
        if count == 0 {
            self.change(now, |_| {});
        }
    }

    /// The partition is read; or another node's, and what it was like here is nobody's concern any more.
    pub(crate) fn goes_on(&self, partition: Partition, now: Timestamp) {
        self.change(now, |ails| drop(ails.by_partition.remove(&partition)));
    }

    /// The partition will be tried again.
    pub(crate) fn waits(&self, partition: Partition, reason: String, now: Timestamp) {
        self.change(now, |ails| {
            let since = match ails.by_partition.get(&partition) {
                Some(Ail::Waits { since, .. }) => *since,
                Some(Ail::Stopped { .. }) | None => now,
            };
            ails.by_partition.insert(partition, Ail::Waits { since, reason });
        });
    }

    /// The partition is not read any more until the process starts anew, or another one has it.
    pub(crate) fn stopped(&self, partition: Partition, reason: String, now: Timestamp) {
        self.change(now, |ails| drop(ails.by_partition.insert(partition, Ail::Stopped { reason })));
    }

    /// So many more records were set aside.
    pub(crate) fn set_aside(&self, count: u64, now: Timestamp) {
        self.change(now, |ails| ails.aside += count);
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Ails)) {
        let mut ails = self.ails.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut ails);
        let since = ails.by_partition.values().filter_map(|ail| match ail {
            Ail::Waits { since, .. } => Some(*since),
            Ail::Stopped { .. } => None,
        });
        let since = since.min();
        let waits = since.map_or(0.0, |since| now.since(since) as f64 / 1_000.0);
        self.metrics.reader_waits_seconds.of(self.reader).set(waits);
        let stopped = ails.by_partition.values().filter(|ail| matches!(ail, Ail::Stopped { .. })).count();
        self.metrics.readers_stopped.of(self.reader).set(i64::try_from(stopped).unwrap_or(i64::MAX));
        let state = state(&ails);
        self.tell(&mut ails, since.is_some(), &state, now);
        self.part.set(state);
    }

    fn tell(&self, ails: &mut Ails, waits: bool, state: &State, now: Timestamp) {
        let reader = self.reader.texts().concat();
        if !waits && ails.told.take().is_some() {
            tracing::info!(reader, "no partition waits any more");
        }
        let due = ails.told.is_none_or(|told| now.since(told) >= TOLD_EVERY_MS);
        if let (true, true, State::Degraded(reason)) = (waits, due, state) {
            tracing::error!(reader, reason, "it will be tried again");
            ails.told = Some(now);
        }
    }
}

/// Those that stopped come first: they heal by no patience.
fn state(ails: &Ails) -> State {
    let of = |stopped: bool| {
        let those: Vec<_> =
            ails.by_partition.iter().filter(|(_, ail)| matches!(ail, Ail::Stopped { .. }) == stopped).collect();
        let (_, Ail::Waits { reason, .. } | Ail::Stopped { reason }) = those.first()?;
        let names: Vec<_> = those.iter().take(NAMED_MOST).map(|(partition, _)| partition.to_string()).collect();
        let more = those.len().saturating_sub(NAMED_MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = if stopped { "stopped" } else { "waiting" };
        Some(format!("{what} in partitions {}{more}: {reason}", names.join(", ")))
    };
    let aside = (ails.aside > 0).then(|| format!("{} records set aside since the start", ails.aside));
    let said: Vec<_> = [of(true), of(false), aside].into_iter().flatten().collect();
    if said.is_empty() { State::Ready } else { State::Degraded(said.join("; ")) }
}

#[cfg(test)]
mod tests {
    use volery_node::health::Health;

    use super::*;

    #[test]
    fn who_goes_on_heals_nobody_else() {
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        let standing = Standing::new(HistoryReader::Archive, health.part("archive"), metrics.clone());
        let told = || match health.report().parts["archive"].clone() {
            State::Degraded(reason) => reason,
            other => format!("{other:?}"),
        };
        let waits = || metrics.reader_waits_seconds.of(HistoryReader::Archive).get();
        standing.waits(Partition(1), "away".to_owned(), Timestamp(1_000));
        standing.stopped(Partition(2), "another log".to_owned(), Timestamp(1_000));
        standing.goes_on(Partition(3), Timestamp(2_000));
        assert_eq!(told(), "stopped in partitions 2: another log; waiting in partitions 1: away");
        standing.waits(Partition(1), "away".to_owned(), Timestamp(6_000));
        assert_eq!((waits(), metrics.readers_stopped.of(HistoryReader::Archive).get()), (5.0, 1));
        standing.goes_on(Partition(1), Timestamp(7_000));
        assert_eq!((told(), waits()), ("stopped in partitions 2: another log".to_owned(), 0.0));
        standing.goes_on(Partition(2), Timestamp(8_000));
        assert_eq!((told(), health.report().ready), ("Ready".to_owned(), true));
        standing.set_aside(2, Timestamp(8_000));
        standing.goes_on(Partition(1), Timestamp(8_000));
        assert_eq!((told(), health.report().ready), ("2 records set aside since the start".to_owned(), true));
    }

    #[test]
    fn many_are_counted() {
        let ail = Ail::Stopped { reason: "x".to_owned() };
        let by_partition = (0..10).map(|partition| (Partition(partition), ail.clone())).collect();
        let ails = Ails { by_partition, ..Ails::default() };
        let said = "stopped in partitions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more: x";
        assert_eq!(state(&ails), State::Degraded(said.to_owned()));
    }
}
