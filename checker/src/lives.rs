//! What each device is doing and what it holds, as the second reading goes on.
//!
//! *Held* is what was shown, or ended by itself, since the last reset or restore. *Seen* is what was
//! ever shown: what a user has seen was seen, whatever the disk forgot. So a mark may cover what a
//! device showed before it was restored, and `synced` may not rest on it.

use std::collections::HashMap;

use volery_kernel::id::Id;
use volery_wire::server::Reaction;

use crate::history::{Row, Step, What};
use crate::known::{At, Known, Part};

/// One device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) runs: bool,
    /// Counts starts and restores of the app.
    pub(crate) number: u32,
    /// When the app was last started.
    pub(crate) started: Option<At>,
    /// The `hello` of the open connection.
    pub(crate) hello: Option<At>,
    /// The last `synced` of the open connection, if nothing has put it behind since.
    pub(crate) synced: Option<At>,
    /// A reset whose pages were not read yet.
    pub(crate) resetting: Option<At>,
    /// The last reset or restore: what was held is void.
    pub(crate) emptied: Option<At>,
    /// It was restored and not reset since: it may know less than it goes on from.
    pub(crate) blank: bool,
    restored: Option<At>,
    /// Counts resets and restores.
    pub(crate) epoch: u32,
    /// By message: the epoch in which it was last shown.
    shown: HashMap<usize, u32>,
    /// By message and part: the largest change that was shown, and in which epoch.
    changed: HashMap<(Id, Part), (u32, Id)>,
}

/// A device when everything had come to rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rested {
    pub(crate) runs: bool,
    pub(crate) synced: bool,
    pub(crate) number: u32,
    pub(crate) started: Option<At>,
    pub(crate) hello: Option<At>,
    pub(crate) restored: Option<At>,
}

/// See the module.
pub(crate) struct Lives {
    lives: Vec<Life>,
    /// As the devices were at the first step at rest.
    pub(crate) rested: Vec<Rested>,
}

impl Lives {
    pub(crate) fn new(known: &Known<'_>) -> Self {
        Self { lives: vec![Life::default(); known.devices.len()], rested: Vec::new() }
    }

    pub(crate) fn of(&self, device: u32) -> Option<&Life> {
        self.lives.get(device as usize)
    }

    /// Everything has come to rest.
    pub(crate) fn rest(&mut self) {
        self.rested = self.lives.iter().map(Life::rested).collect();
    }

    /// A device at rest; `None` if the history did not come to rest.
    pub(crate) fn at_rest(&self, device: u32) -> Option<&Rested> {
        self.rested.get(device as usize)
    }

    pub(crate) fn take(&mut self, known: &Known<'_>, at: At, step: &Step) {
        let Some(life) = self.lives.get_mut(step.device as usize) else { return };
        match &step.what {
            What::Showed { row, .. } => life.shows_row(known, row),
            What::Changed { change, .. } => life.shows_change(known, *change),
            What::Ended { id: Some(id), .. } => {
                life.shows(known.message_of(*id));
                life.shows_change(known, *id);
            }
            what => life.goes_on(at, what),
        }
    }
}

impl Life {
    pub(crate) fn holds(&self, message: usize) -> bool {
        self.shown.get(&message) == Some(&self.epoch)
    }

    pub(crate) fn has_seen(&self, message: usize) -> bool {
        self.shown.contains_key(&message)
    }

    fn shows(&mut self, message: Option<usize>) {
        if let Some(message) = message {
            self.shown.insert(message, self.epoch);
        }
    }

    /// A change, or one of the same part with a larger id, or the deletion that absorbs it.
    pub(crate) fn holds_change(&self, target: Id, part: Part, change: Id) -> bool {
        let newest = |part| self.changed.get(&(target, part)).filter(|(epoch, _)| *epoch == self.epoch);
        newest(part).is_some_and(|(_, id)| *id >= change) || newest(Part::Deletion).is_some()
    }

    /// A row comes with the changes that made it. Which edit has a text is not known before its sender is told.
    fn shows_row(&mut self, known: &Known<'_>, row: &Row) {
        self.shows(known.message_of(row.id));
        match row.text.map(|text| known.intent_of(text.label)) {
            None => self.holds_part(row.id, Part::Deletion, Id::MAX),
            Some(Some(edit)) if !edit.is_message() => {
                self.holds_part(row.id, Part::Text, edit.taken.map_or(Id::MAX, |(id, _)| id));
            }
            Some(_) => {}
        }
        for Reaction { by, change, .. } in &row.reactions {
            self.holds_part(row.id, Part::Reaction(*by), *change);
        }
    }

    fn shows_change(&mut self, known: &Known<'_>, change: Id) {
        if let Some((target, part)) = known.change_of(change) {
            self.holds_part(target, part, change);
        }
    }

    fn holds_part(&mut self, target: Id, part: Part, change: Id) {
        let newest = self.changed.entry((target, part)).or_default();
        *newest = (self.epoch, change).max(*newest);
    }

    fn goes_on(&mut self, at: At, what: &What) {
        match what {
            What::Started => {
                (self.runs, self.started) = (true, Some(at));
                self.number += 1;
                self.closed();
            }
            What::Stopped => {
                self.runs = false;
                self.closed();
            }
            What::Restored => {
                (self.blank, self.resetting, self.restored) = (true, None, Some(at));
                self.number += 1;
                self.empty(at);
            }
            What::Hello { .. } => (self.hello, self.synced) = (Some(at), None),
            What::Synced => self.synced = self.hello.map(|_| at),
            What::Gap => self.synced = None,
            What::Reset => {
                (self.blank, self.resetting, self.synced) = (false, Some(at), None);
                self.empty(at);
            }
            What::PagesRead => self.resetting = None,
            What::Closed => self.closed(),
            _ => {}
        }
    }

    fn closed(&mut self) {
        (self.hello, self.synced) = (None, None);
    }

    fn empty(&mut self, at: At) {
        self.emptied = Some(at);
        self.epoch += 1;
    }

    fn rested(&self) -> Rested {
        Rested {
            runs: self.runs,
            synced: self.synced.is_some() && self.resetting.is_none(),
            number: self.number,
            started: self.started,
            hello: self.hello,
            restored: self.restored,
        }
    }
}
