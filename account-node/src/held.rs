//! Bounded memory of what was looked up.

use std::collections::HashMap;
use std::hash::Hash;

/// A map that holds at most twice `most` entries of fixed size: when the newer half is full, the older
/// half is dropped and the newer becomes it. What is used is carried over, so what stays is what is
/// used, without a list to keep in order.
pub(crate) struct Held<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
    most: usize,
}

impl<K: Eq + Hash + Copy, V: Copy> Held<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { newer: HashMap::new(), older: HashMap::new(), most }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(&value) = self.newer.get(key) {
            return Some(value);
        }
        let value = self.older.remove(key)?;
        self.put(*key, value);
        Some(value)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.newer.len() >= self.most {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_used_stays() {
        let mut held = Held::new(2);
        for number in 0..100 {
            held.put(number, number);
            assert_eq!(held.get(&0), Some(0), "after {number}");
        }
        assert_eq!(held.get(&50), None);
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_wrong(most in 1..5usize, steps in prop::collection::vec((0..12u8, any::<bool>()), 0..100)) {
            let mut held = Held::new(most);
            let mut truth = HashMap::new();
            for (step, (key, write)) in steps.into_iter().enumerate() {
                if write {
                    held.put(key, step);
                    truth.insert(key, step);
                } else if let Some(value) = held.get(&key) {
                    prop_assert_eq!(truth.get(&key), Some(&value));
                }
                prop_assert!(held.newer.len() <= most && held.older.len() <= most);
            }
        }
    }
}
