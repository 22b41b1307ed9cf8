//! What the frames between a device and its node say in a history: one reading of the protocol for all who
//! record. Only whoever records knows which message a send carries, and when a frame has had its effect.

use volery_kernel::id::SessionNumber;
use volery_kernel::position::Source;
use volery_wire::client::Request;
use volery_wire::server::{Message, Reply};

use crate::history::{Row, Via, What};
use crate::text::Text;

/// A request that is handed to the socket, if it is no send.
#[must_use]
pub fn requested(request: &Request<'_>) -> Option<What> {
    Some(match request {
        Request::Hello(hello) => What::Hello { resume: hello.resume.is_some() },
        Request::Resume(_) => What::PagesRead,
        Request::Mark(mark) => What::SaidMark { chat: mark.chat, kind: mark.kind, source: mark.source },
        _ => return None,
    })
}

/// What a frame says of the session, or of a send of `session`, which it came to.
#[must_use]
pub fn told(session: SessionNumber, reply: &Reply<'_>) -> Option<What> {
    Some(match reply {
        Reply::Welcome(welcome) => What::Welcome(welcome.session),
        Reply::Synced(_) => What::Synced,
        Reply::Gap => What::Gap,
        Reply::Reset(_) => What::Reset,
        Reply::Ack(ack) => What::Acked { session, number: ack.number, id: ack.id, source: ack.source },
        Reply::Answer(answer) => {
            let (session, number) = (answer.session, answer.number);
            match answer.id {
                Some(id) => What::Acked { session, number, id, source: answer.source.unwrap_or(Source::ZERO) },
                None => What::Refused { session, number, code: answer.error.clone().unwrap_or_default() },
            }
        }
        Reply::Error(error) if !error.retryable => {
            What::Refused { session, number: error.number?, code: error.code.to_string() }
        }
        _ => return None,
    })
}

/// What a device shows of a frame once it has worked it in.
#[must_use]
pub fn shown(reply: &Reply<'_>) -> Vec<What> {
    let paged = |message| What::Showed { via: Via::Page, row: row(message) };
    match reply {
        // Out of the index a change comes as the whole message: its own echo may not be there yet.
        Reply::Message(message) if message.position.is_none() => vec![paged(message)],
        Reply::Message(message) => vec![What::Showed { via: Via::Stream, row: row(message) }],
        Reply::Page(page) => page.messages.iter().map(paged).collect(),
        Reply::ChatList(list) => list.chats.iter().filter_map(|chat| chat.newest.as_ref()).map(paged).collect(),
        Reply::Changed(changed) => {
            vec![What::Changed { chat: changed.chat, id: changed.id, change: changed.change, by: changed.by }]
        }
        Reply::Marked(marked) => {
            vec![What::Marked { chat: marked.chat, reader: marked.reader, kind: marked.kind, source: marked.source }]
        }
        _ => Vec::new(),
    }
}

/// A message as somebody shows it.
#[must_use]
pub fn row(message: &Message<'_>) -> Row {
    let text = Text::of(&message.text).ok().filter(|_| message.deleted.is_none());
    let Message { chat, id, from, source, ref reactions, .. } = *message;
    Row { chat, id, from, source, text, reactions: reactions.clone() }
}
