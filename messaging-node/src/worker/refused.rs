//! A thread whose node is refused by its cluster, because its name or its address is another's, or its log: it takes
//! nobody in, and sends its sessions away, spread over time as those of a lost partition. All of it ends when the
//! cluster takes the node again.
//!
//! Trap avoided: those who were sent away are served elsewhere by then; it says nothing of them, now or later.

use std::time::Duration;

use actix::{AsyncContext as _, Context, StreamHandler};

use super::Worker;
use crate::core::parting::{STEP_MS, told_now};

/// Whether the cluster refuses the node.
pub(super) struct Refused(pub(super) bool);

impl StreamHandler<Refused> for Worker {
    fn handle(&mut self, Refused(refused): Refused, ctx: &mut Context<Self>) {
        match (refused, self.refused) {
            (true, None) => {
                self.refused = Some(self.thread.shared.clock.now());
                self.send_away(ctx);
            }
            (false, Some(_)) => {
                self.refused = None;
                self.slots.values().for_each(|slot| slot.owned.present.borrow_mut().forget());
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The thread goes on with the last word.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Worker {
    /// One step, and the next one after it, while somebody is here.
    fn send_away(&mut self, ctx: &mut Context<Self>) {
        let Some(since) = self.refused else { return };
        let waiting: Vec<_> = self.signals().filter(|session| !session.is_stopping()).collect();
        let told = told_now(waiting.len(), self.thread.shared.clock.now().since(since));
        waiting.iter().take(told).for_each(|session| session.stop());
        if waiting.len() > told {
            ctx.run_later(Duration::from_millis(STEP_MS), |worker, ctx| worker.send_away(ctx));
        }
    }
}
