//! How a node fetches what lies before its tail: out of the log if that is near, else out of the index.

use futures::executor::block_on;
use volery_kernel::id::UserId;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_ports::history::{History as _, HistoryError};

use crate::network::ConnId;
use crate::node::Answered;
use crate::plan::Mutation;
use crate::world::World;

/// Events of one read of the index.
const STRETCH: usize = 5;

impl World {
    pub(crate) fn fetch(
        &mut self,
        id: ConnId,
        at: (usize, Partition, UserId),
        from: Offset,
        position: Option<Position>,
    ) {
        let (node, partition, user) = at;
        if position.is_some_and(|position| !self.log_agrees(partition, position)) {
            return self.ask(id, Answered::FetchRefused);
        }
        if self.extend_tail(node, partition, from) {
            self.story.count("tail extended backwards");
            return self.ask(id, Answered::Fetched);
        }
        let answered = match block_on(self.reads.stretch(user, partition, from, STRETCH)) {
            Ok(mut stretch) if stretch.complete_below > from => {
                self.story.count("index sync");
                if self.nodes[node].tail_start(partition) <= stretch.complete_below {
                    self.story.count("index joined to tail");
                }
                if self.mutated(Mutation::JoinOneLate) {
                    stretch.complete_below += 1;
                }
                Answered::Stretch(stretch)
            }
            Err(HistoryError::TooOld) => Answered::FetchRefused,
            Ok(_) | Err(_) => Answered::FetchFailed,
        };
        self.ask(id, answered);
    }

    fn log_agrees(&self, partition: Partition, position: Position) -> bool {
        let record = self.log.read(partition, position.source.offset(), 1);
        record.first().is_some_and(|record| record.event.id() == position.id)
    }

    fn extend_tail(&mut self, node: usize, partition: Partition, from: Offset) -> bool {
        let start = self.nodes[node].tail_start(partition);
        if start <= from {
            return true;
        }
        if start - from > self.plan.extend_most {
            return false;
        }
        let warm_up = self.log.before(partition, from);
        let (count, wanted) = (warm_up.len(), (start - from) as usize);
        let older: Vec<_> = warm_up.iter().chain(self.log.read(partition, from, wanted)).cloned().collect();
        let (mutation, oracle) = (self.plan.mutation, &self.oracle);
        let older = older.into_iter().map(|record| oracle.as_read(mutation, partition, record)).collect();
        self.nodes[node].extend_tail(partition, older, count)
    }
}
