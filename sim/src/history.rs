//! Fan-out and archive as the simulation runs them: the real cores, killed at any moment and begun
//! anew from an older commit.

use futures::executor::block_on;
use volery_history::archive::{Archive, Step};
use volery_history::fanout::Fanout;
use volery_kernel::event::Record;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Commit, Timeline as _, Write};

use crate::log::GENERATION;
use crate::plan::Mutation;
use crate::story::tell;
use crate::world::{Owner, Task, World};

/// After a refusal the same is tried again.
const AGAIN_MS: u64 = 300;

pub(crate) struct FanoutShell {
    core: Fanout,
    life: u64,
}

pub(crate) struct ArchiveShell {
    core: Archive,
    life: u64,
    /// A step is under way.
    busy: bool,
    applying: Option<(Vec<Write>, Option<Commit>)>,
}

impl World {
    fn read_log(&self, partition: Partition, from: Offset, most: usize) -> Vec<Record> {
        let records = self.log.read(partition, from, most).iter().cloned();
        records.map(|record| self.oracle.as_read(self.plan.mutation, partition, record)).collect()
    }

    fn read_back(&self, partition: Partition, from: Offset) -> Vec<Record> {
        let records = self.log.before(partition, from).iter().cloned();
        records.map(|record| self.oracle.as_read(self.plan.mutation, partition, record)).collect()
    }

    // ----- fan-out -----

    pub(crate) fn kill_fanout(&mut self, partition: Partition, back: usize) {
        if self.fanouts.remove(&partition).is_some() {
            let delay = self.rng.delay(500, 8_000);
            self.after(delay, Task::FanoutStart(partition, back));
        }
    }

    pub(crate) fn start_fanout(&mut self, partition: Partition, back: usize) {
        let from = self.log.fanned_out(partition, back);
        if from > 0 {
            self.story.count("fan-out replay");
        }
        let mut core = Fanout::new(GENERATION, self.partitions(), from);
        self.read_back(partition, from).iter().for_each(|record| core.warm(record));
        let life = self.rng.bits();
        self.fanouts.insert(partition, FanoutShell { core, life });
        tell!(self, ["all"], "fan-out of p{partition} starts at {from}");
        self.wake_fanout(partition, 1);
    }

    pub(crate) fn wake_fanout(&mut self, partition: Partition, delay: u64) {
        if let Some(life) = self.fanouts.get(&partition).map(|shell| shell.life) {
            self.after(delay, Task::FanoutRun(partition, life));
        }
    }

