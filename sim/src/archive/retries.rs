//! Retries as the simulation's archive resolves them: looked up together, appended together, and set by where a target
//! takes nothing.

use std::collections::BTreeMap;

use futures::executor::block_on;
use volery_history::archive::{Found, Lane};
use volery_kernel::event::{Event, Record, SendKey};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Sent, Timeline as _};

use crate::appends::Owner;
use crate::fanout::AGAIN_MS;
use crate::mutation::Mutation;
use crate::story::What;
use crate::world::{Task, World};

#[derive(Default)]
pub(super) struct Retrying {
    /// Appends of the step that are under way, and whether one was refused.
    appends: usize,
    refused: bool,
    /// What was known of send keys when their records were read, for a mutation.
    pub(super) as_read: BTreeMap<SendKey, Sent>,
}

impl World {
    pub(super) fn look_up(&mut self, partition: Partition, life: u64, keys: &[SendKey]) {
        let found = keys.iter().map(|key| block_on(self.timeline.sent(*key))).collect::<Result<Vec<_>, _>>();
        let (no_look_up, early) = (self.mutated(Mutation::NoLookUp), self.mutated(Mutation::LookedUpEarly));
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.busy = false;
        let Ok(mut found) = found else { return self.after(AGAIN_MS, Task::ArchiveRun(partition, life)) };
        for (found, key) in found.iter_mut().zip(keys) {
            *found = if early { shell.retrying.as_read.get(key).copied() } else { found.filter(|_| !no_look_up) };
            if found.is_none() {
                self.story.count(What::RetryNew);
            }
        }
        shell.core.looked_up(found.into_iter().map(Found::Ok).collect());
        if keys.len() > 1 {
            self.story.count(What::RetriesTogether);
        }
        self.after(1, Task::ArchiveRun(partition, life));
    }

    /// All at once; what waits behind an answer that was set by is set by as well.
    pub(super) fn append_lanes(&mut self, partition: Partition, life: u64, mut lanes: BTreeMap<Lane, Vec<Event>>) {
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        lanes.retain(|lane, _| !(shell.core.waits_for(lane.0) && shell.core.sets_by(*lane)));
        shell.busy = !lanes.is_empty();
        (shell.retrying.appends, shell.retrying.refused) = (lanes.len(), false);
        if lanes.is_empty() {
            self.after(1, Task::ArchiveRun(partition, life));
        }
        for (lane, events) in lanes {
            self.append(lane.0, events, Owner::Archive(partition, life, lane));
        }
    }

    /// Nothing, unless a mutation has need of it.
    pub(super) fn look_up_early(&self, records: &[Record]) -> BTreeMap<SendKey, Sent> {
        let keys = records.iter().filter_map(|record| match &record.event {
            Event::Send(send) if self.mutated(Mutation::LookedUpEarly) => Some(send.key),
            _ => None,
        });
        keys.filter_map(|key| Some((key, block_on(self.timeline.sent(key)).ok()??))).collect()
    }

    pub(crate) fn archive_appended(
        &mut self,
        partition: Partition,
        life: u64,
        lane: Lane,
        offsets: Option<Vec<Offset>>,
    ) {
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.retrying.appends -= 1;
        let set_by = match &offsets {
            Some(offsets) => {
                shell.core.appended(lane, offsets);
                false
            }
            None => shell.core.sets_by(lane),
        };
        shell.retrying.refused |= offsets.is_none() && !set_by;
        let delay = if shell.retrying.refused { AGAIN_MS } else { 1 };
        if shell.retrying.appends == 0 {
            shell.busy = false;
            self.after(delay, Task::ArchiveRun(partition, life));
        }
        if set_by {
            self.story.count(What::AnswerSetBy);
            self.pass_over_set_by(partition, life);
        }
    }

    fn pass_over_set_by(&mut self, partition: Partition, life: u64) {
        let passes = self.mutated(Mutation::SetByPassedOver);
        if let Some(shell) = self.archives.get_mut(&(partition, life)).filter(|_| passes) {
            shell.core.answered();
        }
    }

    /// One at a time, in their order.
    pub(super) fn append_set_by(&mut self, partition: Partition, life: u64) {
        let Some(shell) = self.archives.get_mut(&(partition, life)).filter(|shell| !shell.again) else { return };
        if let Some((target, event)) = shell.core.set_by().map(|(target, event)| (target, event.clone())) {
            shell.again = true;
            self.append(target, vec![event], Owner::SetBy(partition, life));
        }
    }

    pub(crate) fn set_by_appended(&mut self, partition: Partition, life: u64, done: bool) {
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.again = false;
        if done {
            shell.core.answered();
        }
        self.after(if done { 1 } else { AGAIN_MS }, Task::ArchiveRun(partition, life));
    }
}
