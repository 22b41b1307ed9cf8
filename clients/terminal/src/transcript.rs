//! A conversation as rows of a screen: days, messages, what waits and what failed, where the unread
//! begin. Pure: what is shown follows from what is held.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;
use volery_client::intent::{Act, Local as Number};
use volery_client::outbox::{Item, Phase};
use volery_client::shell::DEVICE_CHANGED;
use volery_client::view::{Chat, Line as Message, Status};
use volery_kernel::code::Code;
use volery_kernel::id::{Id, UserId};
use volery_kernel::time::Timestamp;

use crate::clock::Local;
use crate::wrap::{clean, cut, wrap};

const TIME_COLUMNS: usize = 6;
const NAME_COLUMNS: usize = 14;
const STATUS_COLUMNS: usize = 4;

/// What a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKey {
    /// Above the oldest message that is held.
    Edge,
    /// A day begins.
    Day((i32, u32, u32)),
    /// The unread begin.
    Unread,
    /// A message.
    Message(Id),
    /// What is not in the chat yet, or failed.
    Pending(Number),
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: RowKey,
    pub(crate) line: Line<'static>,
    /// The last row of its message.
    pub(crate) last: bool,
}

/// What is to be shown.
pub(crate) struct Scene<'a> {
    pub(crate) chat: &'a Chat,
    /// What waits for this chat, in order.
    pub(crate) outbox: &'a [&'a Item],
    pub(crate) name: &'a dyn Fn(UserId) -> String,
    pub(crate) now: Timestamp,
    /// The first message that was unread when the chat was opened.
    pub(crate) divider: Option<Id>,
    pub(crate) selected: Option<RowKey>,
    /// Older messages are on their way.
    pub(crate) reading: bool,
    pub(crate) width: usize,
}

/// The whole conversation, as far as it is held.
pub(crate) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let mut rows = vec![edge(scene)];
    let mut day = None;
    for message in scene.chat.timeline.lines() {
        let local = Local::of(message.id.time());
        if day != Some(local.date()) {
            day = Some(local.date());
            rows.push(rule(
                RowKey::Day(local.date()),
                &local.day_name(Local::of(scene.now)),
                scene.width,
                Color::DarkGray,
            ));
        }
        if scene.divider == Some(message.id) {
            rows.push(rule(RowKey::Unread, "unread", scene.width, Color::Red));
        }
        message_rows(scene, message, &mut rows);
    }
    for item in scene.outbox {
        if let Act::Say { text, reply_to } = &item.intent.act {
            pending_rows(scene, item, text, *reply_to, &mut rows);
        }
    }
    rows
}

fn edge(scene: &Scene<'_>) -> Row {
    let text = match () {
        () if scene.chat.timeline.has_all() => "the conversation begins here",
        () if scene.reading => "reading older messages…",
        () => "older messages are not here yet",
    };
    rule(RowKey::Edge, text, scene.width, Color::DarkGray)
}

fn rule(key: RowKey, text: &str, width: usize, color: Color) -> Row {
    let text = format!(" {text} ");
    let side = width.saturating_sub(text.width()) / 2;
    let line = format!("{}{text}{}", "─".repeat(side), "─".repeat(width.saturating_sub(side + text.width())));
    Row { key, line: Line::styled(cut(&line, width), Style::new().fg(color)), last: true }
}

/// The parts of one message on the screen.
struct Block<'a> {
    key: RowKey,
    at: Timestamp,
    from: UserId,
    quote: Option<String>,
    text: String,
    style: Style,
    status: Span<'static>,
    notes: Vec<Line<'a>>,
}

fn message_rows(scene: &Scene<'_>, message: &Message, rows: &mut Vec<Row>) {
    let status = match scene.chat.status(message) {
        None => Span::raw(""),
        Some(Status::Sent) => Span::styled(" ✓", Style::new().fg(Color::DarkGray)),
        Some(Status::Delivered) => Span::styled(" ✓✓", Style::new().fg(Color::DarkGray)),
        Some(Status::Read) => Span::styled(" ✓✓", Style::new().fg(Color::Cyan)),
    };
    let (text, style) = match (message.deleted, message.edited) {
        (Some(_), _) => ("message deleted".to_owned(), Style::new().fg(Color::DarkGray).add_modifier(Modifier::ITALIC)),
        (None, Some(_)) => (format!("{} (edited)", message.text), Style::new()),
        (None, None) => (message.text.clone(), Style::new()),
    };
    let mut notes: Vec<Line<'_>> = Vec::new();
    let reactions: Vec<String> =
        message.reactions().map(|(by, emoji)| format!("{} {}", clean(emoji), (scene.name)(by))).collect();
    if !reactions.is_empty() {
        notes.push(Line::styled(cut(&reactions.join("  "), scene.width), Style::new().fg(Color::Yellow)));
    }
    notes.extend(scene.outbox.iter().filter_map(|item| change_note(item, message.id)));
    block_rows(
        scene,
        Block {
            key: RowKey::Message(message.id),
            at: message.id.time(),
            from: message.from,
            quote: message.reply_to.map(|id| quote(scene, id)),
            text,
            style,
            status,
            notes,
        },
        rows,
    );
}

