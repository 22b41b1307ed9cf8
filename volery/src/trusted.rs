//! A log that is believed as long as it stays the one that it was: the stop for logs that go back or lose.
//!
//! Whatever goes through is remembered by partition: how far the log went, and the stamp of the newest record.
//! A log that ends before that, puts a record where there was one, or has another record in its place lost
//! something, or was made anew. So is a log that contradicts what archive has stored, which is compared at the
//! start, and one of which records were deleted that archive had not read, which is looked for as it runs. From
//! then on the partition is neither appended to nor read, and this is said: nobody is told `synced` over a hole,
//! and no send is acknowledged into a log that archive will not read. The other partitions go on.
//!
//! Trap avoided: an end may be told late while brokers change places. A log that seems to have gone back is
//! asked again for some seconds before it is given up. Another: archive goes on, and what it is done with may be
//! deleted, between the two questions of a comparison. A beginning that seems too late is compared once more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_node::health::Part;
use volery_node::metrics::Metrics;
use volery_ports::history::History;
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};
use volery_reader::Disagreement;

use crate::trust::{Trust, Verdict};

/// How often a log that seems to have gone back is asked again, five seconds in all: first soon, for what is told
/// late for an instant, then twice as long after each.
const ASKED_AGAIN: u32 = 8;
const ASKED_FIRST_AFTER: Duration = Duration::from_millis(20);
/// How long it takes to be told what is there already, at most.
const BEHIND_WITHIN: Duration = Duration::from_secs(1);
/// How long between comparisons with what archive has stored, while that is away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a start waits for what archive knows. While that is away, the log is believed.
const AGREED_WITHIN: Duration = Duration::from_secs(5);
/// How often the beginning of what is used here is compared with what archive has stored. What was sent in between
/// stands behind the hole.
const BEGINNING_EVERY: Duration = Duration::from_secs(15);
/// Partitions that are compared at once: some questions to a broker each.
const COMPARED_AT_ONCE: usize = 16;

/// See the module.
pub(crate) struct TrustedLog {
    log: Arc<dyn Log>,
    part: Part,
    metrics: Metrics,
    trusts: Vec<Mutex<Trust>>,
}

impl TrustedLog {
    /// Believes a log that was just opened.
    pub(crate) fn new(log: Arc<dyn Log>, part: Part, metrics: Metrics) -> Self {
        part.ready();
        let trusts = log.partitions().iter().map(|_| Mutex::default()).collect();
        Self { log, part, metrics, trusts }
    }

    /// Compares every partition with what archive has stored; goes on in the background where that is away. From then
    /// on it watches the beginnings, too, as long as the log is used.
    pub(crate) async fn agree(self: &Arc<Self>, history: &Arc<dyn History>) {
        let (log, asked) = (Arc::clone(self), Arc::clone(history));
        let comparing = tokio::spawn(async move {
            let each = |partition| log.agree_in(partition, asked.as_ref());
            futures::stream::iter(log.partitions().iter()).for_each_concurrent(COMPARED_AT_ONCE, each).await;
        });
        if tokio::time::timeout(AGREED_WITHIN, comparing).await.is_err() {
            tracing::warn!("archive does not say what it has stored: the log is believed until it does");
        }
        tokio::spawn(Self::watch(Arc::downgrade(self), Arc::clone(history)));
    }

