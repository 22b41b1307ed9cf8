//! How far each partition's archive has written the rows of what was accepted there, as this process knows: what one
//! has written the others leave to it.
//!
//! A hint that saves work, and of this process alone: whoever does not know writes the rows once more. Trap avoided:
//! it is raised only after the rows are there, or others would leave them to an archive that never wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};

/// See the module.
pub(crate) struct WrittenThrough(Vec<watch::Sender<Source>>);

impl WrittenThrough {
    pub(crate) fn new(partitions: Partitions) -> Self {
        Self(partitions.iter().map(|_| watch::Sender::new(Source::ZERO)).collect())
    }

    /// `None` if nothing is known.
    pub(crate) fn of(&self, partition: Partition) -> Option<Source> {
        let through = *self.0.get(usize::from(partition.0))?.borrow();
        (through > Source::ZERO).then_some(through)
    }

    /// The rows through this place are there.
    pub(crate) fn raise(&self, partition: Partition, through: Source) {
        let Some(held) = self.0.get(usize::from(partition.0)) else { return };
        held.send_if_modified(|held| {
            let raised = *held < through;
            *held = through.max(*held);
            raised
        });
    }

    /// Waits until all of these partitions are so far, but not for long.
    pub(crate) async fn reach(&self, places: BTreeMap<Partition, Source>) {
        let reached = places.into_iter().map(|(partition, place)| async move {
            let Some(held) = self.0.get(usize::from(partition.0)) else { return };
            // Its sender is ours: it does not go away.
            let _ = held.subscribe().wait_for(|through| *through >= place).await;
        });
        // Who is not there by then is done without.
        let _ = tokio::time::timeout(Duration::from_millis(limits::ORIGIN_WITHIN_MS.value), join_all(reached)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Partition = Partition(0);
    const OTHER: Partition = Partition(1);

    fn place(offset: u64) -> Source {
        Source::new(1, offset)
    }

    #[tokio::test]
    async fn who_waits_goes_on_once_all_are_there() {
        let written = WrittenThrough::new(Partitions::new(2).unwrap());
        assert_eq!(written.of(ONE), None);
        let raises = async {
            written.raise(ONE, place(7));
            tokio::task::yield_now().await;
            written.raise(OTHER, place(3));
            written.raise(ONE, place(5));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = written.reach(BTreeMap::from([(ONE, place(6)), (OTHER, place(3))])) => {}
            () = raises => {}
        }
        assert_eq!((written.of(ONE), written.of(OTHER)), (Some(place(7)), Some(place(3))), "it never goes back");
    }

    #[tokio::test]
    async fn who_does_not_come_is_not_waited_for_long() {
        let written = WrittenThrough::new(Partitions::new(2).unwrap());
        let never = written.reach(BTreeMap::from([(ONE, place(6)), (Partition(9), place(1))]));
        tokio::time::timeout(Duration::from_secs(60), never).await.expect("it waits for ever");
        assert_eq!(written.of(ONE), None);
    }
}
