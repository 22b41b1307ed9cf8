//! The tail against the plainest model there is: a list of everything that was ever written.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use proptest::prelude::*;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_messaging::core::tail::Tail;

const GENERATION: u16 = 1;

fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

/// A send from a device of its own, so that no rule drops it.
fn record(offset: u64, to: u64, bytes: usize) -> Record {
    let at = Timestamp(EPOCH_MS + offset);
    let session = SessionNumber(Id::first_at(at));
    let send = Send {
        id: Id::first_at(at).next(),
        sender: user(100),
        recipient: Recipient::User(user(to)),
        key: SendKey { device: DeviceId::new(offset + 1).unwrap(), session, number: 1 },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("x".repeat(bytes)), reply_to: None },
    };
    Record { offset, stamp: at, event: Event::Send(send) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// From any cursor that the tail may serve, walking it finds exactly the user's records from there
    /// on, in order; and every position that it gives names the record before the cursor.
    #[test]
    fn a_walk_finds_everything_from_its_cursor_on(
        records in prop::collection::vec((1u64..5, 0usize..3_000), 1..120),
        budget in 1_000usize..200_000,
        start in 0usize..60,
        extend_to in 0usize..60,
    ) {
        let records: Vec<_> = records.into_iter().enumerate().map(|(offset, (to, bytes))| record(offset as u64, to, bytes)).collect();
        let start = start.min(records.len());
        let mut tail = Tail::new(Partition(3), GENERATION, 0, budget);
        tail.begin(start as u64, &records[..start]);
        for record in &records[start..] {
            prop_assert_eq!(tail.push(record.clone()), Some(record.event.stream()));
        }
        let from = extend_to.min(usize::try_from(tail.start()).unwrap());
        let older = records[from..usize::try_from(tail.start()).unwrap()].to_vec();
        if !older.is_empty() {
            prop_assert!(tail.extend(older, 0));
            prop_assert_eq!(tail.start(), from as u64);
        }
        prop_assert_eq!(tail.head(), records.len() as u64);
        for cursor in tail.start()..=tail.head() {
            for to in 1..5 {
                let found: Vec<_> =
                    tail.entries_of(Recipient::User(user(to)), cursor).map(|entry| entry.offset()).collect();
                let wanted = records.iter().filter(|record| record.offset >= cursor && record.event.stream() == Recipient::User(user(to)));
                prop_assert_eq!(found, wanted.map(|record| record.offset).collect::<Vec<_>>());
            }
            let before = cursor.checked_sub(1).map(|offset| records[usize::try_from(offset).unwrap()].event.id());
            let position = tail.position_before(cursor);
            // The record before an extended tail is not known: whoever asks reads the log.
            if cursor > tail.start() || position.is_some() {
                prop_assert_eq!(position.map(|position| position.id), Some(before.unwrap_or(Id::ZERO)));
            }
        }
    }

    /// What is pushed never takes the tail above its budget, but for the newest record alone.
    #[test]
    fn the_budget_holds(records in prop::collection::vec((1u64..5, 0usize..3_000), 1..200), budget in 1_000usize..50_000) {
        let mut tail = Tail::new(Partition(0), GENERATION, 0, budget);
        for (offset, (to, bytes)) in records.into_iter().enumerate() {
            tail.push(record(offset as u64, to, bytes));
            prop_assert!(tail.bytes() <= budget || tail.start() + 1 == tail.head());
        }
    }
}

/// Of a partition that was quiet for long nothing is left to read back.
#[test]
fn a_tail_begins_at_the_logs_end_even_where_nothing_lies_before_it() {
    let mut tail = Tail::new(Partition(3), GENERATION, 0, 10_000);
    tail.begin(500, &[]);
    assert_eq!((tail.start(), tail.head(), tail.position_before(500)), (500, 500, None));
    let next = record(500, 1, 10);
    assert_eq!(tail.push(next.clone()), Some(next.event.stream()));
    assert_eq!(tail.id_at(500), Some(next.event.id()));
}
