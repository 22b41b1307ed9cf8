//! A reaction in the stream of a message's author, whose message the partition of who reacted has not archived yet.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use futures::executor::block_on;
use volery_history::archive::{Archive, Step};
use volery_history::reads::Reads;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::history::{Happened, History as _};
use volery_ports::timeline::{Change, ChangeKind, Message, Timeline as _, Write};
use volery_testkit::timeline::ModelTimeline;

/// Ada's; Ben's is late.
const HERS: Partition = Partition(0);
const HIS: Partition = Partition(1);

fn at(ms: u64) -> Timestamp {
    Timestamp(EPOCH_MS + 1_000 + ms)
}

fn ids(ms: u64) -> Id {
    Id::first_at(at(ms))
}

fn ada() -> UserId {
    UserId(Id::new(1).unwrap())
}

fn ben() -> UserId {
    UserId(Id::new(2).unwrap())
}

fn chat() -> ChatId {
    ChatId::direct(ada(), ben())
}

fn key(number: u32) -> SendKey {
    SendKey { device: DeviceId(Id::new(7).unwrap()), session: SessionNumber(ids(0)), number }
}

/// Ben's reaction to Ada's message.
fn reaction(offset: Offset, ms: u64, emoji: &str) -> Record {
    let key = key(offset as u32);
    let send = Send {
        id: ids(ms),
        sender: ben(),
        recipient: Recipient::User(ada()),
        key,
        session: key.session,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::React { target: ids(1), emoji: emoji.to_owned() },
    };
    Record { offset, stamp: at(ms), event: Event::Send(send) }
}

/// Archives what is in Ada's partition, as its shell does.
fn archive(timeline: &ModelTimeline, records: Vec<Record>) {
    let committed = block_on(timeline.committed(HERS)).unwrap();
    let mut archive = Archive::new(1, Partitions::new(1).unwrap(), committed);
    archive.read(records);
    loop {
        match archive.next(&|_| None) {
            Step::Write(rows, _) => {
                block_on(timeline.apply(HERS, rows, None)).unwrap();
                archive.wrote();
            }
            Step::Apply(writes, commit) => {
                block_on(timeline.apply(HERS, writes, commit)).unwrap();
                archive.applied();
            }
            _ => break,
        }
    }
}

/// Ada's stream, from an offset.
fn stream(timeline: &Arc<ModelTimeline>, from: Offset) -> Vec<(Offset, Happened)> {
    let reads = Reads::new(timeline.clone(), Partitions::new(1).unwrap(), 1);
    block_on(reads.stretch(ada(), HERS, from, 100)).unwrap().events
}

#[test]
fn a_reaction_is_told_alone_until_its_message_is_archived() {
    let timeline = Arc::new(ModelTimeline::default());
    archive(&timeline, vec![reaction(0, 20, "👍")]);
    let early = |ms, emoji: &str| {
        let change = Change { id: ids(ms), actor: ben(), what: ChangeKind::React(emoji.to_owned()) };
        Happened::Early(chat(), ids(1), change)
    };
    assert_eq!(stream(&timeline, 0), [(0, early(20, "👍"))]);

    archive(&timeline, vec![reaction(1, 30, "🎉")]);
    let replaced = [(0, early(30, "🎉")), (1, early(30, "🎉"))];
    assert_eq!(stream(&timeline, 0), replaced, "what took its place is told in its place");

    let (source, body) = (Source::new(1, 0), Body::text("hello"));
    let message = Message { id: ids(1), sender: ada(), key: key(9), source, body, reply_to: None };
    let row = Write::Message { chat: chat(), message, resolved: false };
    block_on(timeline.apply(HIS, vec![row], None)).unwrap();
    let whole = stream(&timeline, 1);
    assert!(matches!(&whole[..], [(1, Happened::Changed(_, view))] if view.reactions.len() == 1), "{whole:?}");
}
