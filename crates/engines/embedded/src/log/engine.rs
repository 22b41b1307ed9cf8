//! The log as roles hold it: the shell that adds a thread, a clock and a runtime to the core.
//!
//! One thread writes. Reads that memory answers happen where they are called; others go to tokio's
//! blocking threads. The lock file makes sure that no second process opens the folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{AppendError, Appended, Chunk, Extent, Log, NewRecord, ReadError, Reader};

use super::committed::Committed;
use super::disk::{Disk, Folder};
use super::format::{headers_bytes, record_bytes};
use super::options::{OpenError, Options, RECORD_BYTES_MOST};
use super::queue::{Answer, Queue, Reply, Turn, Waiting};
use super::recover::recover;
use super::stats::{Figures, add};
use super::store::Store;
use super::writer::{Batch, Writer};

/// How long a committed offset waits to be written.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long what nobody waits for may wait for company: with 200 appends a second that somebody waits for, it costs no
/// sync of its own.
const SOON: Duration = Duration::from_millis(5);

/// A log in a folder of this machine. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    generation: u16,
    partitions: Partitions,
    queue_bytes: u32,
    thread: Mutex<Option<JoinHandle<()>>>,
    _lock: Option<File>,
}

struct Shared {
    store: Arc<Store>,
    queue: Queue,
    committed: Committed,
}

impl EmbeddedLog {
    /// Opens the log in `options.dir`, or begins one there, and starts its thread. Blocks: what the
    /// last process left is read and made durable first.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        fs::create_dir_all(&options.dir)?;
        let lock = lock(&options.dir)?;
        Self::start(options, clock, Arc::new(Folder::new(options.dir.clone())), Some(lock))
    }

    /// The same on any disk, for tests; `options.dir` is not used.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_on(options: &Options, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        Self::start(options, clock, disk, None)
    }

    fn start(
        options: &Options,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        let settings = options.settings();
        let recovered = recover(&*disk, &settings)?;
        let committed = Committed::open(&*disk, settings.partitions())?;
        let store = Arc::new(Store::new(disk, &recovered));
        // Salts guard against accidents and forged values; the hasher's keys are as random as need be.
        let salts = Box::new(|| RandomState::new().build_hasher().finish() as u32);
        let writer = Writer::new(store.clone(), settings, salts, recovered);
        let shared = Arc::new(Shared { store, queue: Queue::new(options.queue_bytes), committed });
        let appender = Appender { shared: shared.clone(), writer, clock };
        let thread = std::thread::Builder::new().name("volery-log".to_owned()).spawn(move || appender.run())?;
        let inner = Inner {
            shared,
            generation: options.generation,
            partitions: options.partitions,
            queue_bytes: options.queue_bytes,
            thread: Mutex::new(Some(thread)),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what waits, then stops. Later appends are refused; reads go on. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Figures {
        let queued = (self.inner.queue_bytes as usize).saturating_sub(self.inner.shared.queue.room());
        self.store().stats.read(queued as u64)
    }

    fn store(&self) -> &Store {
        &self.inner.shared.store
    }

    /// Runs what may block on the disk where blocking is allowed.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> T + Send + 'static) -> Result<T, String> {
        let shared = self.inner.shared.clone();
        tokio::task::spawn_blocking(move || work(&shared.store)).await.map_err(|error| error.to_string())
    }

    /// Hands a batch to the thread, which answers.
    async fn enter(&self, partition: Partition, batch: Vec<NewRecord>, urgent: bool) -> Result<Answer, AppendError> {
        let bytes = self.weigh(partition, &batch)?;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { batch: Batch::new(partition, batch), bytes, urgent, reply };
        self.inner.shared.queue.enter(waiting).await?;
        Ok(answer)
    }

    /// How much of the queue a batch takes, if it may be appended at all.
    fn weigh(&self, partition: Partition, batch: &[NewRecord]) -> Result<u32, AppendError> {
        if partition.0 >= self.inner.partitions.count() {
            return Err(AppendError::Unavailable(format!("there is no partition {partition}")));
        }
        let mut sum = 0;
        for record in batch {
            let bytes = headers_bytes(&record.headers) + record.value.len();
            if bytes > RECORD_BYTES_MOST || record.headers.iter().any(|(name, _)| name.len() > usize::from(u16::MAX)) {
                return Err(AppendError::TooLarge(bytes));
            }
            sum += record_bytes(record);
        }
        let fits = u32::try_from(sum).ok().filter(|sum| *sum <= self.inner.queue_bytes);
        fits.ok_or(AppendError::TooLarge(sum))
    }
}

/// What the thread says of a batch, or nothing if it is gone.
fn answered(
    answer: Result<Result<Vec<Appended>, AppendError>, oneshot::error::RecvError>,
) -> Result<Vec<Appended>, AppendError> {
    answer.unwrap_or_else(|_| Err(AppendError::Unknown("the log's thread has stopped".to_owned())))
}