fn pending_rows(scene: &Scene<'_>, item: &Item, text: &str, reply_to: Option<Id>, rows: &mut Vec<Row>) {
    if item.met.is_some_and(|taken| scene.chat.timeline.line(taken.id).is_some()) {
        return;
    }
    let (status, notes) = match &item.phase {
        Phase::Failed(code) => {
            let why = format!("not sent: {}", meaning(code));
            let why = wrap(&why, scene.width.saturating_sub(TIME_COLUMNS + NAME_COLUMNS).max(10));
            let red = Style::new().fg(Color::Red);
            (Span::styled(" ✗", red), why.into_iter().map(|row| Line::styled(row, red)).collect())
        }
        _ => (Span::styled(" ⧖", Style::new().fg(Color::Yellow)), Vec::new()),
    };
    block_rows(
        scene,
        Block {
            key: RowKey::Pending(item.intent.local),
            at: item.intent.at,
            from: scene.chat.me(),
            quote: reply_to.map(|id| quote(scene, id)),
            text: text.to_owned(),
            style: Style::new().fg(Color::Gray),
            status,
            notes,
        },
        rows,
    );
}

fn block_rows(scene: &Scene<'_>, block: Block<'_>, rows: &mut Vec<Row>) {
    let indent = TIME_COLUMNS + NAME_COLUMNS;
    let texts = wrap(&block.text, scene.width.saturating_sub(indent + STATUS_COLUMNS).max(10));
    let color = if block.from == scene.chat.me() { Color::Green } else { Color::Blue };
    let name = cut(&(scene.name)(block.from), NAME_COLUMNS - 1);
    let pad = " ".repeat(NAME_COLUMNS - name.width());
    let head = vec![
        Span::styled(format!("{} ", Local::of(block.at).time()), Style::new().fg(Color::DarkGray)),
        Span::styled(name, Style::new().fg(color).add_modifier(Modifier::BOLD)),
        Span::raw(pad),
    ];
    let blank = || vec![Span::raw(" ".repeat(indent))];
    let quote = block.quote.map(|quote| vec![Span::styled(format!("┃ {quote}"), Style::new().fg(Color::DarkGray))]);
    let last = texts.len().saturating_sub(1);
    let texts = texts.into_iter().enumerate().map(|(n, text)| {
        let status = (n == last).then(|| block.status.clone());
        std::iter::once(Span::styled(text, block.style)).chain(status).collect()
    });
    let notes = block
        .notes
        .iter()
        .map(|note| note.iter().map(|span| Span::styled(span.content.to_string(), note.style)).collect());
    let bodies: Vec<Vec<Span<'static>>> = quote.into_iter().chain(texts).chain(notes).collect();
    let count = bodies.len();
    for (n, body) in bodies.into_iter().enumerate() {
        let mut spans = if n == 0 { head.clone() } else { blank() };
        spans.extend(body);
        let mut line = Line::from(spans);
        if scene.selected == Some(block.key) {
            line = line.style(Style::new().bg(Color::Rgb(50, 50, 70)));
        }
        rows.push(Row { key: block.key, line, last: n + 1 == count });
    }
}

fn quote(scene: &Scene<'_>, id: Id) -> String {
    let width = scene.width.saturating_sub(TIME_COLUMNS + NAME_COLUMNS + 2);
    match scene.chat.timeline.line(id) {
        Some(message) if message.deleted.is_some() => "a deleted message".to_owned(),
        Some(message) => cut(&format!("{}: {}", (scene.name)(message.from), message.text), width),
        None => "a message further up".to_owned(),
    }
}

/// A change of a message that waits or failed.
fn change_note(item: &Item, id: Id) -> Option<Line<'static>> {
    let what = match &item.intent.act {
        Act::Edit { id: target, text } if *target == id => format!("new text: {}", cut(text, 60)),
        Act::Delete { id: target } if *target == id => "deletion".to_owned(),
        Act::React { id: target, emoji } if *target == id => format!("reaction {}", clean(emoji)),
        Act::Unreact { id: target } if *target == id => "reaction taken back".to_owned(),
        _ => return None,
    };
    Some(match &item.phase {
        Phase::Failed(code) => Line::styled(format!("✗ {what}: {}", meaning(code)), Style::new().fg(Color::Red)),
        _ => Line::styled(format!("⧖ {what}"), Style::new().fg(Color::Yellow)),
    })
}

