//! What a node has to say on the bus. Whoever has something to say never waits: it is queued, and a task says
//! it, in batches. What finds no room, and what an engine that is away does not take, is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use volery_kernel::limits;
use volery_node::metrics::Metrics;
use volery_ports::bus::{Bus, Said};

/// Said at once, at most.
const BATCH_MOST: usize = 512;
/// An engine is asked whether it is there when there is nothing to say: health must know before people miss it.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Voice {
    queue: mpsc::Sender<Said>,
    metrics: Metrics,
}

impl Voice {
    pub(crate) fn say(&self, said: Said) {
        if self.queue.try_send(said).is_err() {
            self.metrics.bus_dropped.inc();
        }
    }
}

/// A voice, and what says for it until the voice is dropped.
pub(crate) fn voice(bus: Arc<dyn Bus>, metrics: Metrics) -> (Voice, impl Future<Output = ()> + Send + 'static) {
    let (queue, said) = mpsc::channel(limits::BUS_QUEUE.value);
    (Voice { queue, metrics: metrics.clone() }, speak(bus, said, metrics))
}

async fn speak(bus: Arc<dyn Bus>, mut queue: mpsc::Receiver<Said>, metrics: Metrics) {
    loop {
        let mut batch = Vec::new();
        if let Ok(0) = timeout(ASK_EVERY, queue.recv_many(&mut batch, BATCH_MOST)).await {
            return;
        }
        let count = batch.len() as u64;
        // Who watches the engine has heard why.
        let said = bus.say(batch).await;
        let counted = if said.is_ok() { &metrics.bus_published } else { &metrics.bus_dropped };
        counted.inc_by(count);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::Semaphore;
    use volery_kernel::id::UserId;
    use volery_kernel::slot::Partition;
    use volery_ports::bus::{Away, Ear, Heard, Presence};

    use super::*;

    /// Says as many batches as it is let; none of them reaches anybody.
    struct Slow(Semaphore);

    #[async_trait]
    impl Bus for Slow {
        fn listen(&self, _: Heard) -> Box<dyn Ear> {
            unreachable!("nobody listens")
        }

        async fn say(&self, _: Vec<Said>) -> Result<(), Away> {
            self.0.acquire().await.map(|permit| permit.forget()).map_err(|error| Away(error.to_string()))
        }

        async fn presence(&self, _: &[UserId]) -> Result<Vec<Presence>, Away> {
            unreachable!("nobody asks")
        }
    }

    #[tokio::test]
    async fn who_speaks_never_waits_and_what_has_no_room_is_counted() {
        let (bus, metrics) = (Arc::new(Slow(Semaphore::new(0))), Metrics::new().unwrap());
        let (voice, speaking) = voice(bus.clone(), metrics.clone());
        let speaking = tokio::spawn(speaking);
        let (to, from) = (UserId::default(), UserId::default());
        let room = limits::BUS_QUEUE.value as u64;
        for _ in 0..room + 7 {
            voice.say(Said::Typing { partition: Partition(0), to, from });
        }
        assert_eq!(metrics.bus_dropped.get(), 7, "nobody took any of it yet");
        bus.0.add_permits(room as usize);
        drop(voice);
        speaking.await.unwrap();
        assert_eq!((metrics.bus_published.get(), metrics.bus_dropped.get()), (room, 7));
    }
}
