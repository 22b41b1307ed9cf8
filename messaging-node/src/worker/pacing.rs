//! How fast the sessions of a thread may send, as it changes while they are open.
//!
//! A session goes by its thread's rate on each of its turns. Trap avoided: one that waits under a slow rate would
//! take its next turn only when that wait is over; so a change gives everybody a turn.

use actix::{Context, StreamHandler};

use super::Worker;
use crate::core::pace::Rate;

impl StreamHandler<Rate> for Worker {
    fn handle(&mut self, rate: Rate, _: &mut Context<Self>) {
        self.thread.rate.set(rate);
        self.signals().for_each(|signal| signal.poll_again());
    }

    /// The thread goes on with the last rate.
    fn finished(&mut self, _: &mut Context<Self>) {}
}
