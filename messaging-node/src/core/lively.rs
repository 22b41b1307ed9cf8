//! What a session keeps of typing and presence: whom it watches and what it was told of them, to whom it was
//! seen typing. A session that does neither keeps none of it.

use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::bus::Presence;

/// See the module.
#[derive(Debug, Default)]
pub struct Lively {
    /// By user; with what the device was told.
    watched: Vec<(UserId, Presence)>,
    /// When it was seen typing to whom, lately.
    typed: Vec<(UserId, Timestamp)>,
    /// Who wants to be seen typing to somebody who is being looked up.
    pub(super) asking: Option<(u64, UserId)>,
}

/// How a list of watched users changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Watched from now on.
    pub added: Vec<UserId>,
    /// Watched no more.
    pub left: Vec<UserId>,
}

impl Lively {
    /// Whether typing to somebody is to be seen now. What comes too soon after the last time, or goes to too
    /// many at once, is not.
    pub fn may_type(&mut self, to: UserId, now: Timestamp) -> bool {
        self.forget_typing(now);
        let may = self.typed.len() < limits::TYPING_TO_MOST.value && self.typed.iter().all(|(user, _)| *user != to);
        if may {
            self.typed.push((to, now));
        }
        may
    }

    fn forget_typing(&mut self, now: Timestamp) {
        self.typed.retain(|(_, at)| now.since(*at) < limits::TYPING_EVERY_MS.value);
    }

    /// Whether there is nothing left to keep.
    pub fn is_idle(&mut self, now: Timestamp) -> bool {
        self.forget_typing(now);
        self.watched.is_empty() && self.typed.is_empty() && self.asking.is_none()
    }

    /// Watches these from now on, and nobody else. What was told of those who stay still holds.
    pub fn watch(&mut self, mut users: Vec<UserId>) -> Change {
        users.sort_unstable();
        users.dedup();
        let before = std::mem::take(&mut self.watched);
        let left = before.iter().map(|(user, _)| *user).filter(|user| users.binary_search(user).is_err()).collect();
        let known = |user: &UserId| before.binary_search_by_key(user, |(user, _)| *user).ok().map(|at| before[at].1);
        let added = users.iter().copied().filter(|user| known(user).is_none()).collect();
        self.watched = users.iter().map(|user| (*user, known(user).unwrap_or_default())).collect();
        Change { added, left }
    }

    /// Whom it watches.
    pub fn watched(&self) -> impl Iterator<Item = UserId> {
        self.watched.iter().map(|(user, _)| *user)
    }

    /// What holds of all, as it is told now.
    pub fn all(&mut self, holds: &dyn Fn(UserId) -> Presence) -> Vec<(UserId, Presence)> {
        self.watched.iter_mut().for_each(|(user, told)| *told = holds(*user));
        self.watched.clone()
    }

    /// What holds and was not told, as it is told now.
    pub fn news(&mut self, holds: &dyn Fn(UserId) -> Presence) -> Vec<(UserId, Presence)> {
        let news = self.watched.iter_mut().filter_map(|(user, told)| {
            let now = holds(*user);
            (std::mem::replace(told, now) != now).then_some((*user, now))
        });
        news.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use volery_kernel::id::Id;

    use super::*;

    fn users(numbers: &[u64]) -> Vec<UserId> {
        numbers.iter().map(|n| UserId(Id::new(*n).expect("an id"))).collect()
    }

    #[test]
    fn a_list_replaces_the_one_before() {
        let mut lively = Lively::default();
        let online = |_| Presence::Online;
        assert_eq!(lively.watch(users(&[3, 1, 3])), Change { added: users(&[1, 3]), left: vec![] });
        assert_eq!(lively.all(&online).len(), 2);
        assert_eq!(lively.watch(users(&[2, 3])), Change { added: users(&[2]), left: users(&[1]) });
        let told: Vec<_> = lively.news(&online).into_iter().map(|(user, _)| user).collect();
        assert_eq!(told, users(&[2]), "the other was told already");
        assert_eq!(lively.news(&online), []);
        assert_eq!(lively.watch(vec![]), Change { added: vec![], left: users(&[2, 3]) });
        assert!(lively.is_idle(Timestamp(0)));
    }

    proptest! {
        /// However often it is said, and to however many.
        #[test]
        fn typing_is_seen_no_more_often_than_it_may_be(said in prop::collection::vec((0u64..20, 0u64..600), 1..300)) {
            let (mut lively, mut now) = (Lively::default(), Timestamp(1_000_000));
            let mut seen: Vec<(u64, Timestamp)> = Vec::new();
            for (to, pause) in said {
                now = now.plus(pause);
                seen.retain(|(_, at)| now.since(*at) < limits::TYPING_EVERY_MS.value);
                let crowded = seen.len() >= limits::TYPING_TO_MOST.value;
                let expected = !crowded && seen.iter().all(|(user, _)| *user != to);
                prop_assert_eq!(lively.may_type(users(&[to])[0], now), expected);
                if expected {
                    seen.push((to, now));
                }
            }
            prop_assert!(lively.is_idle(now.plus(limits::TYPING_EVERY_MS.value)), "nothing is kept of it");
        }
    }
}
