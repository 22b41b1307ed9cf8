//! A device's disk, and what can become of it: changes that were not synced are lost, positions are
//! garbled, an old backup comes back, the whole device is replaced.

use volery_checker::history::What as Step;
use volery_client::state::{Change, State};
use volery_kernel::id::Id;
use volery_kernel::position::{Position, Source};
use volery_wire::field::Blob;

use crate::device::Device;
use crate::log::GENERATION;
use crate::record::Labels;
use crate::story::{What, tell};
use crate::view::View;
use crate::world::{Task, World};

/// A copy of a device's disk, without what it had never sent: that would be said twice.
#[derive(Clone)]
pub(crate) struct Backup {
    disk: State,
    view: View,
    labels: Labels,
}

impl Device {
    pub(crate) fn store(&mut self, changes: Vec<Change>) {
        changes.iter().for_each(|change| self.labels.store(change));
        let must = changes.iter().any(Change::must_sync);
        self.unsynced.extend(changes);
        if must {
            self.unsynced.drain(..).for_each(|change| self.disk.apply(change));
        }
    }

    /// The app ends; of what was not synced the first `kept` changes survive.
    fn stop(&mut self, kept: usize, now: u64) {
        self.core = None;
        let changes = std::mem::take(&mut self.unsynced);
        changes.into_iter().take(kept).for_each(|change| self.disk.apply(change));
        (self.tick_at, self.paging, self.off_since) = (None, None, Some(now));
    }

    pub(crate) fn back_up(&mut self) {
        let mut disk = self.disk.clone();
        disk.outbox.retain(|_, kept| kept.key.is_some());
        // A view that a reset has emptied belongs to no position: such a moment is not kept.
        if disk.position.is_some() && self.paging.is_none() {
            self.backup = Some(Backup { disk, view: self.view.clone(), labels: self.labels.clone() });
        }
    }
}

impl World {
    /// The app ends; what was not synced may be lost.
    pub(crate) fn restart_device(&mut self, n: usize, ms: u64) -> bool {
        if self.devices[n].core.is_none() {
            return false;
        }
        if let Some((id, _)) = self.devices[n].conn.take() {
            self.cut(id);
        }
        self.story.count(What::Restarted);
        let kept = self.rng.index(self.devices[n].unsynced.len() + 1);
        self.devices[n].stop(kept, self.now);
        self.record(n, Step::Stopped);
        tell!(self, [format!("d{n}")], "d{n} stops");
        self.after(ms, Task::Start(n));
        true
    }

    /// The stored position becomes a wrong one; it is noticed at the next `hello` or soon after.
    pub(crate) fn garble(&mut self, n: usize) -> bool {
        self.restart_device(n, 100);
        let way = self.rng.index(3);
        let disk = &mut self.devices[n].disk;
        let Some(held) = disk.position.as_ref().and_then(|blob| Position::from_bytes(&blob.0).ok()) else {
            return false;
        };
        let (generation, offset) = (held.source.generation(), held.source.offset());
        let wrong = match way {
            _ if held.id == Id::ZERO => Position::beginning(held.partition, GENERATION + 1),
            0 => Position { id: held.id.next(), ..held },
            1 => Position { source: Source::new(generation, offset + 10_000), ..held },
            _ => Position { source: Source::new(generation + 1, offset), ..held },
        };
        disk.position = Some(Blob(wrong.to_bytes().to_vec()));
        self.story.count(What::OtherLog);
        true
    }

    /// The device comes back as it was when it was backed up; or (`empty`) its app finds no view and
    /// hence gives its position up.
    pub(crate) fn restore(&mut self, n: usize, empty: bool) -> bool {
        let Some(Backup { mut disk, view, labels }) = self.devices[n].backup.clone().filter(|_| !self.devices[n].gone)
        else {
            return false;
        };
        let ms = self.rng.within(1_500, 10_000);
        self.restart_device(n, ms);
        let device = &mut self.devices[n];
        let shown = std::mem::take(&mut device.view.shown);
        device.view = if empty { View::new(device.user) } else { view };
        device.view.shown.extend(shown);
        if empty {
            disk.position = None;
        }
        (device.disk, device.labels) = (disk, labels);
        self.record(n, Step::Restored);
        self.story.count(What::Restored);
        tell!(
            self,
            [format!("d{n}")],
            "d{n} is restored from a backup, {}",
            if empty { "without its view" } else { "with its view" }
        );
        true
    }

    /// The device is lost, with all that it had not sent; its user gets a new one.
    pub(crate) fn replace(&mut self, n: usize) -> bool {
        if self.devices[n].gone {
            return false;
        }
        self.restart_device(n, 1);
        self.devices[n].gone = true;
        self.story.count(What::Replaced);
        tell!(self, [format!("d{n}")], "d{n} is lost; its user gets d{}", self.devices.len());
        let (user, ms) = (self.devices[n].user, self.rng.within(500, 10_000));
        self.new_device(user, ms);
        true
    }
}
