//! Whatever the order in which events come, and however often, a view shows the same.

#![allow(clippy::unwrap_used, reason = "a test's own failures")]

use std::borrow::Cow;

use proptest::prelude::*;
use volery_client::view::{Status, View};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::server::{self, Changed, ChatList, MarkKind, Marked, Message, Page, Reaction, Reply};

const ME: u64 = 1;
const PEER: u64 = 2;

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

fn chat() -> ChatId {
    ChatId::direct(user(ME), user(PEER))
}

fn author(n: u64) -> u64 {
    1 + n % 2
}

fn message(n: u64) -> Message<'static> {
    Message {
        chat: chat(),
        id: id(n * 100),
        from: user(author(n)),
        source: Source(n * 100),
        text: format!("message {n}").into(),
        reply_to: None,
        key: None,
        shown: None,
        edited: None,
        deleted: None,
        reactions: Vec::new(),
        position: None,
    }
}

fn changed(n: u64, change: u64, by: u64) -> Changed<'static> {
    Changed {
        chat: chat(),
        id: id(n * 100),
        change: id(change),
        by: user(by),
        text: None,
        deleted: false,
        emoji: None,
        key: None,
        position: None,
    }
}

/// One change has one id: kind, author, message and content follow from it.
fn change_id(c: u64, n: u64, by: u64, kind: u64) -> u64 {
    10_000 + c * 100 + n * 10 + by * 3 + kind
}

fn emoji(c: u64) -> String {
    if c.is_multiple_of(4) { String::new() } else { format!("e{c}") }
}

fn event() -> impl Strategy<Value = Reply<'static>> {
    let n = || 1u64..6;
    let by = || 1u64..3;
    prop_oneof![
        4 => n().prop_map(|n| Reply::Message(message(n))),
        1 => (n(), 0u64..20).prop_map(|(n, c)| {
            let edited = Some(id(change_id(c, n, author(n), 0)));
            Reply::Message(Message { edited, text: format!("edit {c}").into(), ..message(n) })
        }),
        2 => (n(), 0u64..20, by()).prop_map(|(n, c, by)| {
            Reply::Changed(Changed { text: Some(Cow::Owned(format!("edit {c}"))), ..changed(n, change_id(c, n, by, 0), by) })
        }),
        1 => (n(), 0u64..20, by()).prop_map(|(n, c, by)| {
            let reaction = Reaction { by: user(by), emoji: emoji(c), change: id(change_id(c, n, by, 2)) };
            Reply::Message(Message { reactions: vec![reaction], ..message(n) })
        }),
        1 => (n(), 0u64..20, by()).prop_map(|(n, c, by)| {
            Reply::Changed(Changed { deleted: true, ..changed(n, change_id(c, n, by, 1), by) })
        }),
        2 => (n(), 0u64..20, by()).prop_map(|(n, c, by)| {
            Reply::Changed(Changed { emoji: Some(emoji(c).into()), ..changed(n, change_id(c, n, by, 2), by) })
        }),
        2 => (by(), 0u64..700, any::<bool>()).prop_map(|(reader, source, read)| {
            let kind = if read { MarkKind::Read } else { MarkKind::Delivered };
            Reply::Marked(Marked { chat: chat(), reader: user(reader), kind, source: Source(source), id: id(source), position: None })
        }),
    ]
}

fn view_of<'a>(events: impl IntoIterator<Item = &'a Reply<'static>>) -> View {
    let mut view = View::new(user(ME), DeviceId(id(9)));
    events.into_iter().for_each(|event| view.event(event));
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_order_any_number_of_times(
        (events, shuffled) in prop::collection::vec(event(), 1..30).prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().cloned().chain(events.iter().step_by(2).cloned()).collect();
            (Just(events), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(view_of(&events), view_of(&shuffled));
    }
}

#[test]
fn nobody_changes_what_others_wrote() {
    let forged = [
        Reply::Changed(Changed { text: Some("forged".into()), ..changed(1, 900, ME) }),
        Reply::Changed(Changed { deleted: true, ..changed(1, 901, ME) }),
    ];
    let mut view = view_of(&[forged[0].clone(), Reply::Message(message(1)), forged[1].clone()]);
    assert_eq!(view.chat_mut(chat()).timeline.line(id(100)).unwrap().text, message(1).text);
}

#[test]
fn nothing_comes_after_a_deletion() {
    let gone = Reply::Changed(Changed { deleted: true, ..changed(1, 900, PEER) });
    let late = Reply::Changed(Changed { text: Some("late".into()), ..changed(1, 901, PEER) });
    let view = view_of(&[Reply::Message(message(1)), gone, late]);
    let line = view.chat(chat()).unwrap().timeline.line(id(100)).unwrap();
    assert_eq!((line.text.as_str(), line.deleted), ("", Some(id(900))));
}

