//! Appends of a node, and what their stamps say of its clock: while it is not the log's, ids would be too, so
//! nothing is sent and the node is not ready.
//!
//! Trap avoided: who sends nothing reads no stamps, and would never learn that its clock is right again. So
//! meanwhile the node appends once a second what concerns nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use volery_kernel::chat::Recipient;
use volery_kernel::event::Event;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::health::Part;
use volery_ports::log::{AppendError, Appended, NewRecord};

use crate::core::clocks::Clocks;
use crate::node::Shared;

const TRY_EVERY: Duration = Duration::from_secs(1);
/// Tries go to as many streams in turn, so that most partitions, and all brokers, are asked.
const STREAMS: u64 = 64;

/// What all threads read.
pub(crate) struct Timing {
    clocks: Mutex<Clocks>,
    apart: AtomicBool,
    part: Part,
}

impl Timing {
    /// They agree until proven otherwise.
    pub(crate) fn new(part: Part) -> Self {
        part.ready();
        Self { clocks: Mutex::default(), apart: AtomicBool::new(false), part }
    }

    /// Whether the node's clock is the log's, as far as is known.
    pub(crate) fn agrees(&self) -> bool {
        !self.apart.load(Ordering::Relaxed)
    }

    /// Nobody waits for it: a reading that finds another one under way is not taken.
    fn read(&self, asked: Timestamp, answered: Timestamp, stamp: Timestamp) {
        let Some(mut clocks) = self.clocks.try_lock() else { return };
        clocks.read(asked, answered, stamp);
        let apart = clocks.apart(answered);
        if apart.is_some() != self.apart.swap(apart.is_some(), Ordering::Relaxed) {
            self.say(apart);
        }
    }

    fn say(&self, apart: Option<i64>) {
        match apart {
            Some(ahead) => {
                let side = if ahead > 0 { "ahead of" } else { "behind" };
                let reason = format!("this machine's clock is {} ms {side} the log's", ahead.unsigned_abs());
                tracing::error!("{reason}: no sends are taken until it is set right");
                self.part.down(reason);
            }
            None => {
                tracing::info!("this machine's clock is the log's");
                self.part.ready();
            }
        }
    }
}

impl Shared {
    /// Appends, and reads the log's clock by it.
    pub(crate) async fn append(
        &self,
        partition: Partition,
        batch: Vec<NewRecord>,
    ) -> Result<Vec<Appended>, AppendError> {
        self.timed(self.log.append(partition, batch)).await
    }

    /// The same for what nobody waits for.
    pub(crate) async fn append_soon(
        &self,
        partition: Partition,
        batch: Vec<NewRecord>,
    ) -> Result<Vec<Appended>, AppendError> {
        self.timed(self.log.append_soon(partition, batch)).await
    }

    async fn timed(
        &self,
        appending: impl Future<Output = Result<Vec<Appended>, AppendError>>,
    ) -> Result<Vec<Appended>, AppendError> {
        let asked = self.clock.now();
        let appended = appending.await?;
        if let Some(first) = appended.first() {
            self.timing.read(asked, self.clock.now(), first.stamp);
        }
        Ok(appended)
    }
}

/// Looks, for as long as the node lives, whether a clock that is not the log's is right again.
pub(crate) async fn watch(shared: Arc<Shared>) {
    for turn in 0.. {
        tokio::time::sleep(TRY_EVERY).await;
        if !shared.timing.agrees() {
            let (partition, batch) = nobodys(turn % STREAMS, &shared);
            if let Err(error) = shared.append(partition, batch).await {
                tracing::debug!(%partition, %error, "the log's clock could not be read");
            }
        }
    }
}

/// A record that every reader passes over: a device is revoked that there never was. Ids so small are nobody's.
fn nobodys(number: u64, shared: &Shared) -> (Partition, Vec<NewRecord>) {
    let user = UserId(Id::new(number).unwrap_or(Id::ZERO));
    let event = Event::DeviceRevoked { id: Id::ZERO, user, device: DeviceId(Id::ZERO) };
    (shared.partitions.of(Recipient::User(user)), volery_reader::to_batch(&[event]))
}
