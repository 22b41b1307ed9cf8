//! Whatever can be asked and answered comes back the same, and nonsense names its field.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Answer, Body, MarkKind, Outcome, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::{OFFSET_MAX, Offset, Position, Source};
use volery_kernel::slot::{Partition, SLOTS};
use volery_kernel::time::Timestamp;
use volery_ports::history::{
    Anchor, ChatView, ChatsPage, Happened, HistoryError, MessageView, Page, Reaction, Stretch,
};
use volery_ports::timeline::{Change, ChangeKind};

use super::{answer, ask, failure};
use crate::check::{Checked, Nonsense};
use crate::limits::LIMIT_MOST;
use crate::wire::history::v1 as wire;

fn ids() -> impl Strategy<Value = Id> {
    let raw = prop_oneof![Just(0), Just(u64::MAX >> 1), 0..=u64::MAX >> 1];
    raw.prop_filter_map("an id", |raw| Id::new(raw).ok())
}

fn users() -> impl Strategy<Value = UserId> {
    ids().prop_map(UserId)
}

fn sources() -> impl Strategy<Value = Source> {
    any::<u64>().prop_map(Source)
}

fn offsets() -> impl Strategy<Value = Offset> {
    0..=OFFSET_MAX
}

fn partitions() -> impl Strategy<Value = Partition> {
    (0..SLOTS).prop_map(Partition)
}

fn chats() -> impl Strategy<Value = ChatId> {
    (users(), users()).prop_map(|(a, b)| ChatId::direct(a, b))
}

fn seens() -> impl Strategy<Value = Seen> {
    (sources(), ids()).prop_map(|(source, id)| Seen { source, id })
}

fn keys() -> impl Strategy<Value = SendKey> {
    (ids(), ids(), any::<u32>()).prop_map(|(device, session, number)| SendKey {
        device: DeviceId(device),
        session: SessionNumber(session),
        number,
    })
}

