//! The contract, a sentence at a time.

use std::sync::Arc;

use bytes::Bytes;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Answer, MarkKind, Outcome, Seen};
use volery_kernel::id::{GroupId, Id};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{ChatRow, Entry, Message, Refused, Sent, Span, Stored, Timeline, Unavailable, Write};

use super::Subject;
use super::make::{DAY_MS, change, commit, commit_on, direct, id, key, message, seen, source, stored, user};

const P: Partition = Partition(3);

type Done = Result<(), Unavailable>;

pub(super) async fn all<S: Subject>(fresh: &impl Fn() -> S) -> Done {
    nothing_is_there_at_first(&*fresh().timeline()).await?;
    a_message_stands_once_with_its_smallest_source(&*fresh().timeline()).await?;
    pages_go_both_ways_from_any_id(&*fresh().timeline()).await?;
    a_change_waits_for_its_message(&*fresh().timeline()).await?;
    the_largest_change_wins_per_actor_and_kind(&*fresh().timeline()).await?;
    a_send_key_keeps_its_smallest_id_and_its_smallest_source(&*fresh().timeline()).await?;
    an_index_is_read_by_offset(&*fresh().timeline()).await?;
    an_index_forgets_only_whole_days(&*fresh().timeline()).await?;
    a_view_keeps_maxima(&*fresh().timeline()).await?;
    a_view_remembers_the_newest_hundred_that_were_late(&*fresh().timeline()).await?;
    a_commit_keeps_the_maximum(&*fresh().timeline()).await?;
    a_record_may_be_set_aside_twice(&*fresh().timeline()).await?;
    two_archives_at_once_lose_nothing(fresh().timeline()).await?;
    all_is_there_after_a_reopen(fresh()).await
}

async fn nothing_is_there_at_first(timeline: &dyn Timeline) -> Done {
    let (me, chat) = (user(1), direct(1, 2));
    assert_eq!(timeline.committed(P).await?, None);
    assert_eq!(timeline.sent(key(1)).await?, None);
    assert_eq!(timeline.message(chat, id(1)).await?, Stored::Bare(Vec::new()));
    assert_eq!(timeline.messages(chat, Span::Before(Id::MAX), 10).await?, Vec::new());
    assert_eq!(timeline.chat(me, chat).await?, ChatRow::default());
    assert_eq!(timeline.chats(me).await?, Vec::new());
    assert_eq!(timeline.index(Recipient::User(me), P, 0, u64::MAX, 10).await?, Vec::new());
    assert_eq!(timeline.index_start(P).await?, None);
    timeline.expire_index(P, Timestamp(9 * DAY_MS)).await
}

async fn a_message_stands_once_with_its_smallest_source(timeline: &dyn Timeline) -> Done {
    let chat = direct(1, 2);
    for offset in [8, 5, 9] {
        let resolved = Write::Message { chat, message: message(4, offset), resolved: true };
        timeline.apply(P, vec![resolved.clone(), resolved], None).await?;
    }
    timeline.apply(P, vec![stored(chat, message(5, 6)), stored(chat, message(5, 6))], None).await?;
    let page = timeline.messages(chat, Span::After(Id::ZERO), 10).await?;
    let page: Vec<Message> = page.into_iter().map(|row| row.message).collect();
    assert_eq!(page, [message(4, 5), message(5, 6)], "one row a message, with its smallest source");
    let back = timeline.messages(chat, Span::Before(Id::MAX), 10).await?;
    assert_eq!(back.last().map(|row| row.message.source), Some(source(5)), "in either direction");
    let alone = timeline.message(chat, id(4)).await?.into_row();
    assert_eq!(alone.map(|row| row.message), Some(message(4, 5)), "and alone");
    Ok(())
}

async fn pages_go_both_ways_from_any_id(timeline: &dyn Timeline) -> Done {
    let (chat, others) = (direct(1, 2), [direct(1, 1), direct(1, 3), direct(0, 2)]);
    let writes = (1..=20).map(|raw| stored(chat, message(raw * 10, raw)));
    let around = others.into_iter().map(|other| stored(other, message(105, 99)));
    let edges = [Id::ZERO, Id::MAX].map(|edge| stored(chat, Message { id: edge, ..message(7, 50) }));
    timeline.apply(P, writes.chain(around).chain(edges).collect(), None).await?;
    let ids = async |span, limit| -> Result<Vec<u64>, Unavailable> {
        let page = timeline.messages(chat, span, limit).await?;
        Ok(page.into_iter().map(|row| row.message.id.get()).collect())
    };
    assert_eq!(ids(Span::Before(id(100)), 3).await?, [90, 80, 70]);
    assert_eq!(ids(Span::Before(id(101)), 2).await?, [100, 90]);
    assert_eq!(ids(Span::After(id(100)), 3).await?, [110, 120, 130]);
    assert_eq!(ids(Span::After(id(99)), 1).await?, [100]);
    assert_eq!(ids(Span::Before(id(20)), 9).await?, [10, 0], "the oldest of all is not left out");
    assert_eq!(ids(Span::After(id(190)), 9).await?, [200, Id::MAX.get()], "nor the newest");
    assert_eq!(ids(Span::Before(Id::ZERO), 9).await?, [0; 0]);
    assert_eq!(ids(Span::After(Id::MAX), 9).await?, [0; 0]);
    assert_eq!(ids(Span::Before(Id::MAX), 0).await?, [0; 0]);
    Ok(())
}

