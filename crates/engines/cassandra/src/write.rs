//! The writing side: rows as statements, and those of one CQL partition together in one request.
//!
//! What an apply writes lies close together: a chat's messages, a device's send keys, a user's index and chats. A batch
//! of one partition is one mutation: one request, one entry of the commit log, nothing that is logged or coordinated
//! beside it. Each row keeps its own time stamp, so what is said in lib.rs holds of each.
//!
//! Trap avoided: a batch over several partitions is sent to a node that holds one of them, which asks the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt, stream};
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::Seen;
use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partition;

use crate::cell;
use crate::layout::{signed, time_of, time_of_day, window_of};
use crate::plan::{Mark, Row, View};
use crate::statement::{Cluster, Fault};

/// Rows of one request: far below what a node takes of one mutation, 64 of the longest texts are half a MiB.
const TOGETHER_MOST: usize = 64;

/// The values of a statement.
type Values = Box<dyn SerializeRow + Send + Sync>;

/// A CQL partition, as far as several rows of an apply may lie in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Messages(ChatId, i32),
    Sends(Id, Id),
    Inbox(Recipient),
    Chats(UserId),
}

fn place(row: &Row) -> Option<Place> {
    Some(match row {
        Row::Message(chat, message) => Place::Messages(*chat, window_of(message.id)),
        Row::Change(chat, target, _) => Place::Messages(*chat, window_of(*target)),
        Row::Sent(key, _) => Place::Sends(key.device.0, key.session.0),
        Row::Index(recipient, ..) => Place::Inbox(*recipient),
        Row::View(user, ..) => Place::Chats(*user),
        Row::Aside(..) | Row::Window(..) | Row::Day(_) | Row::Commit(_) => return None,
    })
}

/// Rows by request.
fn together(rows: impl Iterator<Item = Row>) -> Vec<Vec<Row>> {
    let (mut requests, mut open) = (Vec::<Vec<Row>>::new(), HashMap::<Place, usize>::new());
    for row in rows {
        let place = place(&row);
        let at = place.and_then(|place| open.get(&place).copied()).unwrap_or(usize::MAX);
        match requests.get_mut(at).filter(|held| held.len() < TOGETHER_MOST) {
            Some(held) => held.push(row),
            None => {
                open.extend(place.map(|place| (place, requests.len())));
                requests.push(vec![row]);
            }
        }
    }
    requests
}

impl Cluster {
    /// Writes rows in any order, at most so many requests at once, and fails with the first that fails.
    pub(crate) async fn put_all(
        &self,
        partition: Partition,
        day: i32,
        rows: impl Iterator<Item = Row> + Send,
    ) -> Result<(), Fault> {
        let puts = stream::iter(together(rows)).map(|rows| self.put_together(partition, day, rows));
        puts.buffer_unordered(self.in_flight).try_collect().await
    }

    /// Rows of one CQL partition.
    async fn put_together(&self, partition: Partition, day: i32, mut rows: Vec<Row>) -> Result<(), Fault> {
        if rows.len() == 1
            && let Some(row) = rows.pop()
        {
            return self.put(partition, day, row).await;
        }
        let (mut batch, mut values) = (Batch::new(BatchType::Unlogged), Vec::with_capacity(rows.len()));
        batch.set_is_idempotent(true);
        for row in rows {
            let (statement, bound) = self.bind(partition, day, row);
            batch.append_statement(statement.clone());
            values.push(bound);
        }
        self.session.batch(&batch, values).await?;
        Ok(())
    }

    /// Writes one row of an apply of this partition and day.
    pub(crate) async fn put(&self, partition: Partition, day: i32, row: Row) -> Result<(), Fault> {
        let (statement, values) = self.bind(partition, day, row);
        self.session.execute_unpaged(statement, values).await?;
        Ok(())
    }

