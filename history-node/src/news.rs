//! News of all partitions of one thread, told in ticks: waking a thread for one record costs more than
//! the record, and nobody waits for what is done here. Who is behind does not wait for the tick.
//!
//! One task waits on the log for all others. The trap it avoids: were each partition to wait on the
//! log by itself, every record of a busy second would wake the thread anew.

use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use volery_kernel::event::Record;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Clock;
use volery_ports::log::{Log, ReadError};
use volery_reader::Read;

type Told = Result<(), ReadError>;

struct Wait {
    partition: Partition,
    seen: Offset,
    tell: oneshot::Sender<Told>,
}

/// Where the partitions of a thread wait.
#[derive(Clone)]
pub(crate) struct News {
    waits: mpsc::UnboundedSender<Wait>,
}

/// A partition read on and on: in time with the news, and without waiting while there is more to read
/// than one read brings.
pub(crate) struct Following<'a> {
    log: &'a dyn Log,
    news: &'a News,
    partition: Partition,
    /// Where the partition ended when it was last read.
    end: Offset,
}

impl<'a> Following<'a> {
    pub(crate) const fn new(log: &'a dyn Log, news: &'a News, partition: Partition) -> Self {
        Self { log, news, partition, end: 0 }
    }

    /// The records from an offset on, once there are some. Cancel-safe.
    pub(crate) async fn next(&mut self, from: Offset) -> Result<Vec<Record>, ReadError> {
        if from < self.end {
            // The other partitions of the thread have their turn.
            tokio::task::yield_now().await;
        } else {
            self.news.beyond(self.partition, from).await?;
        }
        let Read { records, end } = volery_reader::read(self.log, self.partition, from).await?;
        self.end = end;
        Ok(records)
    }
}

/// Whoever waited, and what it is told.
type Over = (oneshot::Sender<Told>, Told);

/// The task that waits for all. Its queue holds one wait a partition at most, and those of readers that have ended
/// since it looked.
pub(crate) struct Watch {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    every_ms: u64,
    asked: mpsc::UnboundedReceiver<Wait>,
    waiting: FuturesUnordered<LocalBoxFuture<'static, Over>>,
    over: Vec<Over>,
}

impl News {
    /// News told when the wall clock reaches a multiple of `every_ms`, the same for all partitions.
    pub(crate) fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, every_ms: u64) -> (Self, Watch) {
        let (waits, asked) = mpsc::unbounded_channel();
        (Self { waits }, Watch { log, clock, every_ms, asked, waiting: FuturesUnordered::new(), over: Vec::new() })
    }

    /// Waits until a partition's end is beyond `seen`, and for the tick after that. Cancel-safe.
    pub(crate) async fn beyond(&self, partition: Partition, seen: Offset) -> Told {
        let (tell, told) = oneshot::channel();
        let gone = || ReadError::Unavailable("the node stops".to_owned());
        self.waits.send(Wait { partition, seen, tell }).map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Watch {
    /// Runs until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        while self.something().await {
            loop {
                self.until_tick().await;
                if !self.tell() {
                    break;
                }
            }
        }
    }

    /// Waits until there is something to tell; false if nobody can ask any more.
    async fn something(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                asked = self.asked.recv() => match asked {
                    Some(wait) => self.wait(wait),
                    None => return false,
                },
                Some(over) = self.waiting.next() => {
                    self.over.push(over);
                    return true;
                }
            }
        }
    }

    /// Tells whoever need not wait any more; whether there was anyone. Polled without a waker, what
    /// waits does not wake the thread before the next tick.
    fn tell(&mut self) -> bool {
        while let Ok(wait) = self.asked.try_recv() {
            self.wait(wait);
        }
        while let Some(Some(over)) = self.waiting.next().now_or_never() {
            self.over.push(over);
        }
        let any = !self.over.is_empty();
        // Who stopped listening needs no telling.
        self.over.drain(..).for_each(|(tell, told)| drop(tell.send(told)));
        any
    }

    fn wait(&mut self, Wait { partition, seen, mut tell }: Wait) {
        let log = Arc::clone(&self.log);
        let wait = async move {
            let told = tokio::select! {
                // Who was dropped waits no more.
                () = tell.closed() => Ok(()),
                told = log.beyond(partition, seen) => told.map(drop),
            };
            (tell, told)
        };
        self.waiting.push(wait.boxed_local());
    }

    async fn until_tick(&self) {
        let rest = self.every_ms - self.clock.now().0 % self.every_ms;
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use volery_kernel::slot::Partitions;
    use volery_node::clock::SystemClock;
    use volery_ports::log::NewRecord;
    use volery_testkit::log::ModelLog;

    use super::*;

    async fn filled(records: usize, bytes: usize) -> ModelLog {
        let log = ModelLog::new(1, Partitions::new(1).unwrap(), Arc::new(SystemClock));
        let record = NewRecord { key: [0; 9], headers: Vec::new(), value: Bytes::from(vec![0; bytes]) };
        log.append(Partition(0), vec![record; records]).await.unwrap();
        log
    }

    #[tokio::test]
    async fn who_is_behind_does_not_wait_for_news() {
        let log = filled(10, 200 * 1024).await;
        let (news, watch) = News::new(Arc::new(log.clone()), Arc::new(SystemClock), 1);
        let mut following = Following::new(&log, &news, Partition(0));
        let first = tokio::select! {
            () = watch.run() => Vec::new(),
            read = following.next(0) => read.unwrap(),
        };
        let mut from = first.last().unwrap().offset + 1;
        assert!(from < 10, "one read brings them all: the test shows nothing");
        // Nobody tells any news from here on.
        while from < 10 {
            from = following.next(from).await.unwrap().last().unwrap().offset + 1;
        }
        assert!(following.next(from).await.is_err(), "at the end it waits for news");
    }
}
