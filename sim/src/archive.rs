//! Archive as the simulation runs it: the real core, killed at any moment, begun anew from an older
//! commit, and doubled while two history nodes believe to own its partition. Killed between its two writings, too:
//! what it has told the others of its node by then stays told.

mod retries;

use futures::executor::block_on;
use volery_history::archive::{Archive, Step};
use volery_kernel::chat::Recipient;
use volery_kernel::event::Record;
use volery_kernel::limits;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChangeKind, Commit, Timeline as _, Write};

use self::retries::Retrying;
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
    Note(Vec<Write>),
    Rest(Vec<Write>, Option<Commit>),
}

pub(crate) struct ArchiveShell {
    core: Archive,
    /// The history node that runs it.
    pub(crate) at: usize,
    /// A step is under way.
    busy: bool,
    writing: Option<Writing>,
    retrying: Retrying,
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
        let Some(life) = lives.first().map(|_| lives[self.rng.index(lives.len())]) else { return false };
        if let Some(shell) = self.archives.remove(&(partition, life)) {
            let (delay, start) = (self.rng.delay(500, 8_000), self.historians[shell.at].process.life);
            self.after(delay, Task::ArchiveStart(partition, (shell.at, start), back));
            self.cut_off(partition, shell);
        }
        true
    }

    /// A history node runs it no more.
    pub(crate) fn remove_archive(&mut self, partition: Partition, n: usize) {
        let here = self.archives.extract_if(.., |(of, _), shell| *of == partition && shell.at == n);
        let gone: Vec<_> = here.map(|(_, shell)| shell).collect();
        gone.into_iter().for_each(|shell| self.cut_off(partition, shell));
    }

    /// What it was writing may still be written: later, when another goes on already.
    fn cut_off(&mut self, partition: Partition, shell: ArchiveShell) {
        if shell.torn {
            self.story.count(What::ArchiveTorn);
        }
        let (writes, commit) = match shell.writing {
            Some(Writing::Own(writes, _) | Writing::Note(writes)) => (writes, None),
            Some(Writing::Rest(writes, commit)) => (writes, commit),
            None => return,
        };
        if self.rng.chance(500) {
            let delay = self.rng.within(1, 5_000);
            self.after(delay, Task::LateWrite(partition, writes, commit));
        }
    }

    pub(crate) fn write_late(&mut self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) {
        if block_on(self.timeline.apply(partition, writes, commit)).is_ok() {
            self.story.count(What::WrittenLate);
        }
    }

    /// Begins on a history node, unless that was given the partition no more or runs it already.
    pub(crate) fn start_archive(&mut self, partition: Partition, at: (usize, u64), back: usize) {
        let others = self.archives_of(partition);
        let here = others.iter().any(|life| self.archives[&(partition, *life)].at == at.0);
        if here || !self.reads(at, partition) {
            return;
        }
        let Ok(newest) = block_on(self.timeline.committed(partition)) else {
            return self.after(AGAIN_MS, Task::ArchiveStart(partition, at, back));
        };
        if !others.is_empty() {
            self.story.count(What::ArchiveTwice);
        }
        newest.iter().for_each(|newest| self.wrote(at.0, partition, newest.source));
        let commit = match newest {
            newest if self.mutated(Mutation::TakenUpAtEnd) => self.last_record(partition).or(newest),
            Some(newest) if back > 0 => self.older_commit(partition, newest, back).or(self.first_commit(newest)),
            newest => newest,
        };
        let mut core = Archive::new(GENERATION, self.partitions(), commit);
        self.read_back(Reader::Archive, partition, core.next_offset()).iter().for_each(|record| core.warm(record));
        let life = self.next_life();
        let (retrying, busy, writing, torn, awaits, again) = Default::default();
        let shell = ArchiveShell { core, at: at.0, busy, writing, retrying, torn, awaits, again };
        self.archives.insert((partition, life), shell);
        let after = commit.map(|commit| commit.source.offset());
        tell!(self, ["all"], "archive of p{partition} starts after {after:?} on h{}", at.0);
        self.after(1, Task::ArchiveRun(partition, life));
    }

    /// As if everything were archived.
    fn last_record(&self, partition: Partition) -> Option<Commit> {
        let records = self.log.read(partition, self.log.start(partition), usize::MAX);
        commit_at(records, records.last()?)
    }

    /// As if the newest commits had been lost: any record before serves that is still there.
    fn older_commit(&self, partition: Partition, newest: Commit, back: usize) -> Option<Commit> {
        let start = self.log.start(partition);
        let end = newest.source.offset().checked_sub(back as u64 * 2).filter(|end| *end >= start)?;
        let records = self.log.read(partition, start, (end - start) as usize + 1);
        commit_at(records, records.last()?)
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
        let Some(at) = self.archives.get(&(partition, life)).map(|shell| shell.at) else { return };
        if let Some(until) = self.stands_still(at) {
            return self.at(until, Task::ArchiveRun(partition, life));
        }
        let (through, now) = (self.historians[at].written.clone(), self.now);
        let passes = self.mutated(Mutation::PassesOverDerived);
        let written = |of: Partition| if passes { Some(Source(u64::MAX)) } else { through.get(&of).copied() };
        let Some(shell) = self.archives.get_mut(&(partition, life)).filter(|shell| !shell.busy) else { return };
        let step = shell.core.next(&written);
        shell.busy = !matches!(step, Step::Read | Step::Await(_));
        match step {
            Step::Write(rows, through) => self.begin_write(at, partition, life, Writing::Own(rows, through)),
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
                self.begin_write(at, partition, life, Writing::Rest(writes, commit));
            }
            Step::LookUp(keys) => self.look_up(partition, life, &keys),
            Step::Note(rows) => self.begin_write(at, partition, life, Writing::Note(rows)),
            Step::Append(lanes) => self.append_lanes(partition, life, lanes),
            Step::Read => {
                self.append_set_by(partition, life);
                self.feed_archive(partition, life);
            }
        }
    }

    fn begin_write(&mut self, at: usize, partition: Partition, life: u64, mut writing: Writing) {
        let (Writing::Own(writes, _) | Writing::Note(writes) | Writing::Rest(writes, _)) = &mut writing;
        if self.mutated(Mutation::ResolvedKeepsPlace) {
            writes.iter_mut().for_each(|write| self.keep_place(write));
        }
        if self.mutated(Mutation::ReactionsDropped) {
            writes.retain(|write| !is_reaction(write));
        }
        match writing {
            Writing::Own(_, through) if self.mutated(Mutation::WrittenBeforeRows) => self.wrote(at, partition, through),
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

    /// The rows of what was accepted in a partition are there through this place: the others of the node are told.
    fn wrote(&mut self, at: usize, partition: Partition, through: Source) {
        let held = self.historians[at].written.entry(partition).or_default();
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
        self.count_replayed(What::ArchiveReplay, &records, self.archived_below(partition));
        let as_read = self.look_up_early(&records);
        if let Some(shell) = self.archives.get_mut(&(partition, life)) {
            shell.retrying.as_read = as_read;
            shell.core.read(records);
        }
        self.after(1, Task::ArchiveRun(partition, life));
    }

    /// The rows are written: all, or (when the store is away) nothing; or it says nothing and has.
    pub(crate) fn archive_applied(&mut self, partition: Partition, life: u64) {
        let Some(at) = self.archives.get(&(partition, life)).map(|shell| shell.at) else { return };
        if let Some(until) = self.stands_still(at) {
            return self.at(until, Task::ArchiveDone(partition, life));
        }
        let Some(shell) = self.archives.get_mut(&(partition, life)) else { return };
        shell.busy = false;
        let Some(writing) = shell.writing.take() else { return };
        let (writes, commit) = match &writing {
            Writing::Own(rows, _) | Writing::Note(rows) => (rows.clone(), None),
            Writing::Rest(writes, commit) => (writes.clone(), *commit),
        };
        self.count_writes(partition, &writes);
        let done = block_on(self.timeline.apply(partition, writes, commit));
        let unheard = self.rng.chance(20) && !self.healed;
        if done.is_err() || unheard {
            return self.after(AGAIN_MS, Task::ArchiveRun(partition, life));
        }
        if let Some(shell) = self.archives.get_mut(&(partition, life)) {
            match &writing {
                Writing::Own(..) => shell.core.wrote(),
                Writing::Note(_) => shell.core.noted(),
                Writing::Rest(..) => shell.core.applied(),
            }
            shell.torn = !matches!(writing, Writing::Rest(..));
        }
        if let Writing::Own(_, through) = writing {
            self.wrote(at, partition, through);
        }
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

/// As if everything up to this record had been committed.
fn commit_at(records: &[Record], last: &Record) -> Option<Commit> {
    let stamp = records.iter().map(|record| record.stamp).max()?;
    Some(Commit { source: Source::new(GENERATION, last.offset), id: last.event.id(), stamp })
}

fn is_reaction(write: &Write) -> bool {
    matches!(write, Write::Change { change: Change { what: ChangeKind::React(_), .. }, .. })
}
