//! Who of a partition's users has come or gone. Whoever has a session is online, and nothing is kept of them;
//! only those are whose last session has just ended.
//!
//! Trap avoided: a device that reconnects must not be seen to go and come; so a user is said to have gone only
//! when nobody came back within [`limits::ONLINE_GRACE_MS`].

use std::collections::BTreeMap;

use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Present {
    /// When the last session of each ended.
    leaving: BTreeMap<UserId, Timestamp>,
}

impl Present {
    /// A user's first session is here. Whether that is news.
    pub fn came(&mut self, user: UserId) -> bool {
        self.leaving.remove(&user).is_none()
    }

    /// A user's last session ended.
    pub fn left(&mut self, user: UserId, now: Timestamp) {
        self.leaving.insert(user, now);
    }

    /// Those who did not come back in time, and when they left; told once.
    pub fn gone(&mut self, now: Timestamp) -> Vec<(UserId, Timestamp)> {
        let gone = self.leaving.extract_if(.., |_, left| now.since(*left) >= limits::ONLINE_GRACE_MS.value);
        gone.collect()
    }

    /// Their partition is another node's: what becomes of them is said there.
    pub fn forget(&mut self) {
        self.leaving.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use volery_kernel::id::Id;

    use super::*;

    proptest! {
        /// Whatever comes and goes: what was said is what is, a grace later; and nobody is said to have gone
        /// who was back within it.
        #[test]
        fn what_is_said_follows_what_is(steps in prop::collection::vec((0u64..3, 0u64..8_000), 1..60)) {
            let grace = limits::ONLINE_GRACE_MS.value;
            let (mut present, mut now) = (Present::default(), Timestamp(1_000_000));
            let (mut here, mut said) = ([false; 3], [false; 3]);
            let mut last_left = [Timestamp(0); 3];
            let steps = steps.into_iter().chain([(9, grace)]);
            for (who, pause) in steps {
                now = now.plus(pause);
                for (user, left) in present.gone(now) {
                    let n = user.get() as usize;
                    prop_assert!(!here[n] && said[n], "{user} went twice, or is here");
                    prop_assert!(left == last_left[n] && now.since(left) >= grace);
                    said[n] = false;
                }
                let Ok(user) = Id::new(who).map(UserId) else { continue };
                let Some(is_here) = here.get_mut(who as usize) else { continue };
                *is_here = !*is_here;
                if *is_here {
                    let news = present.came(user);
                    prop_assert_eq!(news, !said[who as usize], "who was not missed does not come");
                    said[who as usize] = true;
                } else {
                    last_left[who as usize] = now;
                    present.left(user, now);
                }
            }
            prop_assert_eq!(here, said);
        }
    }

    #[test]
    fn what_is_anothers_is_not_said() {
        let (mut present, now) = (Present::default(), Timestamp(5));
        present.left(UserId::default(), now);
        present.forget();
        assert_eq!(present.gone(now.plus(60_000)), []);
        assert!(present.came(UserId::default()), "whoever is here now says so again");
    }
}
