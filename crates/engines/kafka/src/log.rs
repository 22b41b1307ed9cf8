//! [`KafkaLog`]: the port, put together from the parts. What is decided here is only which error is said.
//!
//! Trap avoided: after trouble the topic may be another one, of which memory knows nothing. So after every
//! error what was heard of the partition is forgotten, and the next answers are a broker's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, KafkaResult};
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};

use crate::append::Appender;
use crate::follow::Follower;
use crate::offsets::{Offsets, unavailable};
use crate::options::{DEADLINE, Options};
use crate::read::{Readers, Stopped, Wanted};
use crate::revive::Reviver;
use crate::topic::{self, OpenError};

/// How long to trust that nothing was appended when nothing is heard.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was appended here is heard a moment later; longer than that it is read from a broker.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

/// The log on Kafka. Dropping it closes its clients, which may wait a moment for their threads.
pub struct KafkaLog {
    generation: u16,
    name: String,
    partitions: Partitions,
    appender: Appender,
    readers: Arc<Readers>,
    follower: Follower,
    offsets: Offsets,
    _reviver: Reviver,
}

impl KafkaLog {
    /// Opens the log, whose topic is made if there is none. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the cluster is away, or set up so that something could be lost.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let name = Self::name_of(options).await?;
        topic::prepare(options).await?;
        let (appender, follower) = (Appender::new(options).await?, Follower::new(options).await?);
        let offsets = Offsets::new(options)?;
        let clients = appender.clients().chain(offsets.clients()).chain(follower.clients()).collect();
        Ok(Self {
            generation: options.generation,
            name,
            partitions: options.partitions,
            _reviver: Reviver::new(&options.brokers, clients)?,
            appender,
            readers: Arc::new(Readers::new(options)),
            follower,
            offsets,
        })
    }

    /// Which log the options are about, of all that there are, whatever its generation: the same wherever it is
    /// opened. Makes nothing, so it can be asked before a topic is made where none should be.
    ///
    /// # Errors
    /// If the cluster is away.
    pub async fn name_of(options: &Options) -> Result<String, OpenError> {
        Ok(format!("{} on the Kafka cluster {}", options.name, topic::cluster(options).await?))
    }

    /// [`KafkaLog::name_of`] its options.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The newest generation of which there is a log, whatever the options say. The topics themselves are
    /// what tells it: everyone who reaches the brokers reads the same.
    ///
    /// # Errors
    /// If the cluster is away.
    pub async fn newest_generation(options: &Options) -> Result<Option<u16>, OpenError> {
        topic::newest_generation(options).await
    }

    /// From a broker: what lies before the tail, or was not heard of here.
    async fn read_elsewhere(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        let extent = self.extent(partition).await?;
        if from < extent.start || from > extent.end {
            return Err(ReadError::OutOfRange { asked: from, extent });
        }
        if from == extent.end {
            return Ok(Chunk { records: Vec::new(), end: extent.end });
        }
        let wanted = Wanted { partition, from, end: extent.end, max_bytes };
        match self.readers.read(wanted).await {
            Ok(records) => Ok(Chunk { records, end: extent.end }),
            Err(Stopped::Error(error)) => {
                self.follower.forget(partition);
                Err(error)
            }
            Err(Stopped::Gone) => Err(ReadError::OutOfRange { asked: from, extent: self.extent(partition).await? }),
        }
    }

    fn known(&self, partition: Partition) -> Result<Partition, String> {
        let known = partition.0 < self.partitions.count();
        known.then_some(partition).ok_or_else(|| format!("there is no partition {partition}"))
    }

    fn readable(&self, partition: Partition) -> Result<Partition, ReadError> {
        self.known(partition).map_err(ReadError::Unavailable)
    }

    fn writable(&self, partition: Partition) -> Result<Partition, AppendError> {
        self.known(partition).map_err(AppendError::Unavailable)
    }
}

/// Nothing was appended by these, but they may have been done all the same.
fn done(result: KafkaResult<()>) -> Result<(), AppendError> {
    result.map_err(|error: KafkaError| AppendError::Unknown(error.to_string()))
}

#[async_trait]
impl Log for KafkaLog {
    fn generation(&self) -> u16 {
        self.generation
    }

    fn partitions(&self) -> Partitions {
        self.partitions
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let partition = self.writable(partition)?;
        self.appender.append(partition, batch).await.inspect_err(|error| {
            // What is refused for its size says nothing of the broker.
            if !matches!(error, AppendError::TooLarge(_)) {
                self.follower.forget(partition);
            }
        })
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        let partition = self.readable(partition)?;
        // What was appended here is on its way if it was not heard yet.
        if self.appender.end(partition) > from {
            self.follower.beyond(partition, from, ON_ITS_WAY).await;
        }
        match self.follower.read(partition, from, max_bytes) {
            Some(chunk) if !chunk.records.is_empty() || self.appender.end(partition) <= from => Ok(chunk),
            _ => self.read_elsewhere(partition, from, max_bytes).await,
        }
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        let partition = self.readable(partition)?;
        let extent = match self.offsets.extent(partition).await {
            // A leader that stood still while another was elected tells what it knew, until it hears of that.
            Ok(extent) if extent.end < self.appender.end(partition) => self.offsets.extent_anew(partition).await,
            extent => extent,
        };
        extent.inspect_err(|_| self.follower.forget(partition)).map_err(unavailable)
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        loop {
            if let Some(end) = self.follower.beyond(partition, seen, PATIENCE).await {
                return Ok(end);
            }
            let extent = tokio::select! {
                biased;
                // A broker that is silent holds up nothing that is heard meanwhile.
                Some(end) = self.follower.beyond(partition, seen, 2 * DEADLINE) => return Ok(end),
                extent = self.extent(partition) => extent?,
            };
            if extent.end != seen {
                // The stream broke, or never began; or what it heard is of a log that is no more.
                self.follower.forget(partition);
            }
            if extent.end < seen {
                return Err(ReadError::OutOfRange { asked: seen, extent });
            }
            self.follower.follow(partition, extent.end).map_err(unavailable)?;
            if extent.end > seen {
                return Ok(extent.end);
            }
        }
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.offsets.seek(self.readable(partition)?, stamp, below).await.map_err(unavailable)
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        done(self.offsets.commit(reader, self.writable(partition)?, offset).await)
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        self.offsets.committed(reader, self.readable(partition)?).await.map_err(unavailable)
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        done(self.offsets.release(self.writable(partition)?, below, older_than).await)
    }
}