    pub(crate) fn run_fanout(&mut self, partition: Partition, life: u64) {
        let most = 1 + self.rng.index(6);
        let Some(from) = self.fanouts.get(&partition).filter(|s| s.life == life).map(|s| s.core.read_below()) else {
            return;
        };
        let records = self.read_log(partition, from, most);
        let (commits_early, more) = (self.mutated(Mutation::FanoutCommitsBeforeWork), records.len() == most);
        let Some(FanoutShell { core, .. }) = self.fanouts.get_mut(&partition) else { return };
        records.into_iter().for_each(|record| core.read(record));
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
            self.wake_fanout(partition, 1);
        }
    }

    pub(crate) fn fanned_out(&mut self, partition: Partition, life: u64, target: Partition, durable: bool) {
        let Some(shell) = self.fanouts.get_mut(&partition).filter(|shell| shell.life == life) else { return };
        shell.core.appended(target, durable);
        if !durable {
            self.story.count("derived event appended again");
        }
        self.wake_fanout(partition, if durable { 1 } else { AGAIN_MS });
    }

    /// Whether fan-out has read and appended everything.
    pub(crate) fn fanout_is_done(&self, partition: Partition) -> bool {
        self.fanouts.get(&partition).is_some_and(|shell| shell.core.done_below() == self.log.end(partition))
    }

    // ----- archive -----

    pub(crate) fn kill_archive(&mut self, partition: Partition, back: usize) {
        if self.archives.remove(&partition).is_some() {
            let delay = self.rng.delay(500, 8_000);
            self.after(delay, Task::ArchiveStart(partition, back));
        }
    }

    pub(crate) fn start_archive(&mut self, partition: Partition, back: usize) {
        let Ok(newest) = block_on(self.timeline.committed(partition)) else {
            return self.after(AGAIN_MS, Task::ArchiveStart(partition, back));
        };
        let commit = match newest {
            Some(newest) if back > 0 => self.older_commit(partition, newest, back),
            newest => newest,
        };
        if commit.is_some() {
            self.story.count("archive replay");
        }
        let mut core = Archive::new(GENERATION, self.partitions(), commit);
        self.read_back(partition, core.next_offset()).iter().for_each(|record| core.warm(record));
        let life = self.rng.bits();
        let shell = ArchiveShell { core, life, busy: false, applying: None };
        self.archives.insert(partition, shell);
        tell!(self, ["all"], "archive of p{partition} starts after {:?}", commit.map(|commit| commit.source.offset()));
        self.wake_archive(partition, 1);
    }

    /// As if the newest commits had been lost: any record before serves.
    fn older_commit(&self, partition: Partition, newest: Commit, back: usize) -> Option<Commit> {
        let end = newest.source.offset().checked_sub(back as u64 * 2)?;
        let records = self.log.read(partition, 0, end as usize + 1);
        let stamp = records.iter().map(|record| record.stamp).max()?;
        let last = records.last()?;
        let source = volery_kernel::position::Source::new(GENERATION, last.offset);
        Some(Commit { source, id: last.event.id(), stamp })
    }

    pub(crate) fn wake_archive(&mut self, partition: Partition, delay: u64) {
        if let Some(life) = self.archives.get(&partition).map(|shell| shell.life) {
            self.after(delay, Task::ArchiveRun(partition, life));
        }
    }

    pub(crate) fn run_archive(&mut self, partition: Partition, life: u64) {
        let timeline = self.timeline.clone();
        let archived = |of: Partition| block_on(timeline.committed(of)).ok().flatten().map(|commit| commit.source);
        let Some(shell) = self.archives.get_mut(&partition).filter(|s| s.life == life && !s.busy) else { return };
        let step = shell.core.next(&archived);
        shell.busy = !matches!(step, Step::Read);
        match step {
            Step::Apply(writes, commit) => {
                shell.applying = Some((writes, commit));
                if self.mutated(Mutation::CommitBeforeApply) {
                    let _ = block_on(self.timeline.apply(partition, Vec::new(), commit));
                }
                let delay = self.rng.delay(8, 300);
                self.after(delay, Task::ArchiveDone(partition, life));
            }
            Step::LookUp(key) => {
                let found = block_on(self.timeline.sent(key));
                shell.busy = false;
                match found {
                    Ok(found) => {
                        let found = found.filter(|_| self.plan.mutation != Some(Mutation::NoLookUp));
                        shell.core.looked_up(found);
                        let known = found.is_some();
                        self.story.count(if known { "retry found" } else { "retry is new" });
                        self.wake_archive(partition, 1);
                    }
                    Err(_) => self.wake_archive(partition, AGAIN_MS),
                }
            }
            Step::Append(target, event) => self.append(target, vec![event], Owner::Archive(partition, life)),
            Step::Read => self.feed_archive(partition),
        }
    }

    fn feed_archive(&mut self, partition: Partition) {
        let most = 1 + self.rng.index(6);
        let Some(from) = self.archives.get(&partition).map(|shell| shell.core.next_offset()) else { return };
        let records = self.read_log(partition, from, most);
        if records.is_empty() {
            return;
        }
        if let Some(shell) = self.archives.get_mut(&partition) {
            shell.core.read(records);
        }
        self.wake_archive(partition, 1);
    }

    /// The rows are written: all, or (when the store is away) nothing; or it says nothing and has.
    pub(crate) fn archive_applied(&mut self, partition: Partition, life: u64) {
        let Some(shell) = self.archives.get_mut(&partition).filter(|shell| shell.life == life) else { return };
        shell.busy = false;
        let Some((writes, commit)) = shell.applying.take() else { return };
        let ahead = writes.iter().filter(|write| matches!(write, Write::Message { resolved: true, .. })).count();
        let done = block_on(self.timeline.apply(partition, writes, commit));
        let unheard = self.rng.chance(20) && !self.healed;
        if ahead > 0 {
            self.story.count("row written ahead of its origin, or resolved");
        }
        if done.is_err() || unheard {
            return self.wake_archive(partition, AGAIN_MS);
        }
        if let Some(shell) = self.archives.get_mut(&partition) {
            shell.core.applied();
        }
        self.wake_archive(partition, 1);
    }

    pub(crate) fn archive_appended(&mut self, partition: Partition, life: u64, offset: Option<Offset>) {
        let Some(shell) = self.archives.get_mut(&partition).filter(|shell| shell.life == life) else { return };
        shell.busy = false;
        match offset {
            Some(offset) => {
                shell.core.appended(offset);
                self.wake_archive(partition, 1);
            }
            None => {
                self.story.count("derived event appended again");
                self.wake_archive(partition, AGAIN_MS);
            }
        }
    }

    /// Whether everything is archived.
    pub(crate) fn archive_is_done(&self, partition: Partition) -> bool {
        let idle = self.archives.get(&partition).is_some_and(|shell| !shell.busy);
        let commit = block_on(self.timeline.committed(partition)).ok().flatten();
        idle && commit.map_or(0, |commit| commit.source.offset() + 1) == self.log.end(partition)
    }
}