fn cursors() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn anchors() -> impl Strategy<Value = Anchor> {
    prop_oneof![
        Just(Anchor::Newest),
        ids().prop_map(Anchor::Before),
        ids().prop_map(Anchor::After),
        ids().prop_map(Anchor::Around),
        any::<u64>().prop_map(|millis| Anchor::AroundTime(Timestamp(millis))),
        cursors().prop_map(Anchor::Cursor),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    let body = (any::<u32>(), prop::collection::vec(any::<u8>(), 0..50));
    body.prop_map(|(kind, bytes)| Body { kind, bytes: Bytes::from(bytes) })
}

fn changes() -> impl Strategy<Value = Change> {
    let what = prop_oneof![
        bodies().prop_map(ChangeKind::Edit),
        Just(ChangeKind::Delete),
        "\\PC{0,4}".prop_map(ChangeKind::React),
    ];
    (ids(), users(), what).prop_map(|(id, actor, what)| Change { id, actor, what })
}

fn messages() -> impl Strategy<Value = MessageView> {
    let changes = (prop::option::of(ids()), prop::option::of(ids()), prop::option::of(ids()));
    let reaction = (users(), "\\PC{0,4}", ids()).prop_map(|(by, emoji, change)| Reaction { by, emoji, change });
    let reactions = prop::collection::vec(reaction, 0..3);
    (ids(), users(), keys(), sources(), bodies(), changes, reactions).prop_map(
        |(id, sender, key, source, body, (reply_to, edited, deleted), reactions)| MessageView {
            id,
            sender,
            key,
            source,
            body,
            reply_to,
            edited,
            deleted,
            reactions,
        },
    )
}

fn chat_views() -> impl Strategy<Value = ChatView> {
    let marks = (seens(), seens(), seens(), seens());
    (chats(), prop::option::of(messages()), 0..=100_usize, marks, sources()).prop_map(
        |(chat, newest, unread, (read, delivered, peer_delivered, peer_read), newest_incoming)| ChatView {
            chat,
            newest,
            unread,
            read,
            delivered,
            peer_delivered,
            peer_read,
            newest_incoming,
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (ids(), sources()).prop_map(|(id, source)| Outcome::Accepted { id, source }),
        Just(Outcome::KeyReused),
        Just(Outcome::Refused),
    ]
}

fn happened() -> impl Strategy<Value = Happened> {
    let kind = prop_oneof![Just(MarkKind::Delivered), Just(MarkKind::Read)];
    prop_oneof![
        (chats(), messages()).prop_map(|(chat, view)| Happened::Message(chat, view)),
        (chats(), messages()).prop_map(|(chat, view)| Happened::Changed(chat, view)),
        (chats(), ids(), changes()).prop_map(|(chat, target, change)| Happened::Early(chat, target, change)),
        (ids(), users(), keys(), outcomes()).prop_map(|(id, sender, key, outcome)| Happened::Answer(Answer {
            id,
            sender,
            key,
            outcome
        })),
        (users(), chats(), kind, seens()).prop_map(|(reader, chat, kind, seen)| Happened::Mark {
            reader,
            chat,
            kind,
            seen
        }),
    ]
}

/// Over the wire: encoded and decoded.
fn sent<M: prost::Message + Default>(message: &M) -> M {
    M::decode(Bytes::from(message.encode_to_vec())).expect("what was encoded is decoded")
}

proptest! {
    #[test]
    fn questions_come_back(
        user in users(), chat in chats(), anchor in anchors(), partition in partitions(), from in offsets(),
        cursor in prop::option::of(cursors()), limit in 0..=LIMIT_MOST,
    ) {
        let page = sent(&ask::page(user, chat, anchor.clone(), limit));
        prop_assert_eq!(ask::to_page(page), Ok((user, chat, anchor, limit)));
        prop_assert_eq!(ask::to_chats(sent(&ask::chats(user, cursor.clone(), limit))), Ok((user, cursor, limit)));
        prop_assert_eq!(ask::to_archived(sent(&ask::archived(partition))), Ok(partition));
        let stretch = sent(&ask::stretch(user, partition, from, limit));
        prop_assert_eq!(ask::to_stretch(stretch), Ok((user, partition, from, limit)));
        prop_assert_eq!(ask::to_undelivered(sent(&ask::undelivered(user, limit))), Ok((user, limit)));
    }

    #[test]
    fn pages_come_back(
        messages in prop::collection::vec(messages(), 0..4), older in prop::option::of(cursors()),
        newer in prop::option::of(cursors()), covers in sources(),
    ) {
        let page = Page { messages, older, newer, covers };
        prop_assert_eq!(answer::to_page(sent(&answer::page(page.clone()))), Ok(page));
    }

    #[test]
    fn chat_lists_come_back(
        views in prop::collection::vec(chat_views(), 0..4), next in prop::option::of(cursors()),
        undelivered in prop::collection::vec((chats(), seens()), 0..4),
    ) {
        let page = ChatsPage { chats: views, next };
        prop_assert_eq!(answer::to_chats(sent(&answer::chats(page.clone()))), Ok(page));
        let answer = sent(&answer::undelivered(undelivered.clone()));
        prop_assert_eq!(answer::to_undelivered(answer), Ok(undelivered));
    }

    #[test]
    fn stretches_come_back(
        events in prop::collection::vec((offsets(), happened()), 0..4), complete_below in offsets(),
        position in prop::option::of((partitions(), sources(), ids())),
    ) {
        let stretch = Stretch { events, complete_below };
        prop_assert_eq!(answer::to_stretch(sent(&answer::stretch(stretch.clone()))), Ok(stretch));
        let position = position.map(|(partition, source, id)| Position { partition, source, id });
        prop_assert_eq!(answer::to_archived(sent(&answer::archived(position))), Ok(position));
    }

    #[test]
    fn made_up_bytes_are_refused_or_mean_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = wire::PageRequest::decode(bytes.clone()).map(ask::to_page);
        let _ = wire::PageAnswer::decode(bytes.clone()).map(answer::to_page);
        let _ = wire::ChatsAnswer::decode(bytes.clone()).map(answer::to_chats);
        let _ = wire::StretchAnswer::decode(bytes.clone()).map(answer::to_stretch);
        let _ = wire::ArchivedAnswer::decode(bytes).map(answer::to_archived);
    }

    #[test]
    fn refusals_come_back(reason in "\\PC{0,40}") {
        let all = [
            HistoryError::Unavailable(reason),
            HistoryError::UnknownChat,
            HistoryError::InvalidCursor,
            HistoryError::TooOld,
        ];
        for error in all {
            prop_assert_eq!(failure::from_status(&failure::to_status(error.clone())), error);
        }
    }
}

fn field<T>(checked: Checked<T>) -> &'static str {
    checked.err().map_or("none", |Nonsense { field, .. }| field)
}

#[test]
fn nonsense_is_refused_by_its_field() {
    let user = UserId(Id::ZERO);
    let good = ask::page(user, ChatId::direct(user, user), Anchor::Newest, 1);
    let page = |change: fn(&mut wire::PageRequest)| {
        let mut request = good.clone();
        change(&mut request);
        field(ask::to_page(request))
    };
    assert_eq!(page(|_| {}), "none");
    assert_eq!(page(|request| request.user = None), "user");
    assert_eq!(page(|request| request.user = Some(u64::MAX)), "user");
    assert_eq!(page(|request| request.chat = Bytes::from_static(b"chat")), "chat");
    assert_eq!(page(|request| request.anchor = None), "anchor");
    assert_eq!(page(|request| request.anchor = Some(wire::page_request::Anchor::After(u64::MAX))), "after");
    assert_eq!(page(|request| request.limit = 1_001), "limit");
    let stretch = wire::StretchRequest { user: Some(1), partition: Some(16_384), from: Some(0), limit: 1 };
    assert_eq!(field(ask::to_stretch(stretch)), "partition");
    let stretch = wire::StretchRequest { partition: Some(0), from: Some(OFFSET_MAX + 1), ..stretch };
    assert_eq!(field(ask::to_stretch(stretch)), "from");
    let position = Some(Bytes::from_static(b"here"));
    assert_eq!(field(answer::to_archived(wire::ArchivedAnswer { position })), "position");
}

#[test]
fn more_than_may_be_asked_for_is_asked_for_as_much_as_may() {
    let asked = ask::undelivered(UserId(Id::ZERO), usize::MAX);
    assert_eq!(ask::to_undelivered(asked), Ok((UserId(Id::ZERO), LIMIT_MOST)));
}
