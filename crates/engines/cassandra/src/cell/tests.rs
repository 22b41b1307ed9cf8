use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volery_kernel::id::GroupId;

fn raw(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn a_message(source: u64, reply_to: Option<Id>) -> Message {
    let key = SendKey { device: DeviceId(raw(7)), session: SessionNumber(raw(70)), number: u32::MAX };
    let body = Body { kind: 2, bytes: Bytes::from_static(b"text") };
    Message { id: raw(5), sender: UserId(raw(1)), key, source: Source(source), body, reply_to }
}

fn a_change(id: u64, what: ChangeKind) -> Change {
    Change { id: raw(id), actor: UserId(raw(3)), what }
}

fn entries() -> Vec<Entry> {
    let chat = ChatId::Group(GroupId(raw(9)));
    let key = a_message(1, None).key;
    let answer = |outcome| Entry::Answer(Answer { id: raw(3), sender: UserId(raw(1)), key, outcome });
    let seen = Seen { source: Source(u64::MAX), id: Id::MAX };
    let mark = |kind| Entry::Mark { reader: UserId(raw(2)), chat, kind, seen };
    vec![
        Entry::Message { chat, id: raw(1) },
        Entry::Change { chat, target: raw(1), change: raw(2) },
        answer(Outcome::Accepted { id: raw(1), source: Source(9) }),
        answer(Outcome::KeyReused),
        answer(Outcome::Refused),
        mark(MarkKind::Delivered),
        mark(MarkKind::Read),
    ]
}

#[test]
fn cells_come_back() {
    for written in [a_message(0, None), a_message(u64::MAX, Some(raw(4)))] {
        assert_eq!(message(raw(5), of_message(&written).into()), Ok(written));
    }
    let kinds = [ChangeKind::Edit(Body::text("a")), ChangeKind::Delete, ChangeKind::React(String::new())];
    for written in kinds.map(|kind| a_change(6, kind)) {
        assert_eq!(change(&of_change_key(&written), &of_change(&written)), Ok(written));
    }
    for written in entries() {
        assert_eq!(entry(&of_entry(&written)), Ok(written));
    }
    for source in [None, Some(Source(0)), Some(Source(u64::MAX))] {
        let written = Sent { id: raw(8), source, fingerprint: u64::MAX };
        assert_eq!(sent(&of_first(written), &of_first_source(source)), Ok(written));
    }
    let written = Seen { source: Source(u64::MAX), id: Id::MAX };
    assert_eq!(seen(&of_seen(written)), Ok(written));
    let expected = Commit { source: written.source, id: written.id, stamp: Timestamp(7) };
    assert_eq!(commit(&of_seen(written), &of_number(7)), Ok(expected));
}

/// Cassandra keeps the larger bytes.
#[test]
fn what_must_stay_is_the_larger_cell() {
    let numbers = [0, 1, 255, 256, 1 << 48, (1 << 48) + 7, 1 << 62];
    for (smaller, larger) in numbers.iter().zip(&numbers[1..]) {
        assert!(of_number(*smaller) < of_number(*larger));
        assert!(of_message(&a_message(*smaller, None)) > of_message(&a_message(*larger, Some(Id::MAX))));
        let edit = |id| of_change(&a_change(id, ChangeKind::Edit(Body::text(format!("{}", !id)))));
        assert!(edit(*smaller) < edit(*larger));
        let first = |id, fingerprint| of_first(Sent { id: raw(id), source: None, fingerprint });
        assert!(first(*smaller, 0) > first(*larger, u64::MAX));
        let source = |source| of_first_source(Some(Source(source)));
        assert!(source(*smaller) > source(*larger) && source(*larger) > of_first_source(None));
        let seen = |source, id| of_seen(Seen { source: Source(source), id });
        assert!(seen(*smaller, Id::MAX) < seen(*larger, Id::ZERO));
    }
    assert!(of_number(u64::MAX >> 1) < of_number(u64::MAX), "as numbers without a sign");
}

#[test]
fn bytes_are_pinned() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text =
        "fffffffffffffffe01000000000000000100000000000000070000000000000046ffffffff00000002000000000000000474657874";
    let with_reply = text.replace("00000002000000", "0000000201000000");
    assert_eq!(hex(&of_message(&a_message(1, Some(raw(4))))), with_reply);
    let react = a_change(6, ChangeKind::React("+".to_owned()));
    assert_eq!(
        (hex(&of_change_key(&react)), hex(&of_change(&react))),
        ("030000000000000003".into(), "0000000000000006012b".into())
    );
    assert_eq!(hex(&of_entry(&entries()[1])), "0102020000000000000009000000000000000000000000000000010000000000000002");
}

#[test]
fn damaged_cells_are_refused_and_never_panic() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut cells: Vec<Vec<u8>> = entries().iter().map(of_entry).collect();
    cells.extend([of_message(&a_message(1, None)), of_change(&a_change(1, ChangeKind::Delete)), of_number(7)]);
    for _ in 0..20_000 {
        let mut cell = cells[rng.random_range(0..cells.len())].clone();
        cell.truncate(rng.random_range(0..=cell.len()));
        if let Some(at) = cell.len().checked_sub(1).map(|last| rng.random_range(0..=last)) {
            cell[at] = rng.random();
        }
        let whole = cell.clone().into();
        let _ = (message(raw(1), whole), entry(&cell), sent(&cell, &cell), commit(&cell, &cell), chat(&cell));
        let _ = change(&[rng.random_range(0..5), 0, 0, 0, 0, 0, 0, 0, 1], &cell);
    }
    assert_eq!(seen(&[0; 17]), Err(Corrupt("too long")));
    let mut later = of_message(&a_message(1, None));
    later[8] += 1;
    assert_eq!(message(raw(5), later.into()), Err(Corrupt("unknown version")));
}
