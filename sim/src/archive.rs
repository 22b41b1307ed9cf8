//! Archive as the simulation runs it: the real core, killed at any moment, begun anew from an older
//! commit, and at times doubled. Killed between its two writings, too: what it has told the others by then stays told.

use futures::executor::block_on;
use volery_history::archive::{Archive, Step};
use volery_kernel::chat::Recipient;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Timeline as _, Write};

use crate::appends::Owner;
use crate::fanout::AGAIN_MS;
use crate::log::GENERATION;
use crate::mutation::Mutation;
use crate::oracle::Reader;
use crate::story::{What, tell};
use crate::world::{Task, World};

/// Whoever waits for the rows of others looks again after this.
const AWAIT_EVERY_MS: u64 = 10;

/// What is being written.
enum Writing {
    Own(Vec<Write>, Source),
    Rest(Vec<Write>, Option<Commit>),
}

pub(crate) struct ArchiveShell {
    core: Archive,
    /// A step is under way.
    busy: bool,
    writing: Option<Writing>,
    /// Its own rows are there, and neither the rest nor the commit.
    torn: bool,
    /// Since when it waits for the rows of others.
    awaits: Option<u64>,
    /// An answer that was set by is under way again.
    again: bool,
}

impl World {
    // ----- life and death -----

    fn archives_of(&self, partition: Partition) -> Vec<u64> {
        self.archives.range((partition, 0)..=(partition, u64::MAX)).map(|((_, life), _)| *life).collect()
    }

    pub(crate) fn kill_archive(&mut self, partition: Partition, back: usize) -> bool {
        let lives = self.archives_of(partition);
        if lives.len() == 1 {
            self.remove_archive(partition, lives[0]);
            let delay = self.rng.delay(500, 8_000);
            self.after(delay, Task::ArchiveStart(partition, back));
        }
        lives.len() == 1
    }

    /// A second one beside the first: both run, both commit.
    pub(crate) fn double_archive(&mut self, partition: Partition, back: usize, ms: u64) -> bool {
        let alone = self.archives_of(partition).len() == 1;
        if alone {
            self.story.count(What::ArchiveTwice);
            self.start_archive(partition, back);
            self.after(ms, Task::ArchiveEnd(partition));
        }
        alone
    }

    /// One of two ends: the older or the newer.
    pub(crate) fn end_archive(&mut self, partition: Partition) {
        let lives = self.archives_of(partition);
        if lives.len() > 1 {
            let ends = lives[self.rng.index(lives.len())];
            self.remove_archive(partition, ends);
        }
    }

    fn remove_archive(&mut self, partition: Partition, life: u64) {
        if self.archives.remove(&(partition, life)).is_some_and(|shell| shell.torn) {
            self.story.count(What::ArchiveTorn);
        }
    }

    pub(crate) fn start_archive(&mut self, partition: Partition, back: usize) {
        let Ok(newest) = block_on(self.timeline.committed(partition)) else {
            return self.after(AGAIN_MS, Task::ArchiveStart(partition, back));
        };
        newest.iter().for_each(|newest| self.wrote(partition, newest.source));
        let commit = match newest {
            Some(newest) if back > 0 => self.older_commit(partition, newest, back).or(self.first_commit(newest)),
            newest => newest,
        };
        let mut core = Archive::new(GENERATION, self.partitions(), commit);
        if core.next_offset() < self.log.end(partition) {
            self.story.count(What::ArchiveReplay);
        }
        self.read_back(Reader::Archive, partition, core.next_offset()).iter().for_each(|record| core.warm(record));
        let life = self.next_life();
        let shell = ArchiveShell { core, busy: false, writing: None, torn: false, awaits: None, again: false };
        self.archives.insert((partition, life), shell);
        tell!(self, ["all"], "archive of p{partition} starts after {:?}", commit.map(|commit| commit.source.offset()));
        self.after(1, Task::ArchiveRun(partition, life));
    }

    /// As if the newest commits had been lost: any record before serves that is still there.
    fn older_commit(&self, partition: Partition, newest: Commit, back: usize) -> Option<Commit> {
        let start = self.log.start(partition);
        let end = newest.source.offset().checked_sub(back as u64 * 2).filter(|end| *end >= start)?;
        let records = self.log.read(partition, start, (end - start) as usize + 1);
        let stamp = records.iter().map(|record| record.stamp).max()?;
        let last = records.last()?;
        Some(Commit { source: Source::new(GENERATION, last.offset), id: last.event.id(), stamp })
    }

