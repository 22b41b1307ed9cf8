//! Chat rows that were written lately, so that a conversation's next message reads nothing.
//!
//! Bounded in bytes: two generations, each at most half of the budget. When the young one is full
//! it becomes the old one, and what the old one held and nobody asked for is forgotten.

use std::collections::HashMap;

use volery_kernel::chat::ChatId;
use volery_kernel::id::UserId;
use volery_ports::timeline::ChatRow;

/// Whose view of which chat.
pub(super) type View = (UserId, ChatId);

/// About what an entry of the map takes beside its list.
const ROW_BYTES: usize = size_of::<View>() + size_of::<ChatRow>() + 16;

/// See the module.
pub(super) struct Hot {
    young: HashMap<View, ChatRow>,
    old: HashMap<View, ChatRow>,
    young_bytes: usize,
    half: usize,
}

impl Hot {
    pub(super) fn new(bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, half: bytes / 2 }
    }

    /// Takes a row out: whoever changes it puts it back once it is stored.
    pub(super) fn take(&mut self, view: View) -> Option<ChatRow> {
        if let Some(row) = self.young.remove(&view) {
            self.young_bytes = self.young_bytes.saturating_sub(weight(&row));
            return Some(row);
        }
        self.old.remove(&view)
    }

    pub(super) fn put(&mut self, view: View, row: ChatRow) {
        self.old.remove(&view);
        self.young_bytes += weight(&row);
        if let Some(before) = self.young.insert(view, row) {
            self.young_bytes = self.young_bytes.saturating_sub(weight(&before));
        }
        if self.young_bytes > self.half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    /// Forgets everything: what is stored is no longer known.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.half * 2);
    }
}

fn weight(row: &ChatRow) -> usize {
    ROW_BYTES + row.resolved_late.capacity() * 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(raw: u64) -> View {
        let user = UserId::new(raw).unwrap();
        (user, ChatId::direct(user, user))
    }

    #[test]
    fn stays_within_its_budget_and_keeps_what_is_used() {
        let mut hot = Hot::new(100 * ROW_BYTES);
        for raw in 0..10_000 {
            hot.put(view(raw), ChatRow::default());
            let used = hot.take(view(0)).unwrap();
            hot.put(view(0), used);
            assert!(hot.young.len() + hot.old.len() <= 102);
        }
        assert!(hot.take(view(1)).is_none());
        assert!(hot.take(view(9_999)).is_some());
    }
}