/// What a code says, for people.
pub(crate) fn meaning(code: &str) -> String {
    if code == DEVICE_CHANGED {
        return "this device was logged out before it heard whether it arrived".to_owned();
    }
    let known = Code::ALL.iter().find(|known| known.text() == code);
    known.map_or_else(|| code.to_owned(), |known| known.meaning().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use volery_client::intent::Draft;
    use volery_client::outbox::Outbox;
    use volery_client::view::View;
    use volery_kernel::chat::ChatId;
    use volery_kernel::id::DeviceId;
    use volery_kernel::position::Source;
    use volery_wire::server::{MarkKind, Marked, Message as Frame, Page, Reply};

    const ME: u64 = 1;
    const PEER: u64 = 2;

    fn user(raw: u64) -> UserId {
        UserId::new(raw).unwrap()
    }

    fn id(n: u64) -> Id {
        Id::new(n << 22).unwrap()
    }

    fn frame(n: u64, from: u64, text: &'static str) -> Frame<'static> {
        Frame {
            chat: ChatId::direct(user(ME), user(PEER)),
            id: id(n),
            from: user(from),
            source: Source(n),
            text: Cow::Borrowed(text),
            reply_to: None,
            key: None,
            shown: None,
            edited: None,
            deleted: None,
            reactions: Vec::new(),
            position: None,
        }
    }

    fn shown(view: &View, outbox: &Outbox, divider: Option<Id>) -> Vec<String> {
        let chat = view.chat(ChatId::direct(user(ME), user(PEER))).unwrap();
        let items: Vec<&Item> = outbox.items().collect();
        let name = |user: UserId| if user.get() == ME { "you".to_owned() } else { "bea".to_owned() };
        let (selected, reading, now, width) = (None, false, Timestamp(0), 60);
        let rows = rows(&Scene { chat, outbox: &items, name: &name, now, divider, selected, reading, width });
        assert!(rows.iter().all(|row| row.line.width() <= width));
        let text = |row: &Row| row.line.iter().map(|span| span.content.as_ref()).collect::<String>();
        // Without times, which depend on the zone.
        rows.iter().map(|row| text(row).chars().skip(TIME_COLUMNS).collect::<String>().trim().to_owned()).collect()
    }

    #[test]
    fn what_waits_what_failed_and_how_far_the_rest_has_come() {
        let mut view = View::new(user(ME), DeviceId::new(9).unwrap());
        let messages =
            vec![frame(1, ME, "read"), frame(2, PEER, "hi\nthere"), frame(3, ME, "held"), frame(4, ME, "sent")];
        let chat = ChatId::direct(user(ME), user(PEER));
        view.page(&Page { chat, messages, older: None, newer: None, covers: Source(9) }, None);
        for (kind, source) in [(MarkKind::Read, 1), (MarkKind::Delivered, 3)] {
            view.event(&Reply::Marked(Marked {
                chat,
                reader: user(PEER),
                kind,
                source: Source(source),
                id: id(source),
                position: None,
            }));
        }
        let mut outbox = Outbox::default();
        for act in [
            Act::Say { text: "waits".into(), reply_to: Some(id(2)) },
            Act::Say { text: "fails".into(), reply_to: None },
            Act::Delete { id: id(4) },
        ] {
            outbox.push(Draft { to: user(PEER), act, at: Timestamp(0), shown: None }).unwrap();
        }
        outbox.sent(1, volery_kernel::id::SessionNumber::new(5).unwrap(), 77);
        outbox.refused(77, "unknown_recipient".into()).unwrap();
        let rows = shown(&view, &outbox, Some(id(2)));
        let expected = [
            "you           read ✓✓",
            "unread",
            "bea           hi",
            "there",
            "you           held ✓✓",
            "you           sent ✓",
            "⧖ deletion",
            "you           ┃ bea: hi there",
            "waits ⧖",
            "you           fails ✗",
            "not sent: There is no such user.",
        ];
        let rows: Vec<_> = rows.iter().skip(2).map(|row| row.trim_matches(['─', ' '])).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn nothing_of_others_commands_the_terminal() {
        let mut view = View::new(user(ME), DeviceId::new(9).unwrap());
        view.event(&Reply::Message(frame(1, PEER, "\u{1b}]0;owned\u{7}\u{202e}")));
        let rows = shown(&view, &Outbox::default(), None);
        assert!(rows.iter().all(|row| !row.contains(['\u{1b}', '\u{7}', '\u{202e}'])));
    }
}
