//! The newest maps that a door has answered with: who saw one of them is told what changed since, and nothing else.
//!
//! Trap avoided: what is remembered may be no map that the caller holds, if it forgot it or was told by another door. So
//! callers check what they are told, and ask for the whole if it does not fit.

use std::collections::VecDeque;
use std::sync::Arc;

use volery_kernel::map::{MapDelta, NodeKind, PartitionMap, PerKind};

use crate::limits::RECENT_MAPS;

/// Oldest first, each once.
#[derive(Default)]
pub(super) struct Recent(PerKind<VecDeque<Arc<PartitionMap>>>);

impl Recent {
    /// The map of this version, if it is remembered. From now on `newest` is, too.
    pub(super) fn seen(&mut self, kind: NodeKind, seen: u64, newest: &PartitionMap) -> Option<Arc<PartitionMap>> {
        let maps = self.0.of_mut(kind);
        if maps.back().is_none_or(|last| last.version() < newest.version()) {
            if maps.len() >= RECENT_MAPS {
                maps.pop_front();
            }
            maps.push_back(Arc::new(newest.clone()));
        }
        maps.iter().find(|map| map.version() == seen).cloned()
    }
}

/// A map as it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Whole(PartitionMap),
    Changes(MapDelta),
}

impl Answer {
    /// The map, for whoever holds one that it may be told by.
    pub(super) fn into_map(self, held: Option<&PartitionMap>) -> Option<PartitionMap> {
        match self {
            Self::Whole(map) => Some(map),
            Self::Changes(delta) => delta.applied(held?).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(version: u64) -> PartitionMap {
        PartitionMap::new(version, Vec::new(), &[None]).expect("a map")
    }

    #[test]
    fn the_newest_are_remembered_by_kind() {
        let [kind, other] = NodeKind::ALL;
        let mut recent = Recent::default();
        let most = RECENT_MAPS as u64;
        assert_eq!(recent.seen(kind, 1, &map(1)).as_deref(), Some(&map(1)), "nothing has changed");
        for version in [2, 2, 1].into_iter().chain(3..=most + 1) {
            recent.seen(kind, 0, &map(version));
        }
        let mut held = |kind, seen| recent.seen(kind, seen, &map(1)).map(|map| map.version());
        assert_eq!([1, 2, most + 1, most + 2].map(|seen| held(kind, seen)), [None, Some(2), Some(most + 1), None]);
        assert_eq!([1, 2].map(|seen| held(other, seen)), [Some(1), None]);
        assert!(
            recent.0.of(kind).len() == RECENT_MAPS && recent.0.of(kind).iter().is_sorted_by_key(|map| map.version())
        );
    }

    #[test]
    fn what_does_not_fit_is_no_map() {
        let changes = || Answer::Changes(MapDelta::between(&map(1), &map(2)));
        assert_eq!(changes().into_map(Some(&map(1))), Some(map(2)));
        assert_eq!((changes().into_map(Some(&map(2))), changes().into_map(None)), (None, None));
        assert_eq!(Answer::Whole(map(3)).into_map(None), Some(map(3)));
    }
}