#[test]
fn status_follows_the_other_side() {
    let mark = |kind, source| {
        Reply::Marked(Marked {
            chat: chat(),
            reader: user(PEER),
            kind,
            source: Source(source),
            id: id(source),
            position: None,
        })
    };
    let status = |events: &[Reply<'static>]| {
        let view = view_of(events);
        let chat = view.chat(chat()).unwrap();
        chat.status(chat.timeline.line(id(200)).unwrap()).unwrap()
    };
    let mine = Reply::Message(message(2));
    let mine = Reply::Message(Message {
        from: user(ME),
        ..match mine {
            Reply::Message(message) => message,
            _ => return,
        }
    });
    assert_eq!(status(std::slice::from_ref(&mine)), Status::Sent);
    assert_eq!(status(&[mine.clone(), mark(MarkKind::Delivered, 199)]), Status::Sent);
    assert_eq!(status(&[mine.clone(), mark(MarkKind::Delivered, 200)]), Status::Delivered);
    assert_eq!(status(&[mark(MarkKind::Read, 300), mine.clone()]), Status::Read);
    let answer = Message { from: user(PEER), shown: Some(Shown { source: Source(200), id: id(200) }), ..message(3) };
    assert_eq!(status(&[mine, Reply::Message(answer)]), Status::Read);
}

fn listed(unread: u32, newest: u64, read: u64) -> ChatList<'static> {
    let shown = |source| Shown { source: Source(source), id: id(source) };
    let chat = server::Chat {
        chat: chat(),
        newest: Some(Message { from: user(PEER), ..message(newest) }),
        unread,
        read: shown(read),
        delivered: None,
        peer_delivered: shown(0),
        peer_read: shown(0),
        newest_incoming: Source(newest * 100),
    };
    ChatList { chats: vec![chat], next: None }
}

#[test]
fn unread_is_what_the_list_says_and_what_came_since() {
    let incoming = |n| Reply::Message(Message { from: user(PEER), ..message(n) });
    let mut view = View::new(user(ME), DeviceId(id(9)));
    view.event(&incoming(5));
    view.event(&incoming(6));
    view.list(&listed(3, 5, 100));
    view.event(&incoming(6));
    assert_eq!(view.chat(chat()).unwrap().unread(), 4);
    view.chat_mut(chat()).has_read(Shown { source: Source(500), id: id(500) });
    assert_eq!(view.chat(chat()).unwrap().unread(), 1);
    view.event(&Reply::Marked(Marked {
        chat: chat(),
        reader: user(ME),
        kind: MarkKind::Read,
        source: Source(600),
        id: id(600),
        position: None,
    }));
    assert_eq!(view.chat(chat()).unwrap().unread(), 0);
}

fn page(numbers: std::ops::RangeInclusive<u64>, older: bool) -> Page<'static> {
    let older = older.then(volery_wire::field::Blob::default);
    Page { chat: chat(), messages: numbers.map(message).collect(), older, newer: None, covers: Source(0) }
}

fn shown(view: &View) -> Vec<u64> {
    view.chat(chat()).unwrap().timeline.lines().map(|line| line.id.get() / 100).collect()
}

#[test]
fn nothing_is_shown_across_a_gap() {
    let mut view = View::new(user(ME), DeviceId(id(9)));
    view.event(&Reply::Message(message(2)));
    view.event(&Reply::Message(message(9)));
    view.page(&page(5..=8, true), None);
    assert_eq!(shown(&view), [5, 6, 7, 8, 9]);
    view.page(&page(3..=4, true), Some(id(700)));
    assert_eq!(shown(&view), [5, 6, 7, 8, 9]);
    view.page(&page(3..=4, true), Some(id(500)));
    view.page(&page(1..=2, false), Some(id(300)));
    assert_eq!(shown(&view), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(view.chat(chat()).unwrap().timeline.has_all());
}

#[test]
fn the_larger_change_of_a_reaction_counts_wherever_it_stands() {
    let react =
        |change, emoji: &'static str| Reply::Changed(Changed { emoji: Some(emoji.into()), ..changed(1, change, PEER) });
    let folded = |change, emoji: &str| {
        let reaction = Reaction { by: user(PEER), emoji: emoji.into(), change: id(change) };
        Message { reactions: vec![reaction], ..message(1) }
    };
    let reactions = |view: &View| {
        let line = view.chat(chat()).unwrap().timeline.line(id(100)).unwrap();
        line.reactions().map(|(_, emoji)| emoji.to_owned()).collect::<Vec<_>>()
    };
    let mut view = view_of(&[Reply::Message(message(1)), react(900, "new")]);
    view.page(&Page { messages: vec![folded(899, "old")], ..page(1..=1, true) }, None);
    assert_eq!(reactions(&view), ["new"]);
    view.event(&Reply::Message(folded(901, "newer")));
    assert_eq!(reactions(&view), ["newer"]);
    view.event(&react(902, ""));
    assert!(reactions(&view).is_empty());
    view.page(&Page { messages: vec![folded(901, "newer")], ..page(1..=1, true) }, None);
    assert!(reactions(&view).is_empty(), "what was taken back stays so");
}