async fn a_change_waits_for_its_message(timeline: &dyn Timeline) -> Done {
    let chat = direct(1, 2);
    let target = id(10);
    let write = |raw| Write::Change { chat, target, change: change(raw, 1) };
    timeline.apply(P, vec![write(15), write(12)], None).await?;
    timeline.apply(P, vec![stored(chat, message(11, 2)), stored(chat, message(9, 1))], None).await?;
    let alone = timeline.message(chat, target).await?;
    assert_eq!(alone, Stored::Bare(vec![change(15, 1)]), "read alone it says what waits, the newest of a kind");
    assert_eq!(timeline.messages(chat, Span::Before(Id::MAX), 2).await?.len(), 2, "it takes no place on a page");
    assert_eq!(timeline.messages(chat, Span::After(Id::ZERO), 2).await?.len(), 2);
    timeline.apply(P, vec![stored(chat, message(10, 3))], None).await?;
    let row = timeline.message(chat, target).await?.into_row();
    assert_eq!(row.map(|row| row.changes), Some(vec![change(15, 1)]));
    Ok(())
}

async fn the_largest_change_wins_per_actor_and_kind(timeline: &dyn Timeline) -> Done {
    let (chat, target) = (direct(1, 2), id(10));
    timeline.apply(P, vec![stored(chat, message(10, 1))], None).await?;
    // 12, 15, 18 are edits, 14, 17 reactions, 13 a deletion.
    for pair in [[15, 12], [14, 17], [13, 18]] {
        let writes = pair.map(|raw| Write::Change { chat, target, change: change(raw, 1) });
        timeline.apply(P, writes.into(), None).await?;
    }
    timeline.apply(P, vec![Write::Change { chat, target, change: change(12, 2) }], None).await?;
    let row = timeline.message(chat, target).await?.into_row();
    let mut changes = row.map(|row| row.changes).unwrap_or_default();
    changes.sort_by_key(|change| change.id);
    assert_eq!(changes, [change(12, 2), change(13, 1), change(17, 1), change(18, 1)]);
    let page = timeline.messages(chat, Span::Before(Id::MAX), 1).await?;
    assert_eq!(page.first().map(|row| row.changes.len()), Some(4), "pages bring them as well");
    Ok(())
}

async fn a_send_key_keeps_its_smallest_id_and_its_smallest_source(timeline: &dyn Timeline) -> Done {
    let sent = |raw, offset: Option<u64>| Sent { id: id(raw), source: offset.map(source), fingerprint: raw * 11 };
    let write = |raw, offset| Write::Sent { key: key(5), sent: sent(raw, offset) };
    timeline.apply(P, vec![write(9, None)], None).await?;
    assert_eq!(timeline.sent(key(5)).await?, Some(sent(9, None)), "its resolved record is not read yet");
    timeline.apply(P, vec![write(9, Some(30)), write(9, Some(20))], None).await?;
    assert_eq!(timeline.sent(key(5)).await?, Some(sent(9, Some(20))));
    timeline.apply(P, vec![write(8, Some(40)), write(9, None)], None).await?;
    assert_eq!(timeline.sent(key(5)).await?, Some(sent(8, Some(20))), "the fingerprint is the smallest id's");
    assert_eq!(timeline.sent(key(4)).await?, None);
    Ok(())
}