    /// The statement of a row, counted.
    fn bind(&self, partition: Partition, day: i32, row: Row) -> (&PreparedStatement, Values) {
        self.written.fetch_add(1, Ordering::Relaxed);
        let (to, part) = (&self.statements, i32::from(partition.0));
        match row {
            Row::Message(chat, message) => {
                let (id, cell) = (message.id, cell::of_message(&message));
                (&to.put_message, Box::new((time_of(id), cell, chat.to_key(), window_of(id), signed(id.get()))))
            }
            Row::Change(chat, target, change) => {
                let (key, cell) = (cell::of_change_key(&change), cell::of_change(&change));
                let place = (chat.to_key(), window_of(target), signed(target.get()));
                (&to.put_change, Box::new((time_of(change.id), key, cell, place.0, place.1, place.2)))
            }
            Row::Sent(key, sent) => {
                let (first, source) = (cell::of_first(sent), cell::of_first_source(sent.source));
                let (device, session) = (signed(key.device.get()), signed(key.session.get()));
                (&to.put_sent, Box::new((first, source, device, session, i64::from(key.number))))
            }
            Row::Index(recipient, offset, entry) => {
                let (time, cell) = (time_of_day(day), cell::of_entry(&entry));
                (&to.put_index, Box::new((time, cell, recipient.to_key(), part, day, signed(offset))))
            }
            Row::View(user, chat, view) => {
                self.chat_rows.fetch_add(1, Ordering::Relaxed);
                (&to.put_view, of_view(user, chat, *view))
            }
            Row::Aside(offset, reason, bytes) => (&to.put_aside, Box::new((reason, bytes, part, signed(offset)))),
            Row::Window(chat, window) => (&to.put_window, Box::new((chat.to_key(), window))),
            Row::Day(first) => (&to.put_day, Box::new((part, day, signed(first)))),
            Row::Commit(commit) => {
                let place = cell::of_seen(Seen { source: commit.source, id: commit.id });
                (&to.put_commit, Box::new((place, cell::of_number(commit.stamp.0), part)))
            }
        }
    }
}

fn of_view(user: UserId, chat: ChatId, view: View) -> Values {
    let mark = |mark: Mark| set(mark.map(|(source, id)| cell::of_seen(Seen { source, id })));
    let late = view.late.into_iter().map(|(source, id)| (cell::of_number(source.0), cell::of_number(id.get())));
    let late: BTreeMap<_, _> = late.collect();
    Box::new((
        set(view.newest.map(|id| cell::of_number(id.get()))),
        set(view.incoming.map(|source| cell::of_number(source.0))),
        mark(view.delivered),
        mark(view.read),
        mark(view.peer_delivered),
        mark(view.peer_read),
        set((!late.is_empty()).then_some(late)),
        signed(user.get()),
        chat.to_key(),
    ))
}

fn set<T>(value: Option<T>) -> MaybeUnset<T> {
    value.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}

#[cfg(test)]
mod tests {
    use volery_kernel::event::SendKey;
    use volery_kernel::id::{DeviceId, SessionNumber};
    use volery_ports::timeline::Sent;

    use super::*;

    fn sent(device: u64, number: u32) -> Row {
        let id = |raw| Id::new(raw).unwrap();
        let key = SendKey { device: DeviceId(id(device)), session: SessionNumber(id(1)), number };
        Row::Sent(key, Sent { id: id(1), source: None, fingerprint: 0 })
    }

    #[test]
    fn rows_of_one_partition_travel_together_and_no_others() {
        let rows = [sent(1, 1), Row::Day(1), sent(2, 1), sent(1, 2), Row::Day(2), sent(2, 2)];
        let requests = together(rows.into_iter());
        let together =
            [vec![sent(1, 1), sent(1, 2)], vec![Row::Day(1)], vec![sent(2, 1), sent(2, 2)], vec![Row::Day(2)]];
        assert_eq!(requests, together);
    }

    #[test]
    fn a_request_is_bounded() {
        let requests = together((0..150).map(|number| sent(1, number)));
        assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 22]);
    }
}
