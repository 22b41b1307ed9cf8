//! What can only be seen from inside: stored bytes, damaged rows, and space that comes back.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen};
use volery_kernel::id::{DeviceId, SessionNumber};
use volery_kernel::position::Source;
use volery_ports::timeline::{Change, ChangeKind, Message};

use super::*;

const P: Partition = Partition(2);
const DAY_MS: u64 = 86_400_000;

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

fn direct() -> ChatId {
    ChatId::direct(user(1), user(2))
}

fn key() -> SendKey {
    SendKey { device: DeviceId(id(3)), session: SessionNumber(id(4)), number: 5 }
}

fn message() -> Message {
    let body = Body { kind: 1, bytes: Bytes::from_static(b"hi") };
    Message { id: id(9), sender: user(1), key: key(), source: Source(7), body, reply_to: Some(id(6)) }
}

fn seen(source: u64, raw: u64) -> Seen {
    Seen { source: Source(source), id: id(raw) }
}

fn commit(offset: Offset, day: u64) -> Commit {
    Commit { source: Source::new(1, offset), id: id(offset), stamp: Timestamp(day * DAY_MS) }
}

fn entry(offset: Offset) -> Write {
    let entry = Entry::Message { chat: direct(), id: id(offset) };
    Write::Index { recipient: Recipient::User(user(1)), offset, entry }
}

fn row() -> ChatRow {
    ChatRow { newest: id(9), read: seen(1, 2), resolved_late: vec![seen(3, 4)], ..ChatRow::default() }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn stored_bytes_are_pinned() {
    let (chat, nine) = ("0100000000000000010000000000000002", "fffffffffffffff6");
    assert_eq!(hex(layout::message(direct(), id(9), Source(7))), format!("01{chat}{nine}000000000000000007"));
    assert_eq!(hex(layout::change(direct(), id(9), 3, user(1))), format!("01{chat}{nine}030000000000000001"));
    let sent = "0200000000000000030000000000000004000000050000000000000009ffffffffffffffff";
    assert_eq!(hex(layout::sent(key(), id(9), None)), sent);
    assert_eq!(hex(layout::index(Recipient::User(user(1)), P, 8)), "0301000000000000000100020000000000000008");
    assert_eq!(hex(layout::chat(user(1), direct())), format!("040000000000000001{chat}"));
    assert_eq!(hex(layout::day(P, 20_000)), "07000200004e20");
    let sender_and_key = "0000000000000001000000000000000300000000000000040000000500000001";
    assert_eq!(hex(value::encode_message(&message())), format!("01{sender_and_key}0100000000000000066869"));
    let late = "00000000000000030000000000000004";
    let read = "00000000000000010000000000000002";
    assert_eq!(hex(registers::encode(&row())), format!("010200000000000000090000000000000000{read}{late}"));
    assert_eq!(hex(value::encode_commit(commit(1, 0))), "01000100000000000100000000000000010000000000000000");
}

#[test]
fn ranges_end_after_their_prefix() {
    assert_eq!(hex(layout::days(Partition(0x01ff)).after()), "0702");
    assert_eq!(hex(layout::days(Partition(u16::MAX)).after()), "08");
    assert_eq!(hex(layout::days(P).after()), "070003");
}

#[test]
fn damaged_values_are_refused_and_never_panic() {
    let mut rng = StdRng::seed_from_u64(1);
    let change = Change { id: id(1), actor: user(1), what: ChangeKind::React("+".to_owned()) };
    let answer = Answer { id: id(1), sender: user(1), key: key(), outcome: Outcome::Refused };
    let mark = Entry::Mark { reader: user(1), chat: direct(), kind: MarkKind::Read, seen: seen(1, 2) };
    let values = [
        value::encode_message(&message()),
        value::encode_change(&change),
        value::encode_entry(&Entry::Answer(answer)),
        value::encode_entry(&mark),
        value::encode_commit(commit(1, 1)),
        value::encode_aside("reason", b"bytes"),
        registers::encode(&row()),
    ];
    for _ in 0..20_000 {
        let mut value = values[rng.random_range(0..values.len())].clone();
        value.truncate(rng.random_range(0..=value.len()));
        if let Some(at) = value.len().checked_sub(1).map(|last| rng.random_range(0..=last)) {
            value[at] = rng.random();
        }
        let _ = value::decode_message(id(1), Source(1), &value);
        let _ = value::decode_change(rng.random_range(0..5), user(1), &value);
        let _ = value::decode_entry(&value);
        let _ = value::decode_commit(&value);
        let _ = value::decode_aside(&value);
        let _ = registers::decode(&value);
    }
    assert!(registers::decode(&[1, 0]).is_err());
    assert!(value::decode_commit(&[2; 25]).is_err(), "of a later version");
    assert!(value::decode_commit(&[1; 26]).is_err(), "too long");
}

#[tokio::test]
async fn a_damaged_row_makes_its_reads_unavailable_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
    let newest = |chat| Write::Newest { user: user(1), chat, id: id(9), incoming: None };
    let other = ChatId::direct(user(1), user(3));
    timeline.apply(P, vec![newest(direct()), newest(other)], Some(commit(1, 0))).await.unwrap();
    timeline.0.with_store(|store| Ok(store.rows().insert(layout::chat(user(1), direct()), [9, 9])?)).unwrap();
    let Err(Unavailable(said)) = timeline.chat(user(1), direct()).await else { panic!("it was read") };
    assert!(said.contains("damaged or of a later version"), "{said}");
    assert!(timeline.chats(user(1)).await.is_err());
    assert_eq!(timeline.chat(user(1), other).await.map(|row| row.newest), Ok(id(9)));
    assert_eq!(timeline.committed(P).await, Ok(Some(commit(1, 0))));
}

