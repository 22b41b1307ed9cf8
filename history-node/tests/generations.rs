//! A new log generation behind an old one: archive begins anew, and nothing of the old log is taken for it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use futures::executor::block_on;
use volery_history::archive::{Archive, Step};
use volery_history::reads::Reads;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::history::{Happened, History as _, HistoryError};
use volery_ports::timeline::Timeline as _;
use volery_testkit::timeline::ModelTimeline;

const P: Partition = Partition(0);
const NOW: u64 = volery_kernel::id::EPOCH_MS + 1_000;

fn ids(raw: u64) -> Id {
    Id::first_at(Timestamp(NOW + raw))
}

fn ada() -> UserId {
    UserId(Id::new(1).unwrap())
}

fn ben() -> UserId {
    UserId(Id::new(2).unwrap())
}

/// From Ben to Ada.
fn record(offset: Offset, raw: u64) -> Record {
    let session = SessionNumber(ids(0));
    let send = Send {
        id: ids(raw),
        sender: ben(),
        recipient: Recipient::User(ada()),
        key: SendKey { device: DeviceId(Id::new(7).unwrap()), session, number: raw as u32 },
        session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text(raw.to_string()), reply_to: None },
    };
    Record { offset, stamp: Timestamp(NOW + raw), event: Event::Send(send) }
}

/// Archives records of a log of this generation, as its shell does; where that began.
fn archive(timeline: &ModelTimeline, generation: u16, records: Vec<Record>) -> Offset {
    let committed = block_on(timeline.committed(P)).unwrap();
    let mut archive = Archive::new(generation, Partitions::new(1).unwrap(), committed);
    let began = archive.next_offset();
    archive.read(records);
    loop {
        match archive.next(&|_| None) {
            Step::Write(rows, _) => {
                block_on(timeline.apply(P, rows, None)).unwrap();
                archive.wrote();
            }
            Step::Apply(writes, commit) => {
                block_on(timeline.apply(P, writes, commit)).unwrap();
                archive.applied();
            }
            _ => break,
        }
    }
    began
}

fn reads(timeline: &Arc<ModelTimeline>, generation: u16) -> Reads {
    Reads::new(timeline.clone(), Partitions::new(1).unwrap(), generation)
}

fn stretch(reads: &Reads, from: Offset) -> Result<(Vec<(Offset, Id)>, Offset), HistoryError> {
    let stretch = block_on(reads.stretch(ada(), P, from, 100))?;
    let message = |happened| match happened {
        Happened::Message(_, view) => view.id,
        other => panic!("only messages were sent: {other:?}"),
    };
    Ok((stretch.events.into_iter().map(|(offset, it)| (offset, message(it))).collect(), stretch.complete_below))
}

#[test]
fn a_new_log_is_archived_from_its_beginning_and_keeps_what_the_old_one_left() {
    let timeline = Arc::new(ModelTimeline::default());
    assert_eq!(archive(&timeline, 1, (0..10).map(|n| record(n, n)).collect()), 0);
    assert_eq!(archive(&timeline, 1, Vec::new()), 10, "it goes on where it was");

    let before = reads(&timeline, 2);
    assert_eq!(block_on(before.archived(P)), Ok(None), "devices begin at the new log's beginning");
    assert_eq!(stretch(&before, 0), Ok((Vec::new(), 0)), "and are not told of the old log's offsets");

    assert_eq!(archive(&timeline, 2, (0..3).map(|n| record(n, 20 + n)).collect()), 0);
    let after = reads(&timeline, 2);
    let position = Position { partition: P, source: Source::new(2, 2), id: ids(22) };
    assert_eq!(block_on(after.archived(P)), Ok(Some(position)));
    let new: Vec<_> = (0..3).map(|n| (n, ids(20 + n))).collect();
    assert_eq!(stretch(&after, 0), Ok((new, 3)), "the index of the old log is not mixed in");
    let chat = ChatId::direct(ada(), ben());
    let page = block_on(after.page(ada(), chat, volery_ports::history::Anchor::Newest, 50)).unwrap();
    let shown: Vec<_> = page.messages.iter().map(|message| message.id).collect();
    assert_eq!(shown, (0..10).chain(20..23).map(ids).collect::<Vec<_>>());
}
