//! The bus within one process: who says something calls those who listen. Presence is held in memory, by user.
//!
//! Also the model of the port: it is as short as one would be. Trap avoided: what expired is nobody's to
//! remove, and everybody who was ever there would be held for ever; so it is swept out each time that as much
//! again was taken in.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use volery_kernel::id::UserId;
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::bus::{Away, Bus, Ear, EarId, Heard, Hub, News, Presence, Said, Topic};

/// Entries below which nothing is swept.
const SWEEP_LEAST: usize = 1_024;

/// See the module. Clones share it: each stands for a node.
#[derive(Clone)]
pub struct LocalBus {
    hub: Arc<Mutex<Hub>>,
    held: Arc<Mutex<HeldPresence>>,
    clock: Arc<dyn Clock>,
}

impl LocalBus {
    /// Nobody listens, nobody is there.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { hub: Arc::default(), held: Arc::default(), clock }
    }

    fn say_one(&self, said: Said, now: Timestamp) {
        match said {
            Said::Typing { partition, to, from } => {
                self.hub.lock().tell(Topic::Typing(partition), News::Typing { to, from });
            }
            Said::Changed { user, presence, keep_ms } => {
                self.held.lock().keep(user, presence, now, keep_ms);
                self.hub.lock().tell(Topic::Presence(user), News::Presence { user, presence });
            }
            Said::Renewed { users, keep_ms } => {
                let mut held = self.held.lock();
                users.into_iter().for_each(|user| held.keep(user, Presence::Online, now, keep_ms));
            }
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn listen(&self, heard: Heard) -> Box<dyn Ear> {
        let id = self.hub.lock().listen(heard);
        Box::new(LocalEar { hub: Arc::clone(&self.hub), id })
    }

    async fn say(&self, batch: Vec<Said>) -> Result<(), Away> {
        let now = self.clock.now();
        batch.into_iter().for_each(|said| self.say_one(said, now));
        Ok(())
    }

    async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Away> {
        let (held, now) = (self.held.lock(), self.clock.now());
        Ok(users.iter().map(|user| held.of(*user, now)).collect())
    }
}

struct LocalEar {
    hub: Arc<Mutex<Hub>>,
    id: EarId,
}

impl Ear for LocalEar {
    fn follow(&self, topics: &[Topic]) {
        self.hub.lock().follow(self.id, topics);
    }

    fn leave(&self, topics: &[Topic]) {
        self.hub.lock().leave(self.id, topics);
    }
}

impl Drop for LocalEar {
    fn drop(&mut self) {
        self.hub.lock().end(self.id);
    }
}

/// What was said of each user, and until when it holds.
#[derive(Default)]
struct HeldPresence {
    of: HashMap<UserId, (Presence, Timestamp)>,
    /// What the last sweep left.
    left: usize,
}

impl HeldPresence {
    fn keep(&mut self, user: UserId, presence: Presence, now: Timestamp, keep_ms: u64) {
        if self.of.len() >= SWEEP_LEAST.max(2 * self.left) {
            self.of.retain(|_, (_, until)| *until > now);
            self.left = self.of.len();
        }
        self.of.insert(user, (presence, now.plus(keep_ms)));
    }

    fn of(&self, user: UserId, now: Timestamp) -> Presence {
        self.of.get(&user).filter(|(_, until)| *until > now).map(|(presence, _)| *presence).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use volery_kernel::id::Id;

    use super::*;

    #[test]
    fn what_expired_is_not_held_for_ever() {
        let mut held = HeldPresence::default();
        let user = |n: u64| UserId(Id::new(n).expect("an id"));
        for second in 0..100u64 {
            let now = Timestamp(second * 1_000);
            for n in 0..1_000 {
                held.keep(user(second * 1_000 + n), Presence::Online, now, 2_000);
            }
            assert!(held.of.len() <= 6 * 1_000, "{} are held at {second} s", held.of.len());
            assert_eq!(held.of(user(second * 1_000), now), Presence::Online);
        }
    }
}
