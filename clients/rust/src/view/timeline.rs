//! The messages of one chat that are held, and from where on they are complete.
//!
//! Pages make it complete from their oldest message on; the stream adds to its end. What lies
//! before that edge is held but not shown: there are gaps in it. Changes whose message is not held
//! wait beside it.

use std::collections::BTreeMap;

use volery_kernel::id::Id;
use volery_wire::server::{Changed, Message, Page};

use super::line::Line;

/// Lines that are held of a chat that nobody looks at.
const IDLE_MOST: usize = 200;
/// Lines that are held of a chat before the oldest are let go.
const HELD_MOST: usize = 5_000;
/// Changes that wait for their message, a chat; beyond it the oldest are let go: they are on pages.
const EARLY_MOST: usize = 256;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    lines: BTreeMap<Id, Line>,
    early: BTreeMap<(Id, Id), Changed<'static>>,
    complete_from: Option<Id>,
}

impl Timeline {
    /// What is to be shown, in order. Before the first page: what the stream brought.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.range(self.complete_from.unwrap_or(Id::ZERO)..).map(|(_, line)| line)
    }

    /// All that is held, shown or not, in order.
    pub fn held(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.values()
    }

    /// A message that is held, shown or not.
    #[must_use]
    pub fn line(&self, id: Id) -> Option<&Line> {
        self.lines.get(&id)
    }

    /// From which id on nothing is missing; `None` before the first page.
    #[must_use]
    pub fn complete_from(&self) -> Option<Id> {
        self.complete_from
    }

    /// Whether it is complete from its very beginning.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.complete_from == Some(Id::ZERO)
    }

    /// A message; what waited for it is applied. Answers the line.
    pub fn message(&mut self, message: &Message<'_>) -> &Line {
        let line = self.lines.entry(message.id).and_modify(|line| line.merge(message));
        let line = line.or_insert_with(|| Line::new(message));
        let waiting: Vec<_> =
            self.early.range((message.id, Id::ZERO)..=(message.id, Id::MAX)).map(|(key, _)| *key).collect();
        for key in waiting {
            if let Some(changed) = self.early.remove(&key) {
                line.change(&changed);
            }
        }
        line
    }

    /// A change: applied, or held until its message is.
    pub fn changed(&mut self, changed: Changed<'static>) {
        match self.lines.get_mut(&changed.id) {
            Some(line) => line.change(&changed),
            None => {
                self.early.insert((changed.id, changed.change), changed);
                if self.early.len() > EARLY_MOST {
                    self.early.pop_first();
                }
            }
        }
    }

    /// All messages of a page are held, which was asked for before `before`, or the newest one.
    pub fn paged(&mut self, page: &Page<'_>, before: Option<Id>) {
        if page.messages.is_empty() && page.older.is_some() {
            return;
        }
        let oldest = page.messages.first().map(|message| message.id).filter(|_| page.older.is_some());
        let from = oldest.unwrap_or(Id::ZERO);
        if before.is_none() || before == self.complete_from {
            self.complete_from = Some(self.complete_from.map_or(from, |held| held.min(from)));
        }
    }

    /// Lets old lines go; `idle` if nobody looks at the chat.
    pub fn trim(&mut self, idle: bool) {
        // What no page covers yet may be nowhere but here and in the log.
        let most = if idle && self.complete_from.is_some() { IDLE_MOST } else { HELD_MOST };
        if self.lines.len() <= most + most / 4 {
            return;
        }
        let edge = self.lines.keys().nth_back(most - 1).copied();
        let Some(edge) = edge else { return };
        self.lines = self.lines.split_off(&edge);
        if self.complete_from.is_some_and(|from| from < edge) {
            self.complete_from = Some(edge);
        }
    }
}