#[tokio::test]
async fn what_meets_damage_is_refused_for_good_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
    for row in [layout::sent(key(), id(1), None), layout::chat(user(1), direct())] {
        timeline.0.with_store(|store| Ok(store.rows().insert(row, [9, 9])?)).unwrap();
    }
    assert!(matches!(timeline.sent(key()).await, Err(Refused::Unfit(_))));
    assert_eq!(timeline.sent(SendKey { number: 6, ..key() }).await, Ok(None));
    let newest = Write::Newest { user: user(1), chat: direct(), id: id(9), incoming: None };
    let refused = timeline.apply(P, vec![entry(1), newest], Some(commit(1, 0))).await;
    assert!(matches!(refused, Err(Refused::Unfit(_))), "{refused:?}");
    assert_eq!(timeline.committed(P).await, Ok(None));
    timeline.apply(P, vec![entry(1)], Some(commit(1, 0))).await.unwrap();
    assert_eq!(timeline.committed(P).await, Ok(Some(commit(1, 0))));
}

#[tokio::test]
async fn compaction_drops_what_the_index_forgot_also_after_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let mut timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
    for day in 0..4 {
        let offsets = day * 10..day * 10 + 10;
        timeline.apply(P, offsets.map(entry).collect(), Some(commit(day * 10 + 9, day))).await.unwrap();
    }
    for (before, left) in [(1, 30), (3, 10)] {
        timeline.expire_index(P, Timestamp(before * DAY_MS)).await.unwrap();
        drop(timeline);
        timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
        assert_eq!(stored_index_rows(&timeline), left);
        let kept = timeline.index(Recipient::User(user(1)), P, 0, u64::MAX, 100).await.unwrap();
        assert_eq!(kept.len(), left);
        assert_eq!(timeline.index_start(P).await, Ok(Some(before * 10)));
    }
}

/// Index rows that are on disk, once everything was flushed and compacted.
fn stored_index_rows(timeline: &EmbeddedTimeline) -> usize {
    let count = |store: &Store| {
        store.rows().rotate_memtable_and_wait()?;
        store.rows().major_compact()?;
        let keys = store.rows().iter().map(|row| row.key()).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.iter().filter(|key| layout::index_place(key).is_some()).count())
    };
    timeline.0.with_store(count).unwrap()
}
