//! Whom the sessions of a thread watch, and what is known of those. What sessions are is for the shell to say.
//!
//! Trap avoided: presence is a state, not an event: a session is told that something changed, and compares what
//! it was told with what holds. So nothing is queued for it, and whoever is slow is told the newest.

use std::collections::HashMap;

use smallvec::SmallVec;
use volery_kernel::id::UserId;
use volery_ports::bus::Presence;

struct Watched<S> {
    /// `None` before it was read.
    presence: Option<Presence>,
    by: SmallVec<[S; 1]>,
}

/// See the module. `S` names a session.
pub struct Watching<S> {
    users: HashMap<UserId, Watched<S>>,
}

impl<S> Default for Watching<S> {
    fn default() -> Self {
        Self { users: HashMap::new() }
    }
}

impl<S: Clone + PartialEq> Watching<S> {
    /// A session watches these besides. Answers with those whom nobody watched before.
    pub fn watch(&mut self, by: &S, users: &[UserId]) -> Vec<UserId> {
        let first = users.iter().copied().filter(|user| {
            let mut is_first = false;
            let watched = self.users.entry(*user).or_insert_with(|| {
                is_first = true;
                Watched { presence: None, by: SmallVec::new() }
            });
            watched.by.push(by.clone());
            is_first
        });
        first.collect()
    }

    /// A session does not watch these any more. Answers with those whom nobody watches now.
    pub fn leave(&mut self, by: &S, users: &[UserId]) -> Vec<UserId> {
        let last = users.iter().copied().filter(|user| {
            let Some(watched) = self.users.get_mut(user) else { return false };
            if let Some(at) = watched.by.iter().position(|other| other == by) {
                watched.by.swap_remove(at);
            }
            let is_last = watched.by.is_empty();
            if is_last {
                self.users.remove(user);
            }
            is_last
        });
        last.collect()
    }

    /// What is known of a user who is watched.
    #[must_use]
    pub fn presence(&self, user: UserId) -> Presence {
        self.users.get(&user).and_then(|watched| watched.presence).unwrap_or_default()
    }

    /// Those of these of whom nothing was read yet.
    #[must_use]
    pub fn unread(&self, users: &[UserId]) -> Vec<UserId> {
        let unread = |user: &UserId| self.users.get(user).is_some_and(|watched| watched.presence.is_none());
        users.iter().copied().filter(unread).collect()
    }

    /// Everybody who is watched.
    #[must_use]
    pub fn all(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// What holds of a user from now on. Answers with the sessions to whom that is news.
    pub fn learn(&mut self, user: UserId, presence: Presence) -> &[S] {
        let Some(watched) = self.users.get_mut(&user) else { return &[] };
        let is_news = watched.presence.replace(presence) != Some(presence);
        if is_news { &watched.by } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use volery_kernel::id::Id;

    use super::*;

    fn user(n: u64) -> UserId {
        UserId(Id::new(n).expect("an id"))
    }

    proptest! {
        /// Asked for once, given up with the last, and told to exactly those who watch.
        #[test]
        fn it_is_who_watches_whom(steps in prop::collection::vec((0u8..4, 0u64..4, 0u8..3), 1..100)) {
            let (mut watching, mut model) = (Watching::default(), BTreeMap::<u64, BTreeSet<u8>>::new());
            for (session, who, step) in steps {
                let before = model.get(&who).map_or(0, BTreeSet::len);
                let watches = model.get(&who).is_some_and(|by| by.contains(&session));
                match step {
                    0 if !watches => {
                        let first = watching.watch(&session, &[user(who)]);
                        prop_assert_eq!(first.len(), usize::from(before == 0));
                        model.entry(who).or_default().insert(session);
                    }
                    1 if watches => {
                        let last = watching.leave(&session, &[user(who)]);
                        prop_assert_eq!(last.len(), usize::from(before == 1));
                        model.entry(who).or_default().remove(&session);
                    }
                    2 => {
                        let flipped = match watching.presence(user(who)) {
                            Presence::Online => Presence::Unknown,
                            _ => Presence::Online,
                        };
                        let told: BTreeSet<_> = watching.learn(user(who), flipped).iter().copied().collect();
                        prop_assert_eq!(told, model.get(&who).cloned().unwrap_or_default());
                        prop_assert!(watching.learn(user(who), flipped).is_empty(), "told once");
                    }
                    _ => {}
                }
            }
            model.retain(|_, by| !by.is_empty());
            let all: BTreeSet<_> = watching.all().iter().map(|user| user.get()).collect();
            prop_assert_eq!(all, model.keys().copied().collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn what_nobody_read_is_read_once() {
        let mut watching = Watching::default();
        let both = [user(1), user(2)];
        watching.watch(&'a', &both);
        assert_eq!(watching.unread(&both), both);
        assert_eq!(watching.learn(user(1), Presence::Unknown), ['a'], "that nothing is known is known now");
        assert_eq!((watching.unread(&both), watching.presence(user(2))), (vec![user(2)], Presence::Unknown));
        assert_eq!(watching.learn(user(3), Presence::Online), []);
    }
}
