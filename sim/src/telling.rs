//! Events and frames as a story tells them: each under the words by which violations know it.

use volery_kernel::event::{Content, Event, Mark, Send, SendKey};
use volery_wire::server::Reply;

use crate::story::{What, tell};
use crate::user::word;
use crate::world::World;

/// The word of an event for stories, and a line about it.
pub(crate) fn describe(event: &Event) -> (String, String) {
    match event {
        Event::Send(send) => {
            (tag_of(send), format!("{}{}", if send.flagged { "retry of " } else { "" }, of_send(send)))
        }
        Event::Resolved { send, .. } => (tag_of(send), format!("resolved {}", of_send(send))),
        Event::Echo { origin, send } => (tag_of(send), format!("echo of {}, from {}", of_send(send), origin.offset())),
        Event::Answer(answer) => {
            (key_tag(answer.key), format!("answer to {}: {:?}", key_tag(answer.key), answer.outcome))
        }
        Event::Mark(mark) => (format!("mark{}", mark.reader), of_mark(mark)),
        Event::PeerMark { mark, .. } => (format!("mark{}", mark.reader), format!("derived {}", of_mark(mark))),
        other => (String::new(), format!("{other:?}")),
    }
}

fn of_send(send: &Send) -> String {
    let (id, key) = (send.id, key_tag(send.key));
    format!("{} as {id} ({key}, session {}, to u{})", tag_of(send), send.session, send.recipient.id())
}

fn of_mark(mark: &Mark) -> String {
    format!("{:?} mark of u{} in {} up to {}", mark.kind, mark.reader, mark.chat, mark.seen.source.offset())
}

pub(crate) fn key_tag(key: SendKey) -> String {
    format!("key d{}/{}/{}", key.device.get() - 101, key.session, key.number)
}

pub(crate) fn tag_of(send: &Send) -> String {
    match &send.content {
        Content::Message { body, .. } => word(&String::from_utf8_lossy(&body.bytes)),
        Content::Edit { target, .. } => format!("edit of {target}"),
        Content::Delete { target } => format!("deletion of {target}"),
        Content::React { target, .. } => format!("reaction to {target}"),
    }
}

pub(crate) fn text_of(send: &Send) -> Option<String> {
    match &send.content {
        Content::Message { body, .. } => Some(String::from_utf8_lossy(&body.bytes).into_owned()),
        _ => None,
    }
}

impl World {
    pub(crate) fn tell_reply(&mut self, n: usize, reply: &Reply<'_>) {
        if matches!(reply, Reply::Ack(_)) {
            self.story.count(What::Acked);
        }
        if matches!(reply, Reply::Answer(_)) {
            self.story.count(What::RetryAnswered);
        }
        if !self.story.is_on() {
            return;
        }
        let (tag, what) = match reply {
            Reply::Message(m) => (
                word(&m.text),
                format!(
                    "message {} {} (source {}, {})",
                    word(&m.text),
                    m.id,
                    m.source.offset(),
                    positioned(m.position.is_some())
                ),
            ),
            Reply::Changed(c) => {
                (format!("edit of {}", c.id), format!("change {} of {} by u{} to {:?}", c.change, c.id, c.by, c.text))
            }
            Reply::Ack(ack) => (String::new(), format!("ack of {} as {}", ack.number, ack.id)),
            Reply::Answer(a) => (
                format!("key d{n}/{}/{}", a.session, a.number),
                format!("answer {}/{} {:?} {:?}", a.session, a.number, a.id, a.error),
            ),
            Reply::Synced(_) => (String::new(), "synced".to_owned()),
            Reply::Reset(_) => (String::new(), "reset".to_owned()),
            Reply::Gap => (String::new(), "gap".to_owned()),
            Reply::Error(error) => (String::new(), format!("error {} ({:?})", error.code, error.number)),
            Reply::Marked(m) => {
                (format!("mark{}", m.reader), format!("{:?} mark of u{} up to {}", m.kind, m.reader, m.source.offset()))
            }
            Reply::Page(page) => (String::new(), format!("page of {} with {}", page.chat, page.messages.len())),
            _ => return,
        };
        tell!(self, [format!("d{n}"), tag], "d{n} is told: {what}");
    }
}

fn positioned(positioned: bool) -> &'static str {
    if positioned { "positioned" } else { "loose" }
}
