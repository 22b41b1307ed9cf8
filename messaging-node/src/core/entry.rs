//! One record as clients see it: turned into a frame body once an encoding, shared by all sessions.

use std::borrow::Cow;
use std::cell::OnceCell;

use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, Content, Event, Mark, MarkKind, Outcome, Record, Send, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::{Offset, Position, Source};
use volery_kernel::slot::Partition;
use volery_ports::history::{self, MessageView};
use volery_ports::timeline::{Change, ChangeKind};
use volery_wire::client::Shown;
use volery_wire::codec::{Encoding, encode_reply};
use volery_wire::field::Blob;
use volery_wire::op::ServerOp;
use volery_wire::server::{self, Reply};

/// About what a frame has around its content.
pub const AROUND_FRAME: usize = 160;

/// An operation with its encoded body, without a session's own numbers.
pub type Encoded = (ServerOp, Box<[u8]>);

/// See the module.
pub struct Entry {
    position: Position,
    event: Event,
    encoded: [OnceCell<Option<Encoded>>; 2],
}

impl Entry {
    /// A record that counts.
    #[must_use]
    pub fn new(generation: u16, partition: Partition, record: Record) -> Self {
        let source = Source::new(generation, record.offset);
        let position = Position { partition, source, id: record.event.id() };
        Self { position, event: record.event, encoded: [OnceCell::new(), OnceCell::new()] }
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.position.source.offset()
    }

    /// What it says.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Bytes that it counts for in the tail's budget: the content, its encoded form and what surrounds them.
    #[must_use]
    pub fn weight(&self) -> usize {
        const AROUND: usize = 512;
        AROUND + 2 * self.content_bytes()
    }

    /// Bytes that it counts for in a session's window: about its frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        AROUND_FRAME + self.content_bytes()
    }

    fn content_bytes(&self) -> usize {
        match &self.event {
            Event::Send(send) | Event::Resolved { send, .. } | Event::Echo { send, .. } => match &send.content {
                Content::Message { body, .. } | Content::Edit { body, .. } => body.bytes.len(),
                Content::React { emoji, .. } => emoji.len(),
                Content::Delete { .. } => 0,
            },
            Event::Unknown { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// The frame body with its position; `None` for what clients are not told.
    pub fn encoded(&self, encoding: Encoding) -> Option<&Encoded> {
        let cell = &self.encoded[match encoding {
            Encoding::MessagePack => 0,
            Encoding::Json => 1,
        }];
        cell.get_or_init(|| self.encode(encoding, Some(self.position))).as_ref()
    }

    /// The frame body without a position, for sessions that may not store one. Rare, so not kept.
    #[must_use]
    pub fn encoded_loose(&self, encoding: Encoding) -> Option<Encoded> {
        self.encode(encoding, None)
    }

    /// Gives up the encoded forms; whoever still wants one makes it anew.
    pub fn forget_encoded(&mut self) {
        self.encoded = Default::default();
    }

    fn encode(&self, encoding: Encoding, position: Option<Position>) -> Option<Encoded> {
        let position = position.map(blob);
        let (op, body) = encode_reply(encoding, &reply_of(&self.event, self.position.source, position)?);
        Some((op, body.into_boxed_slice()))
    }
}

/// A position as a field.
#[must_use]
pub fn blob(position: Position) -> Blob {
    Blob(position.to_bytes().to_vec())
}

fn reply_of(event: &Event, here: Source, position: Option<Blob>) -> Option<Reply<'_>> {
    match event {
        Event::Send(send) | Event::Resolved { send, .. } => {
            let own = send.recipient == Recipient::User(send.sender);
            Some(of_send(send, here, own, position))
        }
        Event::Echo { origin, send } => Some(of_send(send, *origin, true, position)),
        Event::Answer(answer) => Some(Reply::Answer(of_answer(answer, position))),
        Event::Mark(mark) | Event::PeerMark { mark, .. } => Some(Reply::Marked(of_mark(mark, position))),
        Event::DeviceRevoked { .. } | Event::Unknown { .. } => None,
    }
}

/// An answer as a body.
#[must_use]
pub fn of_answer(answer: &volery_kernel::event::Answer, position: Option<Blob>) -> server::Answer {
    let (id, source, error) = match answer.outcome {
        Outcome::Accepted { id, source } => (Some(id), Some(source), None),
        Outcome::KeyReused => (None, None, Some(volery_kernel::code::Code::KeyReused.text().to_owned())),
        Outcome::Refused => (None, None, Some(volery_kernel::code::Code::Refused.text().to_owned())),
    };
    server::Answer { session: answer.key.session, number: answer.key.number, id, source, error, position }
}

fn of_mark(mark: &Mark, position: Option<Blob>) -> server::Marked {
    let kind = mark_kind(mark.kind);
    server::Marked { chat: mark.chat, reader: mark.reader, kind, source: mark.seen.source, id: mark.seen.id, position }
}

/// Delivered or read, as a field.
#[must_use]
pub fn mark_kind(kind: MarkKind) -> server::MarkKind {
    match kind {
        MarkKind::Delivered => server::MarkKind::Delivered,
        MarkKind::Read => server::MarkKind::Read,
    }
}

/// `own`: it goes to its sender, who may know its key.
fn of_send(send: &Send, source: Source, own: bool, position: Option<Blob>) -> Reply<'_> {
    let key = own.then(|| key(send.key));
    match &send.content {
        Content::Message { body, reply_to } => Reply::Message(server::Message {
            chat: send.chat(),
            id: send.id,
            from: send.sender,
            source,
            text: text(body),
            reply_to: *reply_to,
            key,
            shown: send.shown.map(|seen| Shown { source: seen.source, id: seen.id }),
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            position,
        }),
        Content::Edit { target, body } => changed(send, *target, Some(text(body)), false, None, key, position),
        Content::Delete { target } => changed(send, *target, None, true, None, key, position),
        Content::React { target, emoji } => {
            changed(send, *target, None, false, Some(Cow::Borrowed(emoji)), key, position)
        }
    }
}

