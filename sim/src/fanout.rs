//! Fan-out as the simulation runs it: the real core, killed at any moment, begun anew from an older
//! commit, and doubled while two history nodes believe to own its partition.

use volery_history::fanout::Fanout;
use volery_kernel::event::{Event, Record};
use volery_kernel::slot::Partition;

use crate::appends::Owner;
use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::oracle::Reader;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// After a refusal the same is tried again.
pub(crate) const AGAIN_MS: u64 = 300;

pub(crate) struct FanoutShell {
    core: Fanout,
    /// The history node that runs it.
    pub(crate) at: usize,
}

impl World {
    fn fanouts_of(&self, partition: Partition) -> Vec<u64> {
        self.fanouts.range((partition, 0)..=(partition, u64::MAX)).map(|((_, life), _)| *life).collect()
    }

    pub(crate) fn kill_fanout(&mut self, partition: Partition, back: usize) -> bool {
        let lives = self.fanouts_of(partition);
        let Some(life) = lives.first().map(|_| lives[self.rng.index(lives.len())]) else { return false };
        if let Some(FanoutShell { at, .. }) = self.fanouts.remove(&(partition, life)) {
            let (delay, start) = (self.rng.delay(500, 8_000), self.historians[at].process.life);
            self.after(delay, Task::FanoutStart(partition, (at, start), back));
        }
        true
    }

    /// A history node runs it no more.
    pub(crate) fn remove_fanout(&mut self, partition: Partition, n: usize) {
        self.fanouts.retain(|(of, _), shell| *of != partition || shell.at != n);
    }

    pub(crate) fn commit_all_read(&mut self, n: usize, partition: Partition) {
        let here = self.fanouts.iter().find(|((of, _), shell)| *of == partition && shell.at == n);
        if let Some(read) = here.map(|(_, shell)| shell.core.read_below()) {
            self.log.commit_fanout(partition, read);
        }
    }

    /// Begins on a history node, unless that was given the partition no more or runs it already.
    pub(crate) fn start_fanout(&mut self, partition: Partition, at: (usize, u64), back: usize) {
        let others = self.fanouts_of(partition);
        let here = others.iter().any(|life| self.fanouts[&(partition, *life)].at == at.0);
        if here || !self.reads(at, partition) {
            return;
        }
        if !others.is_empty() {
            self.story.count(What::FanoutTwice);
        }
        let committed = self.log.fanned_out(partition, back);
        let from = if self.mutated(Mutation::TakenUpAtEnd) { self.log.end(partition) } else { committed };
        let mut core = Fanout::new(GENERATION, self.partitions(), self.plan.lane_most(), from);
        self.read_back(Reader::Fanout, partition, from).iter().for_each(|record| core.warm(record));
        let life = self.next_life();
        self.fanouts.insert((partition, life), FanoutShell { core, at: at.0 });
        tell!(self, ["all"], "fan-out of p{partition} starts at {from} on h{}", at.0);
        self.after(1, Task::FanoutRun(partition, life));
    }

    pub(crate) fn wake_fanouts(&mut self, partition: Partition, delay: u64) {
        for life in self.fanouts_of(partition) {
            self.after(delay, Task::FanoutRun(partition, life));
        }
    }

    pub(crate) fn run_fanout(&mut self, partition: Partition, life: u64) {
        let Some(shell) = self.fanouts.get(&(partition, life)) else { return };
        if let Some(until) = self.stands_still(shell.at) {
            return self.at(until, Task::FanoutRun(partition, life));
        }
        let from = shell.core.read_below();
        let most = 1 + self.rng.index(6);
        let records = self.records(Reader::Fanout, partition, from, most);
        self.count_replayed(What::FanoutReplay, &records, self.log.fanned_below(partition));
        let (commits_early, more) = (self.mutated(Mutation::FanoutCommitsEarly), records.len() == most);
        let Some(FanoutShell { core, .. }) = self.fanouts.get_mut(&(partition, life)) else { return };
        for record in records {
            core.read(record);
        }
        let more = self.read_again(partition, life, most) || more;
        let Some(FanoutShell { core, .. }) = self.fanouts.get_mut(&(partition, life)) else { return };
        let mut departing = Vec::new();
        while let Some(batch) = core.depart() {
            departing.push(batch);
        }
        let done = if commits_early { core.read_below() } else { core.done_below() };
        self.log.commit_fanout(partition, done);
        for (target, events) in departing {
            self.append(target, events, Owner::Fanout(partition, life, target));
        }
        if more {
            self.after(1, Task::FanoutRun(partition, life));
        }
    }

    /// A step of the second reading; whether there may be more.
    fn read_again(&mut self, partition: Partition, life: u64, most: usize) -> bool {
        let Some(FanoutShell { core, .. }) = self.fanouts.get(&(partition, life)) else { return false };
        let (missed, again) = (core.missed(), core.again_below());
        let mut records = match (missed, again) {
            (Some(from), _) => self.read_back(Reader::Fanout, partition, from),
            (None, Some(from)) => self.records(Reader::Fanout, partition, from, most),
            (None, None) => return false,
        };
        if self.mutated(Mutation::MissedPassedOver) {
            records.iter_mut().for_each(pass_over);
        }
        let Some(FanoutShell { core, .. }) = self.fanouts.get_mut(&(partition, life)) else { return false };
        match missed {
            Some(from) => {
                core.begin_again(from, &records);
                self.story.count(What::ReadAgain);
            }
            None => records.into_iter().for_each(|record| core.read_again(record)),
        }
        true
    }

    pub(crate) fn fanned_out(&mut self, partition: Partition, life: u64, target: Partition, durable: bool) {
        let Some(shell) = self.fanouts.get_mut(&(partition, life)) else { return };
        shell.core.appended(target, durable);
        self.after(if durable { 1 } else { AGAIN_MS }, Task::FanoutRun(partition, life));
    }

    /// Whether fan-out has read and appended everything.
    pub(crate) fn fanout_is_done(&self, partition: Partition) -> bool {
        let end = self.log.end(partition);
        let mut shells = self.fanouts.range((partition, 0)..=(partition, u64::MAX)).peekable();
        shells.peek().is_some() && shells.all(|(_, shell)| shell.core.done_below() == end)
    }
}

/// Flagged, a send causes nothing.
fn pass_over(record: &mut Record) {
    if let Event::Send(send) = &mut record.event {
        send.flagged = true;
    }
}