async fn an_index_is_read_by_offset(timeline: &dyn Timeline) -> Done {
    let chat = direct(1, 2);
    let answer = |outcome| Entry::Answer(Answer { id: id(3), sender: user(1), key: key(2), outcome });
    let entries = [
        Entry::Message { chat, id: id(1) },
        Entry::Change { chat, target: id(1), change: id(2) },
        answer(Outcome::Accepted { id: id(1), source: source(9) }),
        answer(Outcome::KeyReused),
        answer(Outcome::Refused),
        Entry::Mark { reader: user(2), chat, kind: MarkKind::Delivered, seen: seen(4, 1) },
        Entry::Mark { reader: user(2), chat, kind: MarkKind::Read, seen: seen(4, 1) },
    ];
    let me = Recipient::User(user(1));
    let rows: Vec<_> = (10u64..).step_by(3).zip(entries).collect();
    let write =
        |recipient, (offset, entry): &(u64, Entry)| Write::Index { recipient, offset: *offset, entry: entry.clone() };
    for (day, half) in rows.chunks(4).enumerate() {
        let last = half.last().map_or(0, |(offset, _)| *offset);
        timeline.apply(P, half.iter().map(|row| write(me, row)).collect(), Some(commit_on(last, day as u64))).await?;
    }
    let group = Recipient::Group(GroupId(id(1)));
    timeline.apply(P, vec![write(group, &(11, Entry::Message { chat, id: id(77) }))], None).await?;
    timeline.apply(Partition(4), vec![write(me, &(12, Entry::Message { chat, id: id(78) }))], None).await?;
    assert_eq!(timeline.index(me, P, 0, u64::MAX, 100).await?, rows, "across days, this recipient and partition only");
    assert_eq!(timeline.index(me, P, 11, 22, 100).await?, rows[1..4], "from is in, to is out");
    assert_eq!(timeline.index(me, P, 11, 22, 2).await?, rows[1..3]);
    assert_eq!(timeline.index(me, P, 13, 13, 9).await?, []);
    assert_eq!(timeline.index(me, P, 22, 11, 9).await?, []);
    assert!(timeline.index_start(P).await?.is_some_and(|start| start <= 10), "complete from its first row");
    Ok(())
}

async fn an_index_forgets_only_whole_days(timeline: &dyn Timeline) -> Done {
    let (me, chat) = (Recipient::User(user(1)), direct(1, 2));
    let write = |offset| Write::Index { recipient: me, offset, entry: Entry::Message { chat, id: id(offset) } };
    for day in 0..5 {
        timeline.apply(P, vec![write(day * 10), write(day * 10 + 9)], Some(commit_on(day * 10 + 9, day))).await?;
    }
    // A replay brings rows again, in an apply of another day: they are not there twice.
    timeline.apply(P, (36..50).filter(|o| o % 10 == 9).map(write).collect(), Some(commit_on(49, 4))).await?;
    timeline.expire_index(P, Timestamp(2 * DAY_MS + DAY_MS / 2)).await?;
    let start = timeline.index_start(P).await?;
    assert!(
        start.is_some_and(|start| start <= 20),
        "day 2 is not wholly before its noon, but the index begins at {start:?}"
    );
    let kept = timeline.index(me, P, start.unwrap_or_default().max(20), u64::MAX, 100).await?;
    assert_eq!(kept.into_iter().map(|(offset, _)| offset).collect::<Vec<_>>(), [20, 29, 30, 39, 40, 49]);
    timeline.expire_index(P, Timestamp(DAY_MS)).await?;
    assert!(timeline.index_start(P).await? >= start, "an index that was cut does not grow back");
    Ok(())
}

async fn a_view_keeps_maxima(timeline: &dyn Timeline) -> Done {
    let (me, chat) = (user(1), direct(1, 2));
    let newest = |raw, offset: Option<u64>| Write::Newest { user: me, chat, id: id(raw), incoming: offset.map(source) };
    let mark = |kind, seen| Write::Mark { user: me, chat, kind, seen };
    let peer = |kind, seen| Write::PeerMark { user: me, chat, kind, seen };
    let (delivered, read) = (MarkKind::Delivered, MarkKind::Read);
    let writes =
        vec![newest(5, Some(9)), newest(7, Some(3)), newest(6, None), mark(read, seen(4, 6)), mark(read, seen(3, 9))];
    timeline.apply(P, writes, None).await?;
    timeline
        .apply(P, vec![mark(delivered, seen(8, 2)), peer(delivered, seen(6, 1)), peer(read, seen(7, 2))], None)
        .await?;
    timeline
        .apply(P, vec![mark(delivered, seen(5, 99)), newest(1, Some(1)), peer(delivered, seen(1, 50))], None)
        .await?;
    let expected = ChatRow {
        newest: id(7),
        newest_incoming: source(9),
        delivered: seen(8, 2),
        read: seen(4, 6),
        peer_delivered: seen(7, 2),
        peer_read: seen(7, 2),
        resolved_late: Vec::new(),
    };
    assert_eq!(timeline.chat(me, chat).await?, expected, "by source, never by id; read moves delivered");
    assert_eq!(timeline.chat(user(2), chat).await?, ChatRow::default(), "the other side has its own");
    let other = direct(1, 3);
    timeline.apply(P, vec![Write::Newest { user: me, chat: other, id: id(1), incoming: None }], None).await?;
    let mut chats = timeline.chats(me).await?;
    chats.sort_by_key(|(chat, _)| *chat);
    let alone = ChatRow { newest: id(1), ..ChatRow::default() };
    assert_eq!(chats, [(chat, expected), (other, alone)]);
    Ok(())
}