fn changed<'a>(
    send: &'a Send,
    target: Id,
    text: Option<Cow<'a, str>>,
    deleted: bool,
    emoji: Option<Cow<'a, str>>,
    key: Option<server::Key>,
    position: Option<Blob>,
) -> Reply<'a> {
    Reply::Changed(server::Changed {
        chat: send.chat(),
        id: target,
        change: send.id,
        by: send.sender,
        text,
        deleted,
        emoji,
        key,
        position,
    })
}

fn key(key: SendKey) -> server::Key {
    server::Key { device: key.device, session: key.session, number: key.number }
}

/// Bodies that are no text are empty to clients of this version. What is text is checked by words:
/// the lossy way goes byte by byte.
fn text(body: &Body) -> Cow<'_, str> {
    if body.kind != Body::TEXT {
        return Cow::Borrowed("");
    }
    std::str::from_utf8(&body.bytes).map_or_else(|_| String::from_utf8_lossy(&body.bytes), Cow::Borrowed)
}

/// The same without a copy, where the bytes are nobody else's.
fn into_text(body: Body) -> Cow<'static, str> {
    if body.kind != Body::TEXT {
        return Cow::Borrowed("");
    }
    let text = String::from_utf8(body.bytes.into());
    Cow::Owned(text.unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}

/// A message from a page or the index as a body for `reader`. It has no position: it is not of the stream.
#[must_use]
pub fn of_view(reader: UserId, chat: ChatId, view: MessageView) -> server::Message<'static> {
    server::Message {
        chat,
        id: view.id,
        from: view.sender,
        source: view.source,
        text: into_text(view.body),
        reply_to: view.reply_to,
        key: (view.sender == reader).then(|| key(view.key)),
        shown: None,
        edited: view.edited,
        deleted: view.deleted,
        reactions: view.reactions.into_iter().map(reaction).collect(),
        position: None,
    }
}

/// A change from the index whose message is not stored yet, as a body. It has no position, as a message has none.
#[must_use]
pub fn of_change(chat: ChatId, target: Id, change: Change) -> server::Changed<'static> {
    let (text, deleted, emoji) = match change.what {
        ChangeKind::Edit(body) => (Some(into_text(body)), false, None),
        ChangeKind::Delete => (None, true, None),
        ChangeKind::React(emoji) => (None, false, Some(Cow::Owned(emoji))),
    };
    let (change, by) = (change.id, change.actor);
    server::Changed { chat, id: target, change, by, text, deleted, emoji, key: None, position: None }
}

fn reaction(from: history::Reaction) -> server::Reaction {
    server::Reaction { by: from.by, emoji: from.emoji, change: from.change }
}
