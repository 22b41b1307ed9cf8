//! A thread's partitions as maps come: those that are gained are read, those that are lost send their
//! sessions to the new owner and are dropped behind the last.
//!
//! What changes is decided in [`volery_kernel::served`]. Until it is told, a session of a lost partition goes
//! on as before: two owners of one partition are harmless. So the new owner and the old one need no word
//! with each other.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, AsyncContext as _, Context, StreamHandler};
use tokio::sync::oneshot;
use volery_kernel::map::PartitionMap;
use volery_kernel::served::{Moves, Place};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::bus::Topic;

use super::Worker;
use crate::core::parting::{STEP_MS, told_now};
use crate::partition::{Owned, Owner};

/// A partition that this thread reads.
pub(super) struct Slot {
    pub(super) owned: Rc<Owned>,
    /// When it was lost, or last had no owner after that; `None` while it is this node's.
    lost: Option<Timestamp>,
    /// Its reader ends with it.
    _reading: oneshot::Sender<()>,
}

impl Slot {
    pub(super) fn is_ours(&self) -> bool {
        self.lost.is_none()
    }

    /// Sends those away whose turn it is. False when the last has left.
    fn part(&mut self, since: Timestamp, now: Timestamp, place: Place<'_>) -> bool {
        let sessions = self.owned.signals();
        match place {
            Place::At(address) => {
                let address: Rc<str> = address.into();
                let waiting: Vec<_> = sessions.iter().filter(|session| session.moved_to().is_none()).collect();
                let told = told_now(waiting.len(), now.since(since));
                waiting.into_iter().take(told).for_each(|session| session.tell_moved(&address));
            }
            // Nobody could be named: whoever is left stays until somebody owns it.
            Place::Here | Place::Nowhere => self.lost = Some(now),
        }
        !sessions.is_empty()
    }
}

impl StreamHandler<Arc<PartitionMap>> for Worker {
    fn handle(&mut self, map: Arc<PartitionMap>, ctx: &mut Context<Self>) {
        let (partitions, those_of_map) = (self.thread.shared.partitions.count(), map.partitions());
        if those_of_map != usize::from(partitions) {
            return tracing::error!(partitions, those_of_map, "a map of another cluster; the last one stays");
        }
        let Moves { mut gained, mut lost } = self.served.take(map);
        gained.retain(|partition| (self.mine)(*partition));
        lost.retain(|partition| (self.mine)(*partition));
        if !gained.is_empty() || !lost.is_empty() {
            tracing::info!(?gained, ?lost, "partitions move");
        }
        self.gain(&gained);
        self.lose(&lost, ctx);
        let budget = self.budget();
        self.slots.values().for_each(|slot| slot.owned.set_budget(budget));
    }

    /// The thread goes on with the last map.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Worker {
    /// Bytes for each partition's tail.
    fn budget(&self) -> usize {
        self.thread.shared.options.tail_bytes / self.served.held().count().max(1)
    }

    pub(super) fn gain(&mut self, gained: &[Partition]) {
        let budget = self.budget();
        for partition in gained {
            // One that the last session has not left yet is read already.
            match self.slots.get_mut(partition) {
                Some(slot) => slot.lost = None,
                None => {
                    let slot = self.read(*partition, budget);
                    self.slots.insert(*partition, slot);
                }
            }
        }
        let topics: Vec<_> = gained.iter().copied().map(Topic::Typing).collect();
        self.thread.ear.follow(&topics);
    }

    fn read(&self, partition: Partition, budget: usize) -> Slot {
        let shared = &self.thread.shared;
        let owned = Rc::new(Owned::new(partition, shared, budget));
        let (reading, given_up) = oneshot::channel();
        Owner::new(Rc::clone(&owned), Arc::clone(shared), given_up).start();
        Slot { owned, lost: None, _reading: reading }
    }

    fn lose(&mut self, lost: &[Partition], ctx: &mut Context<Self>) {
        let now = self.thread.shared.clock.now();
        for partition in lost {
            if let Some(slot) = self.slots.get_mut(partition) {
                slot.lost = Some(now);
                slot.owned.present.borrow_mut().forget();
            }
        }
        if self.parting.is_none() {
            self.part(ctx);
        }
    }

    /// One step of all partings, and the next one after it, while there is something to part from.
    fn part(&mut self, ctx: &mut Context<Self>) {
        let (served, ear, now) = (&self.served, &self.thread.ear, self.thread.shared.clock.now());
        self.slots.retain(|partition, slot| match slot.lost {
            None => true,
            Some(since) => {
                let stays = slot.part(since, now, served.place(*partition));
                if !stays {
                    ear.leave(&[Topic::Typing(*partition)]);
                }
                stays
            }
        });
        let goes_on = self.slots.values().any(|slot| slot.lost.is_some());
        let step = Duration::from_millis(STEP_MS);
        self.parting = goes_on.then(|| ctx.run_later(step, |worker, ctx| worker.part(ctx)));
    }
}