    /// From the log's beginning, if it is still there.
    fn first_commit(&self, newest: Commit) -> Option<Commit> {
        let gone = self.partitions().iter().any(|partition| self.log.start(partition) > 0);
        gone.then_some(newest)
    }

    pub(crate) fn wake_archives(&mut self, partition: Partition, delay: u64) {
        for life in self.archives_of(partition) {
            self.after(delay, Task::ArchiveRun(partition, life));
        }
    }

    // ----- steps -----

    pub(crate) fn run_archive(&mut self, partition: Partition, life: u64) {
        let (through, now) = (self.written.clone(), self.now);
        let passes = self.mutated(Mutation::PassesOverDerived);
        let written = |of: Partition| if passes { Some(Source(u64::MAX)) } else { through.get(&of).copied() };
        let Some(shell) = self.archives.get_mut(&(partition, life)).filter(|shell| !shell.busy) else { return };
        let step = shell.core.next(&written);
        shell.busy = !matches!(step, Step::Read | Step::Await(_));
        match step {
            Step::Write(rows, through) => self.begin_write(partition, life, Writing::Own(rows, through)),
            Step::Await(_) => {
                if *shell.awaits.get_or_insert(now) + limits::ORIGIN_WITHIN_MS.value <= now {
                    shell.awaits = None;
                    shell.core.waited(&written);
                    self.story.count(What::OriginMissed);
                }
                self.after(AWAIT_EVERY_MS, Task::ArchiveRun(partition, life));
            }
            Step::Apply(writes, commit) => {
                if shell.awaits.take().is_some() {
                    self.story.count(What::OriginAwaited);
                }
                self.begin_write(partition, life, Writing::Rest(writes, commit));
            }
            Step::LookUp(key) => {
                let found = block_on(self.timeline.sent(key));
                shell.busy = false;
                let Ok(found) = found else { return self.after(AGAIN_MS, Task::ArchiveRun(partition, life)) };
                let found = found.filter(|_| self.plan.case.mutation != Some(Mutation::NoLookUp));
                shell.core.looked_up(found);
                self.story.count(if found.is_some() { What::RetryFound } else { What::RetryNew });
                self.after(1, Task::ArchiveRun(partition, life));
            }
            Step::Append(target, _) if shell.core.waits_for(target) && shell.core.sets_by() => {
                shell.busy = false;
                self.after(1, Task::ArchiveRun(partition, life));
            }
            Step::Append(target, event) => self.append(target, vec![event], Owner::Archive(partition, life)),
            Step::Read => {
                self.append_set_by(partition, life);
                self.feed_archive(partition, life);
            }
        }
    }

    fn begin_write(&mut self, partition: Partition, life: u64, mut writing: Writing) {
        let (Writing::Own(writes, _) | Writing::Rest(writes, _)) = &mut writing;
        if self.mutated(Mutation::ResolvedKeepsPlace) {
            writes.iter_mut().for_each(|write| self.keep_place(write));
        }
        if self.mutated(Mutation::ReactionsDropped) {
            writes.retain(|write| !is_reaction(write));
        }
        match writing {
            Writing::Own(_, through) if self.mutated(Mutation::WrittenBeforeRows) => self.wrote(partition, through),
            Writing::Rest(_, commit) if self.mutated(Mutation::CommitBeforeRows) => {
                let _ = block_on(self.timeline.apply(partition, Vec::new(), commit));
            }
            _ => {}
        }
        if let Some(shell) = self.archives.get_mut(&(partition, life)) {
            shell.writing = Some(writing);
        }
        let delay = self.rng.delay(8, 300);
        self.after(delay, Task::ArchiveDone(partition, life));
    }

    /// The rows of what was accepted in a partition are there through this place: the others are told.
    fn wrote(&mut self, partition: Partition, through: Source) {
        let held = self.written.entry(partition).or_default();
        *held = through.max(*held);
    }

