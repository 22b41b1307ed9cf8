//! Random operations, compared with what their answers allow.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is the body of tests: a broken contract ends them")]

use std::collections::{BTreeMap, HashMap};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Log, NewRecord};

use super::record;

/// What must and what may be in a partition.
#[derive(Default)]
struct Lane {
    sure: BTreeMap<Offset, (Timestamp, NewRecord)>,
    /// By value: what may be anywhere, because its outcome is unknown or because it may be doubled.
    possible: HashMap<bytes::Bytes, NewRecord>,
    released: Offset,
}

/// Runs a few hundred seeded operations on an empty log. The same seed makes the same calls.
pub async fn random(log: &dyn Log, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lanes: Vec<Lane> = log.partitions().iter().map(|_| Lane::default()).collect();
    let mut count = 0;
    for _ in 0..300 {
        let partition = rng.random_range(0..log.partitions().count());
        let lane = &mut lanes[usize::from(partition)];
        let partition = Partition(partition);
        match rng.random_range(0..10) {
            0..6 => {
                let batch = (0..rng.random_range(1..5)).map(|n| record(count + n, rng.random_range(8..600))).collect();
                count += 5;
                lane.append(log, partition, batch).await;
            }
            6..9 => {
                let end = log.extent(partition).await.unwrap().end;
                lane.check(log, partition, rng.random_range(0..=end), rng.random_range(1..4_000)).await;
            }
            _ => {
                let end = log.extent(partition).await.unwrap().end;
                let below = rng.random_range(0..=end);
                lane.released = lane.released.max(below);
                log.release(partition, below, Timestamp(u64::MAX >> 1)).await.unwrap();
            }
        }
    }
    for (lane, partition) in lanes.iter().zip(log.partitions().iter()) {
        let start = log.extent(partition).await.unwrap().start;
        lane.check(log, partition, start, usize::MAX >> 1).await;
    }
}

impl Lane {
    async fn append(&mut self, log: &dyn Log, partition: Partition, batch: Vec<NewRecord>) {
        let soon = batch.len() == 1;
        let appended = batch.clone();
        let answer = if soon { log.append_soon(partition, appended) } else { log.append(partition, appended) }.await;
        match answer {
            Ok(answers) => {
                assert_eq!(answers.len(), batch.len());
                self.remember(&batch);
                for (appended, record) in answers.into_iter().zip(batch) {
                    let twice = self.sure.insert(appended.offset, (appended.stamp, record));
                    assert!(twice.is_none(), "offset {} was given out twice", appended.offset);
                }
            }
            Err(AppendError::Unknown(_)) => self.remember(&batch),
            Err(_) => {}
        }
    }

    fn remember(&mut self, batch: &[NewRecord]) {
        self.possible.extend(batch.iter().map(|record| (record.value.clone(), record.clone())));
    }

    async fn check(&self, log: &dyn Log, partition: Partition, from: Offset, max_bytes: usize) {
        let extent = log.extent(partition).await.unwrap();
        assert!(extent.start <= self.released, "{partition} was released to {} only: {extent:?}", self.released);
        assert!(self.sure.last_key_value().is_none_or(|(last, _)| *last < extent.end), "the end is lost");
        let from = from.max(extent.start);
        let chunk = log.read(partition, from, max_bytes).await.unwrap();
        assert!(chunk.end >= extent.end && (from == chunk.end || !chunk.records.is_empty()));
        for (read, offset) in chunk.records.iter().zip(from..) {
            assert_eq!(read.offset, offset, "a hole in {partition}");
            match self.sure.get(&offset) {
                Some(sure) => assert_eq!((read.stamp, &read.record), (sure.0, &sure.1)),
                None if self.possible.get(&read.record.value) == Some(&read.record) => {}
                None => panic!("{partition} holds at {offset} what was refused or never appended"),
            }
        }
    }
}
