//! The writing side: an apply becomes one atomic batch.
//!
//! There is one [`Applier`] behind one lock, held from the first read of a row to the commit of the
//! batch: two archives that touch the same chat row cannot lose each other's write, and the
//! database serialises its commits anyway. Messages, sends and index rows are put without reading
//! (see `layout`). Chat rows, changes and the partition's own rows are read, merged and put once,
//! however often the apply touches them: a batch may not hold a key twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use fjall::{Keyspace, Slice};
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Change, ChatRow, Commit, Write};

use super::bounds::{Bounds, Cuts, cut_before, day_of};
use super::hot::{Hot, View};
use super::store::{Fault, Store};
use super::{layout, read, registers, value};

/// What the newest commit of a partition is, and what its index says about itself.
#[derive(Clone, Copy, Default)]
struct Progress {
    commit: Option<Commit>,
    bounds: Option<Bounds>,
    /// The day of the newest commit and its first offset.
    day: Option<(u32, Offset)>,
}

/// See the module.
pub(super) struct Applier {
    hot: Hot,
    progress: HashMap<Partition, Progress>,
    opening: u64,
}

/// An apply on its way into a batch.
struct Staged<'a> {
    rows: &'a Keyspace,
    hot: &'a mut Hot,
    puts: Vec<(Slice, Slice)>,
    views: HashMap<View, ChatRow>,
    changes: HashMap<Slice, (Id, Option<Slice>)>,
    lowest: Option<Offset>,
}

impl Applier {
    pub(super) fn new(hot_bytes: usize, opening: u64) -> Self {
        Self { hot: Hot::new(hot_bytes), progress: HashMap::new(), opening }
    }

    /// After a failure nobody knows what was stored: everything remembered is read anew.
    fn forget(&mut self, opening: u64) {
        self.hot.clear();
        self.progress.clear();
        self.opening = opening;
    }

    /// Applies writes and commit as one batch, the commit last.
    pub(super) fn apply(
        &mut self,
        store: &Store,
        partition: Partition,
        writes: Vec<Write>,
        commit: Option<Commit>,
    ) -> Result<(), Fault> {
        if self.opening != store.opening {
            self.forget(store.opening);
        }
        let done = self.try_apply(store, partition, writes, commit);
        if done.is_err() {
            self.forget(store.opening);
        }
        done
    }

    fn try_apply(
        &mut self,
        store: &Store,
        partition: Partition,
        writes: Vec<Write>,
        commit: Option<Commit>,
    ) -> Result<(), Fault> {
        let before = self.progress(store.rows(), partition)?;
        let mut staged = Staged::new(store.rows(), &mut self.hot, writes.len());
        for write in writes {
            staged.stage(partition, write)?;
        }
        let after = before.with(staged.lowest, commit);
        let after = staged.stage_progress(partition, before, after)?;
        let views = staged.commit(store, partition, after.commit.filter(|_| after.commit != before.commit))?;
        for (view, row) in views {
            self.hot.put(view, row);
        }
        self.progress.insert(partition, after);
        Ok(())
    }

    fn progress(&self, rows: &Keyspace, partition: Partition) -> Result<Progress, Fault> {
        if let Some(progress) = self.progress.get(&partition) {
            return Ok(*progress);
        }
        let commit = read::commit(rows, partition)?;
        let day = commit.map(|commit| day_of(commit.stamp)).unwrap_or_default();
        let first = read::day(rows, partition, day)?.map(|first| (day, first));
        Ok(Progress { commit, bounds: read::bounds(rows, partition)?, day: first })
    }

    /// Cuts the index of a partition; the filter learns of it once it is on disk.
    pub(super) fn expire(
        &mut self,
        store: &Store,
        cuts: &Cuts,
        partition: Partition,
        before: Timestamp,
    ) -> Result<(), Fault> {
        let rows = store.rows();
        let Some(bounds) = read::bounds(rows, partition)? else { return Ok(()) };
        let days = read::days(rows, partition)?;
        let end = read::commit(rows, partition)?.map(|commit| commit.source.place() + 1);
        let Some(cut) = cut_before(&days, before, end).filter(|cut| *cut > bounds.cut) else { return Ok(()) };
        let mut batch = store.batch()?;
        batch.insert(rows, layout::bounds(partition), value::encode_bounds(Bounds { cut, ..bounds }));
        for (day, _) in days.into_iter().filter(|(day, _)| *day < day_of(before)) {
            batch.remove(rows, layout::day(partition, day));
        }
        self.progress.remove(&partition);
        batch.commit()?;
        store.sync()?;
        cuts.tell(partition, cut);
        Ok(())
    }
}

impl Progress {
    /// After an apply with this smallest offset and commit. The day of the apply is its commit's, or
    /// the one before.
    fn with(self, lowest: Option<Offset>, commit: Option<Commit>) -> Self {
        let offsets = [lowest, commit.map(|commit| commit.source.place())];
        let Some(first) = offsets.into_iter().flatten().min() else { return self };
        let stamp = commit.or(self.commit).map_or(Timestamp(0), |commit| commit.stamp);
        let day = match self.day {
            Some((day, held)) if day == day_of(stamp) => (day, held.min(first)),
            Some(_) | None => (day_of(stamp), first),
        };
        let commit = merge_commits(self.commit, commit);
        Self { commit, bounds: Some(Bounds::reaching(self.bounds, first)), day: Some(day) }
    }
}