#[async_trait]
impl Log for EmbeddedLog {
    fn generation(&self) -> u16 {
        self.inner.generation
    }

    fn partitions(&self) -> Partitions {
        self.inner.partitions
    }

    async fn append(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        answered(self.enter(partition, batch, true).await?.await)
    }

    async fn append_soon(&self, partition: Partition, batch: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut answer = self.enter(partition, batch, false).await?;
        if let Ok(answer) = tokio::time::timeout(SOON, &mut answer).await {
            return answered(answer);
        }
        self.inner.shared.queue.hurry();
        answered(answer.await)
    }

    async fn read(&self, partition: Partition, from: Offset, max_bytes: usize) -> Result<Chunk, ReadError> {
        if let Some(chunk) = self.store().read_tail(partition, from, max_bytes)? {
            return Ok(chunk);
        }
        let read = self.blocking(move |store| store.read_disk(partition, from, max_bytes)).await;
        read.unwrap_or_else(|error| Err(ReadError::Unavailable(error)))
    }

    async fn extent(&self, partition: Partition) -> Result<Extent, ReadError> {
        self.store().extent(partition)
    }

    async fn beyond(&self, partition: Partition, seen: Offset) -> Result<Offset, ReadError> {
        let mut watch = self.store().tail(partition)?.watch();
        let end = watch.wait_for(|end| end.offset != seen || end.closed).await.map(|end| *end);
        match end {
            Ok(end) if end.offset > seen => Ok(end.offset),
            Ok(end) if end.offset < seen => {
                Err(ReadError::OutOfRange { asked: seen, extent: self.store().extent(partition)? })
            }
            _ => Err(ReadError::Unavailable("the log is closed".to_owned())),
        }
    }

    async fn seek(&self, partition: Partition, stamp: Timestamp, below: Offset) -> Result<Offset, ReadError> {
        self.store().seek(partition, stamp, below)
    }

    async fn commit(&self, reader: Reader, partition: Partition, offset: Offset) -> Result<(), AppendError> {
        self.inner.shared.committed.put(reader, partition, offset);
        Ok(())
    }

    async fn committed(&self, reader: Reader, partition: Partition) -> Result<Offset, ReadError> {
        self.store().tail(partition)?;
        Ok(self.inner.shared.committed.get(reader, partition))
    }

    async fn release(&self, partition: Partition, below: Offset, older_than: Timestamp) -> Result<(), AppendError> {
        let done = self.blocking(move |store| store.release(partition, below, older_than)).await;
        let done = done.and_then(|done| done.map_err(|error| error.to_string()));
        done.map_err(AppendError::Unavailable)
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Held as long as the file is open; the kernel lets go of it when the process ends, however it ends.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}

/// The writer's thread.
struct Appender {
    shared: Arc<Shared>,
    writer: Writer,
    clock: Arc<dyn Clock>,
}

impl Appender {
    fn run(mut self) {
        let mut taken = Vec::new();
        let mut flushed = self.clock.now();
        loop {
            let turn = self.shared.queue.take(&mut taken, COMMIT_EVERY);
            let now = self.clock.now();
            match turn {
                Turn::Work => self.write(&mut taken, now),
                Turn::Idle => {}
                Turn::Closed => return,
            }
            if turn == Turn::Idle || now.since(flushed) >= COMMIT_EVERY.as_millis() as u64 {
                flushed = now;
                self.flush();
            }
        }
    }

    /// Writes everything that waits as one group, then answers everyone.
    fn write(&mut self, taken: &mut Vec<Waiting>, now: Timestamp) {
        let bytes: usize = taken.iter().map(|waiting| waiting.bytes as usize).sum();
        let stats = &self.shared.store.stats;
        let (batches, replies): (Vec<_>, Vec<_>) =
            taken.drain(..).map(|waiting| (waiting.batch, waiting.reply)).unzip();
        let (outcome, took) = timed(|| self.writer.append(batches, now));
        add(&stats.sync_nanos, took.as_nanos() as u64);
        match &outcome {
            Ok(_) => {}
            Err(AppendError::Unknown(_)) => add(&stats.unknown, 1),
            Err(_) => add(&stats.refused, 1),
        }
        self.shared.queue.leave(bytes);
        answer(replies, outcome);
    }

    fn flush(&self) {
        if let Err(error) = self.shared.committed.flush() {
            tracing::warn!(%error, "committed offsets were not written and will be again");
        }
    }
}

impl Drop for Appender {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.queue.take(&mut Vec::new(), Duration::ZERO);
        self.flush();
        self.shared.store.tails.close();
    }
}

fn answer(replies: Vec<Reply>, outcome: Result<Vec<Vec<Appended>>, AppendError>) {
    // Who has stopped listening needs no answer.
    match outcome {
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer)))),
        Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone())))),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a sync takes is measured here and decides nothing")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let done = work();
    (done, start.elapsed())
}
