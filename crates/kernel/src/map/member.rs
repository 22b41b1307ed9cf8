//! Who may own partitions: the kinds of nodes that divide them among each other, and a member of a kind.
//!
//! Names are persisted and sent: they are never renamed or reused.

use crate::limits;

/// A kind of node. Those of one kind divide the partitions among them, by a map of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// Sessions, and the owners of partitions.
    Messaging,
    /// Fan-out and archive.
    History,
}

impl NodeKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Messaging, Self::History];

    /// As it is persisted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messaging => "messaging",
            Self::History => "history",
        }
    }
}

/// Something for each kind of node.
#[derive(Clone, Debug, Default)]
pub struct PerKind<T> {
    messaging: T,
    history: T,
}

impl<T> PerKind<T> {
    /// Made kind by kind.
    pub fn from_fn(mut make: impl FnMut(NodeKind) -> T) -> Self {
        Self { messaging: make(NodeKind::Messaging), history: make(NodeKind::History) }
    }

    /// That of a kind.
    #[must_use]
    pub fn of(&self, kind: NodeKind) -> &T {
        match kind {
            NodeKind::Messaging => &self.messaging,
            NodeKind::History => &self.history,
        }
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, kind: NodeKind) -> &mut T {
        match kind {
            NodeKind::Messaging => &mut self.messaging,
            NodeKind::History => &mut self.history,
        }
    }
}

/// How large a member's share is against the others': one of weight 2 owns twice as much as one of weight 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// The smallest, and the usual one.
    pub const ONE: Self = Self(1);

    /// From 1 to [`limits::WEIGHT_MOST`]; nothing else is a weight.
    #[must_use]
    pub const fn new(weight: u16) -> Option<Self> {
        if weight >= 1 && weight <= limits::WEIGHT_MOST.value { Some(Self(weight)) } else { None }
    }

    /// As it was given.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// Whether a member is given partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It is.
    Serving,
    /// It hands over what it has, and is a member until it is empty and after.
    Draining,
}

impl MemberState {
    /// As it is persisted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Serving, Self::Draining].into_iter().find(|state| state.name() == name)
    }
}

/// A node, as others know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Unique among those of its kind and the same over restarts, so that a restart moves nothing.
    pub name: String,
    /// Where it is asked; empty if nobody asks it. Messaging: where clients connect, `ws://host:8401/v1/ws`.
    pub url: String,
    /// How large its share is.
    pub weight: Weight,
    /// Whether it is given partitions.
    pub state: MemberState,
}

impl Member {
    /// One that serves, of the usual weight.
    #[must_use]
    pub const fn new(name: String, url: String) -> Self {
        Self { name, url, weight: Weight::ONE, state: MemberState::Serving }
    }

    /// Whether it is given partitions.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.state == MemberState::Serving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_are() {
        assert_eq!(NodeKind::ALL.map(NodeKind::name), ["messaging", "history"]);
        for (state, name) in [(MemberState::Serving, "serving"), (MemberState::Draining, "draining")] {
            assert_eq!((state.name(), MemberState::named(name)), (name, Some(state)));
        }
        assert_eq!(MemberState::named("Serving"), None);
    }

    #[test]
    fn nothing_is_no_weight() {
        assert_eq!(
            [0, 1, 100, 101].map(|weight| Weight::new(weight).map(Weight::get)),
            [None, Some(1), Some(100), None]
        );
    }

    #[test]
    fn each_kind_has_its_own() {
        let mut names = PerKind::from_fn(NodeKind::name);
        assert_eq!(NodeKind::ALL.map(|kind| *names.of(kind)), NodeKind::ALL.map(NodeKind::name));
        *names.of_mut(NodeKind::History) = "changed";
        assert_eq!(NodeKind::ALL.map(|kind| *names.of(kind)), ["messaging", "changed"]);
    }
}