/// Source with its id, and the stamp, each by maximum.
fn merge_commits(held: Option<Commit>, new: Option<Commit>) -> Option<Commit> {
    match (held, new) {
        (Some(held), Some(new)) => {
            let further = if new.source > held.source { new } else { held };
            Some(Commit { stamp: held.stamp.max(new.stamp), ..further })
        }
        (held, new) => held.or(new),
    }
}

impl<'a> Staged<'a> {
    fn new(rows: &'a Keyspace, hot: &'a mut Hot, writes: usize) -> Self {
        let puts = Vec::with_capacity(writes + 4);
        Self { rows, hot, puts, views: HashMap::new(), changes: HashMap::new(), lowest: None }
    }

    fn put(&mut self, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.puts.push((key.into(), value.into()));
    }

    fn stage(&mut self, partition: Partition, write: Write) -> Result<(), Fault> {
        match write {
            // Resolved or not: each source is a row of its own, and readers take the smallest.
            Write::Message { chat, message, resolved: _ } => {
                self.put(layout::message(chat, message.id, message.source), value::encode_message(&message));
            }
            Write::Change { chat, target, change } => self.change(chat, target, &change)?,
            Write::Sent { key, sent } => {
                self.put(layout::sent(key, sent.id, sent.source), value::encode_fingerprint(sent.fingerprint));
            }
            Write::Index { recipient, offset, entry } => {
                self.lowest = Some(self.lowest.map_or(offset, |lowest| lowest.min(offset)));
                self.put(layout::index(recipient, partition, offset), value::encode_entry(&entry));
            }
            Write::Newest { user, chat, id, incoming } => {
                registers::newest(self.view((user, chat))?, id, incoming);
            }
            Write::Mark { user, chat, kind, seen } => registers::mark(self.view((user, chat))?, kind, seen),
            Write::PeerMark { user, chat, kind, seen } => registers::peer_mark(self.view((user, chat))?, kind, seen),
            Write::ResolvedLate { user, chat, seen } => registers::resolved_late(self.view((user, chat))?, seen),
            Write::SetAside { offset, reason, bytes } => {
                self.put(layout::aside(partition, offset), value::encode_aside(&reason, &bytes));
            }
        }
        Ok(())
    }

    /// The row as this apply has it so far.
    fn view(&mut self, view: View) -> Result<&mut ChatRow, Fault> {
        match self.views.entry(view) {
            Slot::Occupied(held) => Ok(held.into_mut()),
            Slot::Vacant(free) => {
                let row = match self.hot.take(view) {
                    Some(row) => row,
                    None => read::chat(self.rows, view.0, view.1)?,
                };
                Ok(free.insert(row))
            }
        }
    }

    /// The largest change id wins, be it stored, staged or new.
    fn change(&mut self, chat: ChatId, target: Id, change: &Change) -> Result<(), Fault> {
        let cell = value::change_cell(&change.what);
        let key = Slice::from(layout::change(chat, target, cell, change.actor));
        let held = match self.changes.entry(key.clone()) {
            Slot::Occupied(held) => held.into_mut(),
            Slot::Vacant(free) => {
                let stored = self.rows.get(&key)?;
                let stored = stored.map(|stored| value::decode_change(cell, change.actor, &stored)).transpose()?;
                free.insert((stored.map_or(Id::ZERO, |stored| stored.id), None))
            }
        };
        if change.id >= held.0 {
            *held = (change.id, Some(value::encode_change(change).into()));
        }
        Ok(())
    }

    /// Puts what changed about the partition itself. A day that returns after a replay keeps its smaller first offset.
    fn stage_progress(
        &mut self,
        partition: Partition,
        before: Progress,
        mut after: Progress,
    ) -> Result<Progress, Fault> {
        if let Some((day, first)) = after.day.filter(|_| after.day != before.day) {
            let first = read::day(self.rows, partition, day)?.map_or(first, |held| held.min(first));
            after.day = Some((day, first));
            self.put(layout::day(partition, day), value::encode_offset(first));
        }
        if let Some(bounds) = after.bounds.filter(|_| after.bounds != before.bounds) {
            self.put(layout::bounds(partition), value::encode_bounds(bounds));
        }
        Ok(after)
    }

    fn commit(
        self,
        store: &Store,
        partition: Partition,
        commit: Option<Commit>,
    ) -> Result<HashMap<View, ChatRow>, Fault> {
        let Self { mut puts, views, changes, .. } = self;
        let changed = changes.into_iter().filter_map(|(key, (_, value))| Some((key, value?)));
        puts.extend(changed);
        puts.extend(views.iter().map(|(view, row)| {
            let key = layout::chat(view.0, view.1);
            (key.into(), registers::encode(row).into())
        }));
        // In the order of keys, each once: kinder to the memtable, and demanded by a batch.
        puts.sort_by(|a, b| a.0.cmp(&b.0));
        puts.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut batch = store.batch()?;
        for (key, value) in puts {
            batch.insert(store.rows(), key, value);
        }
        if let Some(commit) = commit {
            batch.insert(store.rows(), layout::commit(partition), value::encode_commit(commit));
        }
        batch.commit()?;
        Ok(views)
    }
}
