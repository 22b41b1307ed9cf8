//! The contract of the log in memory, about a hundred lines. It loses nothing and syncs nothing; what
//! may go wrong is asked for, append by append, with [`ModelLog::fate`].

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader, StoredRecord};

/// What becomes of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As it should be.
    Taken,
    /// Answered with this error; nothing is written. `Unknown` is meant for the other two.
    Refused(AppendError),
    /// Outcome unknown; the first so many records are there at once.
    Kept(usize),
    /// Outcome unknown; the first so many records are there after [`ModelLog::arrive`].
    Late(usize),
    /// Taken, and every record is there twice.
    Doubled,
}

/// The log in memory. Clones share it.
#[derive(Clone)]
pub struct ModelLog {
    generation: u16,
    partitions: Partitions,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    ends: Arc<Vec<watch::Sender<Offset>>>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    committed: HashMap<(Reader, Partition), Offset>,
    fates: VecDeque<Fate>,
    late: Vec<(Partition, Vec<NewRecord>)>,
    stuck: BTreeSet<Partition>,
    far: Duration,
}

#[derive(Clone, Default)]
struct Lane {
    start: Offset,
    records: VecDeque<StoredRecord>,
}

impl Lane {
    fn extent(&self) -> Extent {
        Extent { start: self.start, end: self.start + self.records.len() as u64 }
    }
}

impl ModelLog {
    /// An empty log.
    #[must_use]
    pub fn new(generation: u16, partitions: Partitions, clock: Arc<dyn Clock>) -> Self {
        let lanes = vec![Lane::default(); usize::from(partitions.count())];
        let ends = lanes.iter().map(|_| watch::Sender::new(0)).collect();
        let state = State { lanes, ..State::default() };
        Self { generation, partitions, clock, state: Arc::new(Mutex::new(state)), ends: Arc::new(ends) }
    }

    /// Decides about an append to come; several calls, several appends, in order. Then all are taken.
    pub fn fate(&self, fate: Fate) {
        self.state.lock().fates.push_back(fate);
    }

    /// Whether a partition takes nothing from now on.
    pub fn stick(&self, partition: Partition, stuck: bool) {
        let mut state = self.state.lock();
        if stuck {
            state.stuck.insert(partition)
        } else {
            state.stuck.remove(&partition)
        };
    }

    /// How long an append takes from now on, as if the log were elsewhere.
    pub fn set_far(&self, far: Duration) {
        self.state.lock().far = far;
    }

    /// What was late is there now.
    pub fn arrive(&self) {
        let late = std::mem::take(&mut self.state.lock().late);
        late.into_iter().for_each(|(partition, records)| drop(self.write(partition, records)));
    }

    fn write(&self, partition: Partition, records: Vec<NewRecord>) -> Vec<Appended> {
        let stamp = self.clock.now();
        let mut state = self.state.lock();
        let Some(lane) = state.lanes.get_mut(usize::from(partition.0)) else { return Vec::new() };
        let first = lane.extent().end;
        let stored = records.into_iter().zip(first..).map(|(record, offset)| StoredRecord { offset, stamp, record });
        lane.records.extend(stored);
        let end = lane.extent().end;
        drop(state);
        if let Some(sender) = self.ends.get(usize::from(partition.0)) {
            sender.send_replace(end);
        }
        (first..end).map(|offset| Appended { offset, stamp }).collect()
    }

    fn lane<T>(&self, partition: Partition, look: impl FnOnce(&mut Lane) -> T) -> Result<T, ReadError> {
        let mut state = self.state.lock();
        let lane = state.lanes.get_mut(usize::from(partition.0));
        lane.map(look).ok_or_else(|| ReadError::Unavailable(format!("there is no partition {partition}")))
    }
}

fn too_large(batch: &[NewRecord]) -> Option<AppendError> {
    let size = |record: &NewRecord| {
        record.value.len() + record.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    };
    batch.iter().map(size).find(|size| *size > 1 << 20).map(AppendError::TooLarge)
}

#[async_trait]
impl Log for ModelLog {
    fn generation(&self) -> u16 {
        self.generation
    }

    fn partitions(&self) -> Partitions {
        self.partitions
    }

    async fn append(&self, partition: Partition, mut batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        self.lane(partition, |_| ()).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        let far = self.state.lock().far;
        if !far.is_zero() {
            tokio::time::sleep(far).await;
        }
        if let Some(error) = too_large(&batch) {
            return Err(error);
        }
        if self.state.lock().stuck.contains(&partition) {
            return Err(AppendError::Unavailable("it is stuck".to_owned()));
        }
        let unknown = || Err(AppendError::Unknown("so it was decided".to_owned()));
        let fate = self.state.lock().fates.pop_front().unwrap_or(Fate::Taken);
        match fate {
            Fate::Taken => Ok(self.write(partition, batch)),
            Fate::Refused(error) => Err(error),
            Fate::Kept(count) => {
                batch.truncate(count);
                self.write(partition, batch);
                unknown()
            }
            Fate::Late(count) => {
                batch.truncate(count);
                self.state.lock().late.push((partition, batch));
                unknown()
            }
            Fate::Doubled => {
                self.write(partition, batch.clone());
                Ok(self.write(partition, batch))
            }
        }
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        self.lane(partition, |lane| {
            let extent = lane.extent();
            if from < extent.start || from > extent.end {
                return Err(ReadError::OutOfRange { asked: from, extent });
            }
            let mut taken = 0;
            let fits = |record: &&StoredRecord| {
                let fits = taken == 0 || taken < max_bytes;
                taken += record.record.value.len().max(1);
                fits
            };
            let records = lane.records.range((from - extent.start) as usize..).take_while(fits).cloned().collect();
            Ok(Chunk { records, end: extent.end })
        })?
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.lane(partition, |lane| lane.extent())
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        let away = || ReadError::Unavailable(format!("there is no partition {partition}"));
        let mut end = self.ends.get(usize::from(partition.0)).ok_or_else(away)?.subscribe();
        let end = *end.wait_for(|end| *end != seen).await.map_err(|_| away())?;
        if end < seen {
            return Err(ReadError::OutOfRange { asked: seen, extent: self.extent(partition).await? });
        }
        Ok(end)
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.lane(partition, |lane| {
            let found = lane.records.iter().find(|record| record.stamp >= stamp).map(|record| record.offset);
            found.unwrap_or(lane.extent().end).min(below)
        })
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        self.state.lock().committed.insert((reader, partition), offset);
        Ok(())
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        Ok(self.state.lock().committed.get(&(reader, partition)).copied().unwrap_or(0))
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        let done = self.lane(partition, |lane| {
            while lane.records.front().is_some_and(|first| first.offset < below && first.stamp < older_than) {
                lane.records.pop_front();
                lane.start += 1;
            }
        });
        done.map_err(|error| AppendError::Unavailable(error.to_string()))
    }
}
