//! Messages and chats as JSON: the same shape as on the live connection, so that a client reads both
//! with one piece of code (a test compares them).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;
use volery_kernel::chat::ChatId;
use volery_kernel::event::{Body, Seen};
use volery_kernel::id::UserId;
use volery_kernel::position::Source;
use volery_ports::history::{self, ChatView, ChatsPage, MessageView};

/// A page of a chat, ascending by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    /// Which chat.
    chat: String,
    /// The messages.
    messages: Vec<Message>,
    /// `cursor` of the older ones; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    older: Option<String>,
    /// `cursor` of the newer ones; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    newer: Option<String>,
    /// Everything of the chat accepted in one's own partition up to here is on pages.
    covers: String,
}

/// A message with its changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    /// Its chat.
    chat: String,
    /// Its place in the chat.
    id: String,
    /// Who sent it.
    from: String,
    /// Where it was accepted: what marks speak of.
    source: String,
    /// What it says; empty if it was taken away.
    text: String,
    /// The message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// The name of the send; only on one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    /// The change that made this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<String>,
    /// The change that took it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<String>,
    /// Each user's newest reaction, by user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<Reaction>,
}

/// The name of a send.
#[derive(Serialize, ToSchema)]
pub(crate) struct Key {
    /// The device that sent it.
    device: String,
    /// The session of its first attempt.
    session: String,
    /// Its number there.
    number: u32,
}

/// A user's newest reaction to a message.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reaction {
    /// Whose.
    by: String,
    /// Which; empty once it is taken back.
    emoji: String,
    /// The change that made it.
    change: String,
}

/// How far somebody has seen a chat.
#[derive(Serialize, ToSchema)]
pub(crate) struct Shown {
    /// Everything that was accepted up to here.
    source: String,
    /// The largest id among it.
    id: String,
}

/// One line of the chat list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chat {
    /// Which chat.
    chat: String,
    /// Its newest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<Message>,
    /// Unread messages, exact up to 99; 100 means more.
    unread: u32,
    /// One's own read mark.
    read: Shown,
    /// One's own delivered mark, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Shown>,
    /// What the other side holds.
    peer_delivered: Shown,
    /// What the other side has read.
    peer_read: Shown,
    /// Newest source position of a message that came in.
    newest_incoming: String,
}

/// A page of the chat list, newest chat first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatList {
    /// The chats.
    chats: Vec<Chat>,
    /// `cursor` of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page as `reader` sees it.
pub(crate) fn page(reader: UserId, chat: ChatId, page: history::Page) -> Page {
    Page {
        chat: chat.to_string(),
        messages: page.messages.into_iter().map(|view| message(reader, chat, view)).collect(),
        older: page.older.map(cursor),
        newer: page.newer.map(cursor),
        covers: page.covers.0.to_string(),
    }
}

/// The chat list of `reader`.
pub(crate) fn chats(reader: UserId, page: ChatsPage) -> ChatList {
    ChatList { chats: page.chats.into_iter().map(|view| chat(reader, view)).collect(), next: page.next.map(cursor) }
}

fn chat(reader: UserId, view: ChatView) -> Chat {
    Chat {
        chat: view.chat.to_string(),
        newest: view.newest.map(|newest| message(reader, view.chat, newest)),
        unread: u32::try_from(view.unread).unwrap_or(u32::MAX),
        read: shown(view.read),
        delivered: (view.delivered.source > Source::ZERO).then(|| shown(view.delivered)),
        peer_delivered: shown(view.peer_delivered),
        peer_read: shown(view.peer_read),
        newest_incoming: view.newest_incoming.0.to_string(),
    }
}

fn message(reader: UserId, chat: ChatId, view: MessageView) -> Message {
    let key =
        Key { device: view.key.device.to_string(), session: view.key.session.to_string(), number: view.key.number };
    Message {
        chat: chat.to_string(),
        id: view.id.to_string(),
        from: view.sender.to_string(),
        source: view.source.0.to_string(),
        text: text(&view.body),
        reply_to: view.reply_to.map(|id| id.to_string()),
        key: (view.sender == reader).then_some(key),
        edited: view.edited.map(|id| id.to_string()),
        deleted: view.deleted.map(|id| id.to_string()),
        reactions: view.reactions.into_iter().map(reaction).collect(),
    }
}

fn reaction(from: history::Reaction) -> Reaction {
    Reaction { by: from.by.to_string(), emoji: from.emoji, change: from.change.to_string() }
}

/// A body of a kind that this version does not know has no text.
fn text(body: &Body) -> String {
    if body.kind == Body::TEXT { String::from_utf8_lossy(&body.bytes).into_owned() } else { String::new() }
}

fn shown(seen: Seen) -> Shown {
    Shown { source: seen.source.0.to_string(), id: seen.id.to_string() }
}

fn cursor(bytes: Vec<u8>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::event::SendKey;
    use volery_kernel::id::{DeviceId, Id, SessionNumber};

    fn id(number: u64) -> Id {
        Id::new(number).expect("an id")
    }

    fn full() -> MessageView {
        MessageView {
            id: id(1 << 60),
            sender: UserId(id(2)),
            key: SendKey { device: DeviceId(id(3)), session: SessionNumber(id(4)), number: 5 },
            source: Source(u64::MAX),
            body: Body::text("grüß \"dich\"".to_owned()),
            reply_to: Some(id(6)),
            edited: Some(id(7)),
            deleted: Some(id(8)),
            reactions: vec![history::Reaction { by: UserId(id(9)), emoji: "👍".into(), change: id(10) }],
        }
    }

    fn bare() -> MessageView {
        MessageView { reply_to: None, edited: None, deleted: None, reactions: vec![], ..full() }
    }

    /// What the live connection's type reads and writes again is what is sent here.
    macro_rules! assert_same {
        ($there:ty, $here:expr) => {
            let here = serde_json::to_string(&$here).expect("JSON");
            let there: $there = serde_json::from_str(&here).expect("the same shape");
            let value: serde_json::Value = serde_json::from_str(&here).expect("JSON");
            assert_eq!(serde_json::to_value(there).expect("JSON"), value);
        };
    }

    #[test]
    fn pages_have_the_shape_of_the_live_connection() {
        let chat = ChatId::direct(UserId(id(2)), UserId(id(9)));
        let page_of = |older| history::Page {
            messages: vec![full(), bare()],
            older,
            newer: Some(vec![255, 0]),
            covers: Source(7),
        };
        for (reader, older) in [(2, None), (9, Some(vec![1]))] {
            assert_same!(volery_wire::server::Page<'_>, page(UserId(id(reader)), chat, page_of(older)));
        }
    }

    #[test]
    fn chat_lists_have_the_shape_of_the_live_connection() {
        let seen = |number| Seen { source: Source(number), id: id(number) };
        let view = |newest| ChatView {
            chat: ChatId::direct(UserId(id(2)), UserId(id(9))),
            newest,
            unread: 100,
            read: seen(1),
            delivered: seen(2),
            peer_delivered: seen(3),
            peer_read: seen(4),
            newest_incoming: Source(5),
        };
        let list = ChatsPage { chats: vec![view(None), view(Some(full()))], next: Some(vec![1, 2, 3]) };
        assert_same!(volery_wire::server::ChatList<'_>, chats(UserId(id(2)), list));
    }

    #[test]
    fn only_ones_own_messages_name_their_send() {
        let chat = ChatId::direct(UserId(id(2)), UserId(id(9)));
        assert!(message(UserId(id(2)), chat, full()).key.is_some());
        assert!(message(UserId(id(9)), chat, full()).key.is_none());
    }
}
