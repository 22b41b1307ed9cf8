//! How far the archive of each partition that is read here has written the rows of what was accepted there: what one
//! has written the others leave to it, and pages say that they hold it.
//!
//! A hint that saves work, and of this process alone: whoever does not know writes the rows once more, or asks the store.
//! Traps avoided:
//! it is raised only after the rows are there, or others would leave them to an archive that never wrote them. And a
//! partition that is another process's is not waited for: nobody here would hear of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::slot::{Partition, Partitions};

/// By partition; nothing of those whose archive runs elsewhere.
pub(crate) struct WrittenThrough(Vec<Through>);

type Through = watch::Sender<Option<Source>>;

/// The partition's archive runs here until this is dropped; then nothing is known of it.
pub(crate) struct Here<'a>(Option<&'a Through>);

impl WrittenThrough {
    pub(crate) fn new(partitions: Partitions) -> Self {
        Self(partitions.iter().map(|_| watch::Sender::new(None)).collect())
    }

    fn get(&self, partition: Partition) -> Option<&Through> {
        self.0.get(usize::from(partition.0))
    }

    /// The partition's archive begins.
    pub(crate) fn here(&self, partition: Partition) -> Here<'_> {
        let here = Here(self.get(partition));
        here.raise(Source::ZERO);
        here
    }

    /// `None` if nothing is known.
    pub(crate) fn of(&self, partition: Partition) -> Option<Source> {
        *self.get(partition)?.borrow()
    }

    /// Waits until all of these partitions are so far, but not for long, and for none whose archive runs elsewhere.
    pub(crate) async fn reach(&self, places: BTreeMap<Partition, Source>) {
        let reached = places.into_iter().map(|(partition, place)| async move {
            let Some(held) = self.get(partition) else { return };
            // Its sender is ours: it does not go away.
            let _ = held.subscribe().wait_for(|through| through.is_none_or(|through| through >= place)).await;
        });
        // Who is not there by then is done without.
        let _ = tokio::time::timeout(Duration::from_millis(limits::ORIGIN_WITHIN_MS.value), join_all(reached)).await;
    }
}

impl Here<'_> {
    /// The rows through this place are there.
    pub(crate) fn raise(&self, through: Source) {
        let Some(held) = self.0 else { return };
        held.send_if_modified(|held| {
            let raised = *held < Some(through);
            *held = Some(through).max(*held);
            raised
        });
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.0 {
            held.send_replace(None);
        }
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
        let (one, other) = (written.here(ONE), written.here(OTHER));
        assert_eq!(written.of(ONE), Some(Source::ZERO));
        let raises = async {
            one.raise(place(7));
            tokio::task::yield_now().await;
            other.raise(place(3));
            one.raise(place(5));
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
        let _here = written.here(ONE);
        let never = written.reach(BTreeMap::from([(ONE, place(6)), (Partition(9), place(1))]));
        tokio::time::timeout(Duration::from_secs(60), never).await.expect("it waits for ever");
        assert_eq!(written.of(ONE), Some(Source::ZERO));
    }

    #[tokio::test]
    async fn a_partition_that_is_read_elsewhere_is_not_waited_for_and_not_known() {
        let written = WrittenThrough::new(Partitions::new(2).unwrap());
        let one = written.here(ONE);
        one.raise(place(7));
        let mut elsewhere = std::pin::pin!(written.reach(BTreeMap::from([(ONE, place(9)), (OTHER, place(1))])));
        assert!(futures::poll!(elsewhere.as_mut()).is_pending(), "one is read here");
        drop(one);
        assert!(futures::poll!(elsewhere).is_ready());
        assert_eq!(written.of(ONE), None);
    }
}
