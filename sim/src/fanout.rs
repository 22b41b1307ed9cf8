//! Fan-out as the simulation runs it: the real core, killed at any moment, begun anew from an older
//! commit, and at times doubled.

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
}

impl World {
    fn fanouts_of(&self, partition: Partition) -> Vec<u64> {
        self.fanouts.range((partition, 0)..=(partition, u64::MAX)).map(|((_, life), _)| *life).collect()
    }

    pub(crate) fn kill_fanout(&mut self, partition: Partition, back: usize) -> bool {
        let lives = self.fanouts_of(partition);
        if lives.len() == 1 {
            self.fanouts.remove(&(partition, lives[0]));
            let delay = self.rng.delay(500, 8_000);
            self.after(delay, Task::FanoutStart(partition, back));
        }
        lives.len() == 1
    }

    /// A second one beside the first: both run, both commit.
    pub(crate) fn double_fanout(&mut self, partition: Partition, back: usize, ms: u64) -> bool {
        let alone = self.fanouts_of(partition).len() == 1;
        if alone {
            self.story.count(What::FanoutTwice);
            self.start_fanout(partition, back);
            self.after(ms, Task::FanoutEnd(partition));
        }
        alone
    }

    /// One of two ends: the older or the newer.
    pub(crate) fn end_fanout(&mut self, partition: Partition) {
        let lives = self.fanouts_of(partition);
        if lives.len() > 1 {
            let ends = lives[self.rng.index(lives.len())];
            self.fanouts.remove(&(partition, ends));
        }
    }

    pub(crate) fn start_fanout(&mut self, partition: Partition, back: usize) {
        let from = self.log.fanned_out(partition, back);
        if from < self.log.end(partition) {
            self.story.count(What::FanoutReplay);
        }
        let mut core = Fanout::new(GENERATION, self.partitions(), self.plan.lane_most(), from);
        self.read_back(Reader::Fanout, partition, from).iter().for_each(|record| core.warm(record));
        let life = self.next_life();
        self.fanouts.insert((partition, life), FanoutShell { core });
        tell!(self, ["all"], "fan-out of p{partition} starts at {from}");
        self.after(1, Task::FanoutRun(partition, life));
    }

    pub(crate) fn wake_fanouts(&mut self, partition: Partition, delay: u64) {
        for life in self.fanouts_of(partition) {
            self.after(delay, Task::FanoutRun(partition, life));
        }
    }

    pub(crate) fn run_fanout(&mut self, partition: Partition, life: u64) {
        let most = 1 + self.rng.index(6);
        let Some(from) = self.fanouts.get(&(partition, life)).map(|shell| shell.core.read_below()) else { return };
        let records = self.records(Reader::Fanout, partition, from, most);
        let (commits_early, more) = (self.mutated(Mutation::FanoutCommitsEarly), records.len() == most);
        let Some(FanoutShell { core }) = self.fanouts.get_mut(&(partition, life)) else { return };
        for record in records {
            core.read(record);
        }
        let more = self.read_again(partition, life, most) || more;
        let Some(FanoutShell { core }) = self.fanouts.get_mut(&(partition, life)) else { return };
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
        let Some(FanoutShell { core }) = self.fanouts.get(&(partition, life)) else { return false };
        let (missed, again) = (core.missed(), core.again_below());
        let mut records = match (missed, again) {
            (Some(from), _) => self.read_back(Reader::Fanout, partition, from),
            (None, Some(from)) => self.records(Reader::Fanout, partition, from, most),
            (None, None) => return false,
        };
        if self.mutated(Mutation::MissedPassedOver) {
            records.iter_mut().for_each(pass_over);
        }
        let Some(FanoutShell { core }) = self.fanouts.get_mut(&(partition, life)) else { return false };
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
