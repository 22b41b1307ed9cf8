//! How a node fetches what lies before its tail: out of the log if that is near, else out of the index.

use futures::executor::block_on;
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_messaging::core::session::Fetched;
use volery_ports::history::{History as _, HistoryError, Stretch};

use crate::mutation::Mutation;
use crate::network::ConnId;
use crate::oracle::Reader;
use crate::session::Answered;
use crate::story::What;
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
        let fetched = self.fetched(at, from, position);
        self.ask(id, Answered::Fetched(from, fetched));
    }

    fn fetched(&mut self, at: (usize, Partition, UserId), from: Offset, position: Option<Position>) -> Fetched {
        let (node, partition, user) = at;
        if position.is_some_and(|position| !self.log_agrees(partition, position)) {
            return Fetched::Refused;
        }
        if self.mutated(Mutation::GapPassedOver) {
            let complete_below = self.nodes[node].tail_start(partition);
            return Fetched::Stretch(Stretch { events: Vec::new(), complete_below });
        }
        if self.nodes[node].tail(partition).is_some_and(|tail| !tail.missed(Recipient::User(user), from)) {
            self.story.count(What::NothingMissed);
            return Fetched::IntoTail;
        }
        if self.extend_tail(node, partition, from) {
            self.story.count(What::TailExtended);
            return Fetched::IntoTail;
        }
        match block_on(self.reads.stretch(user, partition, from, STRETCH)) {
            Ok(mut stretch) => {
                self.stretch_wrong(partition, &mut stretch);
                if stretch.complete_below > from { self.stretched(node, partition, stretch) } else { Fetched::Failed }
            }
            Err(HistoryError::TooOld) => {
                self.story.count(What::IndexTooOld);
                Fetched::Refused
            }
            Err(_) => Fetched::Failed,
        }
    }

    fn stretched(&mut self, node: usize, partition: Partition, stretch: Stretch) -> Fetched {
        self.story.count(What::IndexSync);
        if self.nodes[node].tail_start(partition) <= stretch.complete_below {
            self.story.count(What::IndexJoined);
        }
        Fetched::Stretch(stretch)
    }

    fn stretch_wrong(&self, partition: Partition, stretch: &mut Stretch) {
        let whole = stretch.events.len() < STRETCH;
        if self.mutated(Mutation::JoinOneLate) {
            stretch.complete_below += 1;
        }
        if self.mutated(Mutation::JoinedByFanout) && whole {
            stretch.complete_below = stretch.complete_below.max(self.log.fanned_out(partition, 0));
        }
    }

    /// What the log no longer has cannot be compared.
    fn log_agrees(&self, partition: Partition, position: Position) -> bool {
        let offset = position.source.offset();
        let record = self.log.read(partition, offset, 1);
        offset < self.log.start(partition) || record.first().is_some_and(|record| record.event.id() == position.id)
    }

    fn extend_tail(&mut self, node: usize, partition: Partition, from: Offset) -> bool {
        let start = self.nodes[node].tail_start(partition);
        if start <= from {
            return true;
        }
        if start - from > self.plan.extend_most || from < self.log.start(partition) {
            return false;
        }
        let warm_up = self.read_back(Reader::Owner, partition, from);
        let count = warm_up.len();
        let wanted = self.records(Reader::Owner, partition, from, (start - from) as usize);
        let older = warm_up.into_iter().chain(wanted).collect();
        let slot = self.nodes[node].slots.get_mut(&partition);
        slot.is_some_and(|slot| slot.tail.extend(older, count))
    }
}