    async fn agree_in(&self, partition: Partition, history: &dyn History) {
        loop {
            match self.compare(partition, history).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%partition, error, "the log was not compared with the timeline yet"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn compare(&self, partition: Partition, history: &dyn History) -> Result<(), String> {
        let archived = archived(partition, history).await?;
        let found =
            volery_reader::disagreement(self.log.as_ref(), archived).await.map_err(|error| error.to_string())?;
        match found {
            Some(Disagreement::Trimmed { .. }) => self.compare_once_more(partition, history).await?,
            Some(other) => drop(self.give_up(partition, other.to_string())),
            None => {}
        }
        Ok(())
    }

    async fn trimmed(&self, partition: Partition, history: &dyn History) -> Result<Option<Disagreement>, String> {
        let archived = archived(partition, history).await?;
        volery_reader::trimmed(self.log.as_ref(), archived).await.map_err(|error| error.to_string())
    }

    /// Of a beginning that seemed too late.
    async fn compare_once_more(&self, partition: Partition, history: &dyn History) -> Result<(), String> {
        if let Some(trimmed) = self.trimmed(partition, history).await? {
            self.give_up(partition, trimmed.to_string());
        }
        Ok(())
    }

    async fn watch(log: Weak<Self>, history: Arc<dyn History>) {
        loop {
            tokio::time::sleep(BEGINNING_EVERY).await;
            let Some(log) = log.upgrade() else { return };
            let used = log.partitions().iter().filter(|partition| log.known_end(*partition).is_ok_and(|end| end > 0));
            let (log, history) = (log.as_ref(), history.as_ref());
            let each = |partition| async move {
                if let Err(error) = log.watch_in(partition, history).await {
                    tracing::debug!(%partition, error, "the log's beginning was not compared with the timeline");
                }
            };
            futures::stream::iter(used.collect::<Vec<_>>()).for_each_concurrent(COMPARED_AT_ONCE, each).await;
        }
    }

    async fn watch_in(&self, partition: Partition, history: &dyn History) -> Result<(), String> {
        match self.trimmed(partition, history).await? {
            Some(_) => self.compare_once_more(partition, history).await,
            None => Ok(()),
        }
    }

    fn trust(&self, partition: Partition) -> Option<MutexGuard<'_, Trust>> {
        Some(self.trusts.get(usize::from(partition.0))?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far the log is known to go; 0 where there is no such partition, which the log says itself.
    fn known_end(&self, partition: Partition) -> Result<Offset, ReadError> {
        let Some(trust) = self.trust(partition) else { return Ok(0) };
        match trust.given_up() {
            Some(what) => Err(ReadError::Replaced { partition, what: what.to_owned() }),
            None => Ok(trust.end()),
        }
    }

    fn note(&self, partition: Partition, end: Offset, newest: Option<(Offset, Timestamp)>) {
        if let Some(mut trust) = self.trust(partition) {
            trust.note(end, newest);
        }
    }

    fn doubt(&self, partition: Partition) {
        if let Some(mut trust) = self.trust(partition) {
            trust.doubt();
        }
    }

    fn give_up(&self, partition: Partition, what: String) -> ReadError {
        if let Some(mut trust) = self.trust(partition)
            && trust.give_up(what.clone())
        {
            drop(trust);
            self.metrics.log_replaced.inc();
            let reason = format!(
                "partition {partition}: {what}. It is neither read nor appended to. Restore what is older, or begin a \
                 new log generation (docs/operations.md)"
            );
            tracing::error!(%partition, reason, "the log is not the one that was known");
            self.part.degraded(reason);
        }
        ReadError::Replaced { partition, what }
    }

    /// [`TrustedLog::known_end`], once a doubt is cleared: after trouble the newest record must be as it was.
    async fn trusted_end(&self, partition: Partition) -> Result<Offset, ReadError> {
        let end = self.known_end(partition)?;
        let Some((offset, stamp)) = self.trust(partition).and_then(|trust| trust.to_check()) else { return Ok(end) };
        let verdict = match self.log.read(partition, offset, 1).await {
            Ok(chunk) => Verdict::of(chunk.records.first(), stamp, chunk.end),
            Err(ReadError::OutOfRange { extent, .. }) if offset < extent.start => Verdict::Same,
            Err(ReadError::OutOfRange { extent, .. }) => Verdict::Ends(extent.end),
            Err(error) => return Err(error),
        };
        match verdict {
            Verdict::Same => {
                self.trust(partition).into_iter().for_each(|mut trust| trust.believe());
                Ok(end)
            }
            Verdict::Other => Err(self.give_up(partition, format!("offset {offset} holds another record than before"))),
            Verdict::Ends(at) => Err(self.went_back(partition, end, at).await),
        }
    }

    /// What to say of a log that ends at `end`, where it was known to reach `known`.
    async fn went_back(&self, partition: Partition, known: Offset, end: Offset) -> ReadError {
        self.doubt(partition);
        for asked in 0..ASKED_AGAIN {
            tokio::time::sleep(ASKED_FIRST_AFTER * (1 << asked)).await;
            match self.log.extent(partition).await {
                Ok(extent) if extent.end < known => {}
                Ok(_) => return ReadError::Unavailable(format!("it seemed to end at {end}, and ends at {known}")),
                Err(error) => return error,
            }
        }
        self.give_up(partition, format!("it reached offset {known}, and ends at {end} now"))
    }

    /// An answer to an append that was asked for when `known` was known.
    fn appended(
        &self,
        partition: Partition,
        known: Offset,
        answer: Result<Vec<Appended>, AppendError>,
    ) -> Result<Vec<Appended>, AppendError> {
        match answer.as_deref() {
            Ok([first, ..]) if first.offset < known => {
                let what = format!("it reached offset {known}, and put a record at {}", first.offset);
                return Err(AppendError::Unknown(self.give_up(partition, what).to_string()));
            }
            Ok([.., last]) => self.note(partition, last.offset + 1, Some((last.offset, last.stamp))),
            Err(AppendError::Unavailable(_) | AppendError::Unknown(_)) => self.doubt(partition),
            Ok([]) | Err(AppendError::Full | AppendError::TooLarge(_)) => {}
        }
        answer
    }

    /// An answer, perhaps about the end, to somebody who asked when `known` was known.
    async fn heard<T>(
        &self,
        partition: Partition,
        known: Offset,
        answer: Result<T, ReadError>,
        end_of: impl Fn(&T) -> Option<Offset>,
    ) -> Result<T, ReadError> {
        let end = match &answer {
            Ok(answer) => end_of(answer),
            Err(ReadError::OutOfRange { extent, .. }) => Some(extent.end),
            Err(_) => {
                self.doubt(partition);
                None
            }
        };
        match end {
            Some(end) if end < known => return Err(self.went_back(partition, known, end).await),
            Some(end) => self.note(partition, end, None),
            None => {}
        }
        answer
    }
}

/// How far archive was when asked.
async fn archived(partition: Partition, history: &dyn History) -> Result<Position, String> {
    let archived = history.archived(partition).await.map_err(|error| error.to_string())?;
    Ok(archived.unwrap_or(Position { partition, ..Position::default() }))
}

#[async_trait]
impl Log for TrustedLog {
    fn generation(&self) -> u16 {
        self.log.generation()
    }

    fn partitions(&self) -> Partitions {
        self.log.partitions()
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let known = self.known_end(partition).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.appended(partition, known, self.log.append(partition, batch).await)
    }

    async fn append_soon(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let known = self.known_end(partition).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.appended(partition, known, self.log.append_soon(partition, batch).await)
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        let known = self.trusted_end(partition).await?;
        let answer = self.log.read(partition, from, max_bytes).await;
        if let Some(last) = answer.as_ref().ok().and_then(|chunk| chunk.records.last()) {
            self.note(partition, last.offset + 1, Some((last.offset, last.stamp)));
        }
        // A chunk's end is a log's memory, which may not have heard yet of what others know.
        self.heard(partition, known, answer, |_| None).await
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        let known = self.trusted_end(partition).await?;
        self.heard(partition, known, self.log.extent(partition).await, |extent| Some(extent.end)).await
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        let known = self.trusted_end(partition).await?;
        if seen < known {
            // Whoever is behind need not wait, unless the log has gone back to where they are. Asking how far it
            // goes before that is seen would cost each record a question to a broker.
            match tokio::time::timeout(BEHIND_WITHIN, self.log.beyond(partition, seen)).await {
                Ok(answer) => return self.heard(partition, known, answer, |_| None).await,
                Err(_) => drop(self.extent(partition).await?),
            }
        }
        self.heard(partition, known, self.log.beyond(partition, seen).await, |_| None).await
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.known_end(partition)?;
        self.log.seek(partition, stamp, below).await
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        self.known_end(partition).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.log.commit(reader, partition, offset).await
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        self.known_end(partition)?;
        self.log.committed(reader, partition).await
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        self.known_end(partition).map_err(|error| AppendError::Unavailable(error.to_string()))?;
        self.log.release(partition, below, older_than).await
    }
}

#[cfg(test)]
mod tests;