async fn a_view_remembers_the_newest_hundred_that_were_late(timeline: &dyn Timeline) -> Done {
    let (me, chat) = (user(1), direct(1, 2));
    let late = |offset| Write::ResolvedLate { user: me, chat, seen: seen(offset, 1_000 - offset) };
    // 61 and 120 have no common divisor: every offset comes once, in disorder.
    let offsets: Vec<u64> = (0..120).map(|n| n * 61 % 120).collect();
    for part in offsets.chunks(50) {
        timeline.apply(P, part.iter().map(|offset| late(*offset)).collect(), None).await?;
    }
    timeline.apply(P, vec![late(3), late(110)], None).await?;
    let mut held = timeline.chat(me, chat).await?.resolved_late;
    held.sort_by_key(|seen| seen.source);
    let expected: Vec<Seen> = (20..120).map(|offset| seen(offset, 1_000 - offset)).collect();
    assert_eq!(held, expected);
    Ok(())
}

async fn a_commit_keeps_the_maximum(timeline: &dyn Timeline) -> Done {
    timeline.apply(P, Vec::new(), Some(commit_on(9, 2))).await?;
    timeline.apply(P, Vec::new(), Some(commit_on(4, 1))).await?;
    timeline.apply(P, Vec::new(), None).await?;
    assert_eq!(timeline.committed(P).await?, Some(commit_on(9, 2)), "a replay moves nothing back");
    assert_eq!(timeline.committed(Partition(4)).await?, None, "each partition has its own");
    Ok(())
}

async fn a_record_may_be_set_aside_twice(timeline: &dyn Timeline) -> Done {
    let aside =
        Write::SetAside { offset: 7, reason: "of a later version".to_owned(), bytes: Bytes::from_static(b"\xff") };
    timeline.apply(P, vec![aside.clone(), aside.clone()], Some(commit(7))).await?;
    timeline.apply(P, vec![aside], Some(commit(7))).await?;
    Ok(())
}

async fn two_archives_at_once_lose_nothing(timeline: Arc<dyn Timeline>) -> Done {
    const ROUNDS: u64 = 200;
    let (me, chat) = (user(1), direct(1, 2));
    let archive = |partition: u16| {
        let timeline = Arc::clone(&timeline);
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                let at = seen(round, round);
                let own = match partition {
                    1 => Write::Mark { user: me, chat, kind: MarkKind::Read, seen: at },
                    _ => Write::PeerMark { user: me, chat, kind: MarkKind::Read, seen: at },
                };
                let newest = id(round * 2 + u64::from(partition));
                let newest = Write::Newest { user: me, chat, id: newest, incoming: None };
                timeline.apply(Partition(partition), vec![own, newest], Some(commit(round))).await?;
            }
            Ok::<(), Refused>(())
        })
    };
    for done in [archive(1), archive(2)] {
        done.await.map_err(|error| Unavailable(error.to_string()))??;
    }
    let row = timeline.chat(me, chat).await?;
    assert_eq!((row.read, row.peer_read), (seen(ROUNDS, ROUNDS), seen(ROUNDS, ROUNDS)));
    assert_eq!(row.newest, id(ROUNDS * 2 + 2));
    Ok(())
}

async fn all_is_there_after_a_reopen<S: Subject>(mut subject: S) -> Done {
    let (me, chat) = (user(1), direct(1, 2));
    let writes = vec![
        stored(chat, message(5, 2)),
        Write::Change { chat, target: id(5), change: change(6, 1) },
        Write::Newest { user: me, chat, id: id(5), incoming: Some(source(2)) },
        Write::Index { recipient: Recipient::User(me), offset: 2, entry: Entry::Message { chat, id: id(5) } },
    ];
    subject.timeline().apply(P, writes, Some(commit(2))).await?;
    let row = subject.timeline().message(chat, id(5)).await?;
    subject.reopen()?;
    let timeline = subject.timeline();
    assert!(matches!(row, Stored::Row(_)));
    assert_eq!(timeline.message(chat, id(5)).await?, row);
    assert_eq!(timeline.committed(P).await?, Some(commit(2)));
    assert_eq!(timeline.index_start(P).await?, Some(2));
    timeline.apply(P, vec![Write::Newest { user: me, chat, id: id(4), incoming: None }], Some(commit(1))).await?;
    assert_eq!(timeline.chat(me, chat).await?.newest, id(5), "what was there is merged with");
    assert_eq!(timeline.committed(P).await?, Some(commit(2)));
    Ok(())
}
