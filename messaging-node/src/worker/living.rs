//! Typing and presence of a thread's sessions: what it says of its own users, what it hears of others.
//!
//! The owner of a user speaks for the user. Trap avoided: a session that ends because its user's partition moved
//! says nothing of the user, who is on the new owner by then; nor does one that ends with its node. If nobody
//! speaks for them, what was said expires.

use std::rc::Rc;

use actix::{AsyncContext as _, Context, StreamHandler, WrapFuture as _};
use futures::Stream;
use tokio::sync::mpsc;
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;
use volery_ports::bus::{News, Presence, Said, Topic};

use super::{Thread, Worker};
use crate::partition::{Owned, Signal};

/// News that a thread has not handled yet, at most.
pub(super) const HEARD_MOST: usize = 8_192;
/// Users of one message on the bus, or of one question.
const USERS_MOST: usize = 1_000;
/// Seconds after which everything is said and read again.
const RENEWED_EVERY: u64 = limits::ONLINE_RENEWED_MS.value / 1_000;
/// Seconds after which other nodes, too, have said anew what holds.
const OTHERS_RENEW_WITHIN: u64 = 5;

/// What an ear hears.
pub(super) fn news(mut heard: mpsc::Receiver<News>) -> impl Stream<Item = News> {
    futures::stream::poll_fn(move |task| heard.poll_recv(task))
}

impl Thread {
    /// A session is here.
    pub(crate) fn came(&self, owned: &Owned, user: UserId) {
        if owned.present.borrow_mut().came(user) {
            self.say_presence(user, Presence::Online);
        }
    }

    fn say_presence(&self, user: UserId, presence: Presence) {
        let keep_ms = match presence {
            Presence::Online => limits::ONLINE_KEPT_MS.value,
            Presence::Seen(_) | Presence::Unknown => limits::LAST_SEEN_KEPT_MS.value,
        };
        self.shared.voice.say(Said::Changed { user, presence, keep_ms });
    }

    /// One of the thread's users types to somebody anywhere.
    pub(crate) fn typing(&self, from: UserId, to: UserId) {
        let partition = self.shared.partitions.of(Recipient::User(to));
        self.shared.voice.say(Said::Typing { partition, to, from });
    }

    /// A session watches these, and those no more. Answers with those of them of whom nothing is known yet.
    pub(crate) fn watch(&self, signal: &Rc<Signal>, added: &[UserId], left: &[UserId]) -> Vec<UserId> {
        let mut watching = self.watching.borrow_mut();
        self.ear.follow(&topics(watching.watch(signal, added)));
        self.ear.leave(&topics(watching.leave(signal, left)));
        watching.unread(added)
    }

    /// What is known of somebody who is watched here.
    pub(crate) fn presence(&self, user: UserId) -> Presence {
        self.watching.borrow().presence(user)
    }

    pub(crate) fn learn(&self, user: UserId, presence: Presence) {
        self.watching.borrow_mut().learn(user, presence).iter().for_each(|signal| signal.tell_presence());
    }

    /// Reads what holds of these; of all of them nothing, if that cannot be read.
    pub(crate) async fn read_presence(&self, users: Vec<UserId>) {
        for users in users.chunks(USERS_MOST) {
            let read = self.shared.bus.presence(users).await.unwrap_or_default();
            let read = read.into_iter().chain(std::iter::repeat(Presence::Unknown));
            users.iter().zip(read).for_each(|(user, presence)| self.learn(*user, presence));
        }
    }

    fn renew(&self, owned: &Owned) {
        for users in owned.users().chunks(USERS_MOST) {
            let keep_ms = limits::ONLINE_KEPT_MS.value;
            self.shared.voice.say(Said::Renewed { users: users.to_vec(), keep_ms });
        }
    }
}

fn topics(users: Vec<UserId>) -> Vec<Topic> {
    users.into_iter().map(Topic::Presence).collect()
}

impl StreamHandler<News> for Worker {
    fn handle(&mut self, news: News, ctx: &mut Self::Context) {
        self.thread.shared.metrics.bus_heard.inc();
        match news {
            News::Typing { to, from } => {
                let partition = self.thread.shared.partitions.of(Recipient::User(to));
                if let Some(slot) = self.slots.get(&partition) {
                    slot.owned.tell_typing(to, from);
                }
            }
            News::Presence { user, presence } => self.thread.learn(user, presence),
            News::Anew => {
                self.ours().for_each(|owned| self.thread.renew(owned));
                self.read_again(ctx);
                self.read_at = self.seconds + OTHERS_RENEW_WITHIN;
            }
        }
    }

    /// Nobody speaks any more.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Worker {
    /// The partitions for whose users this thread speaks.
    fn ours(&self) -> impl Iterator<Item = &Owned> {
        let speaks = !self.stopping && self.refused.is_none();
        self.slots.values().filter(move |slot| speaks && slot.is_ours()).map(|slot| slot.owned.as_ref())
    }

    /// Each second: who has gone for good; in turns, who is still here and who is watched.
    pub(super) fn speak(&mut self, now: Timestamp, ctx: &mut Context<Self>) {
        self.seconds += 1;
        for owned in self.ours() {
            for (user, left) in owned.present.borrow_mut().gone(now) {
                self.thread.say_presence(user, Presence::Seen(left));
            }
            let turn = u64::from(owned.partition().0);
            if (self.seconds + turn).is_multiple_of(RENEWED_EVERY) {
                self.thread.renew(owned);
            }
        }
        if self.seconds.is_multiple_of(RENEWED_EVERY) || self.seconds == self.read_at {
            self.read_again(ctx);
        }
    }

    /// What was not heard in time is learned like this.
    fn read_again(&self, ctx: &mut Context<Self>) {
        let watched = self.thread.watching.borrow().all();
        if !watched.is_empty() {
            let thread = Rc::clone(&self.thread);
            ctx.spawn(async move { thread.read_presence(watched).await }.into_actor(self));
        }
    }
}