    fn keep_place(&self, write: &mut Write) {
        match write {
            Write::Message { message, resolved: true, .. } => {
                message.source = self.oracle.flagged.get(&message.id).copied().unwrap_or(message.source);
            }
            Write::Newest { id, incoming: Some(source), .. } => {
                *source = self.oracle.flagged.get(id).copied().unwrap_or(*source);
            }
            _ => {}
        }
    }

    fn feed_archive(&mut self, partition: Partition, life: u64) {
        let most = 1 + self.rng.index(6);
        let Some(from) = self.archives.get(&(partition, life)).map(|shell| shell.core.next_offset()) else { return };
        let records = self.records(Reader::Archive, partition, from, most);
        if records.is_empty() {
            return;
        }
        if let Some(shell) = self.archives.get_mut(&(partition, life)) {
            shell.core.read(records);
        }
        self.after(1, Task::ArchiveRun(partition, life));
    }

    /// The rows are written: all, or (when the store is away) nothing; or it says nothing and has.
    pub(crate) fn archive_applied(&mut self, partition: Partition, life: u64) {
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.busy = false;
        let Some(writing) = shell.writing.take() else { return };
        let (writes, commit, own) = match writing {
            Writing::Own(rows, through) => (rows, None, Some(through)),
            Writing::Rest(writes, commit) => (writes, commit, None),
        };
        self.count_writes(partition, &writes);
        let done = block_on(self.timeline.apply(partition, writes, commit));
        let unheard = self.rng.chance(20) && !self.healed;
        if done.is_err() || unheard {
            return self.after(AGAIN_MS, Task::ArchiveRun(partition, life));
        }
        if let Some(shell) = self.archives.get_mut(&(partition, life)) {
            shell.torn = own.is_some();
            if own.is_some() { shell.core.wrote() } else { shell.core.applied() }
        }
        own.into_iter().for_each(|through| self.wrote(partition, through));
        self.after(1, Task::ArchiveRun(partition, life));
    }

    fn count_writes(&mut self, partition: Partition, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Message { chat, message, .. } => {
                    let to = chat.peer_of(message.sender).unwrap_or(message.sender);
                    if self.partitions().of(Recipient::User(to)) != partition {
                        self.story.count(What::RowAhead);
                    }
                }
                Write::ResolvedLate { .. } => self.story.count(What::ResolvedLate),
                _ => {}
            }
        }
    }

    pub(crate) fn archive_appended(&mut self, partition: Partition, life: u64, offset: Option<Offset>) {
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.busy = false;
        let done = offset.map(|offset| shell.core.appended(offset)).is_some();
        let set_by = !done && shell.core.sets_by();
        if set_by {
            self.story.count(What::AnswerSetBy);
            self.pass_over_set_by(partition, life);
        }
        self.after(if done || set_by { 1 } else { AGAIN_MS }, Task::ArchiveRun(partition, life));
    }

    fn pass_over_set_by(&mut self, partition: Partition, life: u64) {
        let passes = self.mutated(Mutation::SetByPassedOver);
        if let Some(shell) = self.archives.get_mut(&(partition, life)).filter(|_| passes) {
            shell.core.answered();
        }
    }

    /// One at a time, in their order.
    fn append_set_by(&mut self, partition: Partition, life: u64) {
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

    // ----- how far it is -----

    /// Everything below this is archived.
    pub(crate) fn archived_below(&self, partition: Partition) -> Offset {
        let commit = block_on(self.timeline.committed(partition)).ok().flatten();
        commit.map_or(0, |commit| commit.source.offset() + 1)
    }

    /// Whether everything is archived.
    pub(crate) fn archive_is_done(&self, partition: Partition) -> bool {
        let end = self.log.end(partition);
        let mut shells = self.archives.range((partition, 0)..=(partition, u64::MAX)).peekable();
        let idle = |(_, shell): (&(Partition, u64), &ArchiveShell)| !shell.busy && shell.core.next_offset() == end;
        shells.peek().is_some() && shells.all(idle) && self.archived_below(partition) == end
    }

    pub(crate) fn expire_index(&mut self, partition: Partition, before: Timestamp) {
        let _ = block_on(self.timeline.expire_index(partition, before));
    }
}

fn is_reaction(write: &Write) -> bool {
    matches!(write, Write::Change { change: Change { what: ChangeKind::React(_), .. }, .. })
}
