//! [`KafkaLog`]: the port, put together from the parts. What is decided here is only which error is said.

use std::cmp::Ordering;
use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, KafkaResult};
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};

use crate::append::Appender;
use crate::follow::Follower;
use crate::offsets::{Offsets, unavailable};
use crate::options::Options;
use crate::read::{Readers, Stopped, Wanted};
use crate::topic::{self, OpenError};

/// The log on Kafka. Dropping it closes its clients, which may wait a moment for their threads.
pub struct KafkaLog {
    generation: u16,
    partitions: Partitions,
    appender: Appender,
    readers: Arc<Readers>,
    follower: Follower,
    offsets: Offsets,
}

impl KafkaLog {
    /// Opens the log, whose topic is made if there is none. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the cluster is away, or set up so that something could be lost.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        topic::prepare(options).await?;
        Ok(Self {
            generation: options.generation,
            partitions: options.partitions,
            appender: Appender::new(options).await?,
            readers: Arc::new(Readers::new(options)),
            follower: Follower::new(options).await?,
            offsets: Offsets::new(options)?,
        })
    }

    /// The newest generation of which there is a log, whatever the options say. The topics themselves are
    /// what tells it: everyone who reaches the brokers reads the same.
    ///
    /// # Errors
    /// If the cluster is away.
    pub async fn newest_generation(options: &Options) -> Result<Option<u16>, OpenError> {
        topic::newest_generation(options).await
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
        self.appender.append(self.writable(partition)?, &batch).await
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
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
            Err(Stopped::Error(error)) => Err(error),
            Err(Stopped::Gone) => Err(ReadError::OutOfRange { asked: from, extent: self.extent(partition).await? }),
        }
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.offsets.extent(self.readable(partition)?).await.map_err(unavailable)
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        loop {
            let extent = self.extent(partition).await?;
            let end = extent.end;
            match end.cmp(&seen) {
                Ordering::Greater => return Ok(end),
                Ordering::Less => return Err(ReadError::OutOfRange { asked: seen, extent }),
                Ordering::Equal => {}
            }
            self.follower.hint(partition, end).await.map_err(unavailable)?;
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
