//! What this process knows to be stored: windows and days that it need not note again.
//!
//! Bounded. To forget costs a statement, never more: nothing here decides what is true. Trap avoided: a
//! thing is remembered only when its write was answered.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;
use volery_kernel::chat::ChatId;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;

/// Windows of chats in each of the two generations: together about 10 MiB.
const WINDOWS_MOST: usize = 65_536;

#[derive(Default)]
struct Windows {
    young: HashSet<(ChatId, i32)>,
    old: HashSet<(ChatId, i32)>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Memory {
    windows: Mutex<Windows>,
    /// The day that was noted last, and from which offset.
    days: Mutex<HashMap<Partition, (i32, Offset)>>,
    newest_window: AtomicI32,
}

impl Memory {
    /// Those of which nothing is known.
    pub(crate) fn new_windows(&self, windows: &HashSet<(ChatId, i32)>) -> Vec<(ChatId, i32)> {
        let mut held = self.windows.lock();
        windows.iter().copied().filter(|window| !held.holds(*window)).collect()
    }

    pub(crate) fn remember_windows(&self, windows: &HashSet<(ChatId, i32)>) {
        let mut held = self.windows.lock();
        for window in windows {
            held.put(*window);
            self.seen_window(window.1);
        }
    }

    /// Whether it is noted that the day's index is complete from `first` on.
    pub(crate) fn has_day(&self, partition: Partition, day: i32, first: Offset) -> bool {
        self.days.lock().get(&partition).is_some_and(|&(held, from)| held == day && from <= first)
    }

    pub(crate) fn remember_day(&self, partition: Partition, day: i32, first: Offset) {
        self.days.lock().insert(partition, (day, first));
    }

    /// The newest window in which any chat was seen: where a reader of the newest looks first.
    pub(crate) fn newest_window(&self) -> i32 {
        self.newest_window.load(Ordering::Relaxed)
    }

    pub(crate) fn seen_window(&self, window: i32) {
        self.newest_window.fetch_max(window, Ordering::Relaxed);
    }
}

impl Windows {
    /// What is used becomes young again.
    fn holds(&mut self, window: (ChatId, i32)) -> bool {
        if self.old.remove(&window) {
            self.put(window);
        }
        self.young.contains(&window)
    }

    fn put(&mut self, window: (ChatId, i32)) {
        if self.young.len() >= WINDOWS_MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::id::UserId;

    fn window(raw: u64) -> (ChatId, i32) {
        let user = UserId::new(raw).unwrap();
        (ChatId::direct(user, user), 1)
    }

    #[test]
    fn what_is_used_is_known_and_what_is_held_is_bounded() {
        let memory = Memory::default();
        let used = HashSet::from([window(0)]);
        assert_eq!(memory.new_windows(&used), [window(0)]);
        memory.remember_windows(&used);
        for raw in 1..200_000 {
            memory.remember_windows(&HashSet::from([window(raw)]));
            assert_eq!(memory.new_windows(&used), []);
        }
        let held = memory.windows.lock();
        assert!(held.young.len() <= WINDOWS_MOST && held.old.len() <= WINDOWS_MOST);
    }

    #[test]
    fn a_day_is_known_from_its_first_offset_on() {
        let memory = Memory::default();
        memory.remember_day(Partition(1), 5, 100);
        let known = [(5, 100), (5, 99), (6, 100)].map(|(day, first)| memory.has_day(Partition(1), day, first));
        assert_eq!(known, [true, false, false]);
        assert!(!memory.has_day(Partition(2), 5, 100));
    }
}
