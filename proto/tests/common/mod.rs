//! Arbitrary events: every kind, every part that may be absent, ids over their whole range.

use proptest::prelude::*;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Answer, Body, Content, Event, Mark, MarkKind, Outcome, Seen, Send, SendKey};
use volery_kernel::id::{DeviceId, GroupId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;

pub(crate) fn events() -> impl Strategy<Value = Event> {
    let source = || any::<u64>().prop_map(Source);
    prop_oneof![
        sends().prop_map(Event::Send),
        (sends(), source()).prop_map(|(send, flagged)| Event::Resolved { send, flagged }),
        (sends(), source()).prop_map(|(send, origin)| Event::Echo { origin, send }),
        (ids(), users(), keys(), outcomes()).prop_map(|(id, sender, key, outcome)| Event::Answer(Answer {
            id,
            sender,
            key,
            outcome
        })),
        marks().prop_map(Event::Mark),
        (source(), users(), marks()).prop_map(|(origin, to, mark)| Event::PeerMark { origin, to, mark }),
        (ids(), users(), ids()).prop_map(|(id, user, device)| Event::DeviceRevoked {
            id,
            user,
            device: DeviceId(device)
        }),
    ]
}

fn ids() -> impl Strategy<Value = Id> {
    let raw = prop_oneof![Just(0), Just(u64::MAX >> 1), 0..=u64::MAX >> 1];
    raw.prop_filter_map("an id", |raw| Id::new(raw).ok())
}

fn users() -> impl Strategy<Value = UserId> {
    ids().prop_map(UserId)
}

fn recipients() -> impl Strategy<Value = Recipient> {
    prop_oneof![users().prop_map(Recipient::User), ids().prop_map(|id| Recipient::Group(GroupId(id)))]
}

fn keys() -> impl Strategy<Value = SendKey> {
    (ids(), ids(), any::<u32>()).prop_map(|(device, session, number)| SendKey {
        device: DeviceId(device),
        session: SessionNumber(session),
        number,
    })
}

fn seens() -> impl Strategy<Value = Seen> {
    (any::<u64>(), ids()).prop_map(|(source, id)| Seen { source: Source(source), id })
}

fn bodies() -> impl Strategy<Value = Body> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    (any::<u32>(), bytes).prop_map(|(kind, bytes)| Body { kind, bytes: bytes.into() })
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![
        (bodies(), prop::option::of(ids())).prop_map(|(body, reply_to)| Content::Message { body, reply_to }),
        (ids(), bodies()).prop_map(|(target, body)| Content::Edit { target, body }),
        ids().prop_map(|target| Content::Delete { target }),
        (ids(), "\\PC{0,8}").prop_map(|(target, emoji)| Content::React { target, emoji }),
    ]
}

fn sends() -> impl Strategy<Value = Send> {
    let flags = any::<(bool, bool)>();
    (ids(), users(), recipients(), keys(), ids(), flags, prop::option::of(seens()), contents()).prop_map(
        |(id, sender, recipient, key, session, (flagged, resolve_only), shown, content)| {
            let session = SessionNumber(session);
            Send { id, sender, recipient, key, session, flagged, resolve_only, shown, content }
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (ids(), any::<u64>()).prop_map(|(id, source)| Outcome::Accepted { id, source: Source(source) }),
        Just(Outcome::KeyReused),
        Just(Outcome::Refused),
    ]
}

fn marks() -> impl Strategy<Value = Mark> {
    let chat = (recipients(), users()).prop_map(|(recipient, user)| -> ChatId { recipient.chat_with(user) });
    let kind = prop_oneof![Just(MarkKind::Delivered), Just(MarkKind::Read)];
    (ids(), users(), chat, kind, seens()).prop_map(|(id, reader, chat, kind, seen)| Mark {
        id,
        reader,
        chat,
        kind,
        seen,
    })
}
