//! The screen: chats at the left, the conversation, the text that is written, the state of the link.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use volery_client::core::Link;
use volery_kernel::limits;

use crate::app::{App, Mode, Purpose, QUICK};
use crate::wrap::cut;

/// The chat list takes a quarter of the screen, within these bounds; on a narrow screen there is none.
const CHATS_COLUMNS: (u16, u16) = (18, 28);
const NARROW: u16 = 64;
const EDITOR_ROWS_MOST: usize = 8;

const HELP: &str = " Enter            send
 Alt-Enter        new line (Ctrl-J as well)
 Tab, Shift-Tab   next, previous chat (Alt-↓, Alt-↑)
 Ctrl-F           find somebody to write to
 PageUp/PageDown  scroll
 End              to the newest message
 Esc, or ↑        choose a message, then
    ↑ ↓           another one
    r, Enter      reply
    e, d          edit, delete your own
    +             react
    s, x          send again, put away what failed
 Ctrl-R           connect now
 Ctrl-C           leave

 ⧖ queued   ✓ sent   ✓✓ delivered   ✓✓ in colour: read   ✗ not sent   ● there";

pub(crate) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let [body, status] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    let narrow = body.width < NARROW;
    let columns = if narrow { 0 } else { (body.width / 4).clamp(CHATS_COLUMNS.0, CHATS_COLUMNS.1) };
    let [chats, right] = Layout::horizontal([Constraint::Length(columns), Constraint::Min(10)]).areas(body);
    if !narrow {
        draw_chats(app, frame, chats);
    }
    draw_right(app, frame, right);
    frame.render_widget(Paragraph::new(status_line(app)).style(Style::new().bg(Color::Rgb(30, 30, 40))), status);
    match app.mode {
        Mode::Help => draw_over(frame, " Help ", Text::raw(HELP), 76),
        Mode::Find => draw_finder(app, frame),
        _ => {}
    }
}

fn draw_chats(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width.saturating_sub(2));
    let chats = app.client.device().view().chats();
    let open = chats.iter().position(|chat| Some(chat.id()) == app.chat).unwrap_or(0);
    let rows = usize::from(area.height);
    let skip = open.saturating_sub(rows.saturating_sub(2));
    let lines = chats.iter().skip(skip).take(rows).map(|chat| {
        let unread = match chat.unread() {
            0 => String::new(),
            count if count >= limits::UNREAD_MOST.value => " 99+".to_owned(),
            count => format!(" {count}"),
        };
        let name = cut(&app.title(chat.id()), width.saturating_sub(unread.len() + 2));
        let pad = width.saturating_sub(Span::raw(&name).width() + unread.len() + 2);
        let selected = Some(chat.id()) == app.chat;
        let mut style = Style::new();
        if selected {
            style = style.bg(Color::Rgb(50, 50, 70));
        }
        if !unread.is_empty() {
            style = style.add_modifier(Modifier::BOLD);
        }
        let count = Span::styled(unread, Style::new().fg(Color::Yellow));
        let dot = Span::styled(if app.is_online(chat.id()) { "●" } else { " " }, Style::new().fg(Color::Green));
        Line::from(vec![dot, Span::raw(format!(" {name}{}", " ".repeat(pad))), count]).style(style)
    });
    let block = Block::new().borders(Borders::RIGHT).border_style(Style::new().fg(Color::DarkGray));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn draw_right(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width.saturating_sub(2));
    let (rows, cursor) = app.editor.rows(width.saturating_sub(2));
    let shown = rows.len().min(EDITOR_ROWS_MOST);
    let above = u16::from(prompt(app).is_some());
    let editor_rows = u16::try_from(shown).unwrap_or(1) + above + 1;
    let areas = Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(editor_rows)]);
    let [title, conversation, editor] = areas.areas(area);
    let name = app.chat.map_or_else(
        || "Tab opens the newest chat, Ctrl-F finds somebody to write to · F1 helps".to_owned(),
        |chat| app.title(chat),
    );
    let dot = app.chat.filter(|chat| app.is_online(*chat)).map_or("", |_| " ●");
    let typing = app.typing().map(|typing| format!("  {typing}")).unwrap_or_default();
    let line = Line::from(vec![
        Span::styled(format!(" {name}"), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(dot, Style::new().fg(Color::Green)),
        Span::styled(typing, Style::new().fg(Color::DarkGray)),
    ]);
    frame.render_widget(line, title);
    draw_conversation(app, frame, conversation);
    draw_editor(app, frame, editor, &rows, cursor);
}

fn draw_conversation(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (usize::from(area.width.saturating_sub(2)), usize::from(area.height));
    let (rows, start) = app.lay_out(width, height);
    let lines: Vec<Line<'_>> = rows.iter().skip(start).take(height).map(|row| row.line.clone()).collect();
    let empty = height.saturating_sub(lines.len());
    let lower = Rect {
        x: area.x + 1,
        y: area.y + u16::try_from(empty).unwrap_or(0),
        width: area.width.saturating_sub(1),
        height: area.height - u16::try_from(empty).unwrap_or(0),
    };
    frame.render_widget(Paragraph::new(lines), lower);
}

/// What the editor is for, if not for a plain message.
fn prompt(app: &App) -> Option<String> {
    let quote = |id| {
        let chat = app.chat.and_then(|chat| app.client.device().view().chat(chat));
        chat.and_then(|chat| chat.timeline.line(id)).map(|line| cut(&line.text, 60)).unwrap_or_default()
    };
    match (&app.mode, app.purpose) {
        (Mode::Choose(_), _) => {
            Some("↑ ↓ choose · r reply · e edit · d delete · + react · s again · x put away · Esc".to_owned())
        }
        (Mode::React(_), _) => {
            let keys = QUICK.iter().enumerate().map(|(n, emoji)| format!("{} {emoji}", n + 1));
            Some(format!("{} · 0 none · or type one", keys.collect::<Vec<_>>().join("  ")))
        }
        (_, Purpose::Reply(id)) => Some(format!("reply to: {} · Esc", quote(id))),
        (_, Purpose::Edit(id)) => Some(format!("edit: {} · Esc", quote(id))),
        (_, Purpose::Say) => None,
    }
}

fn draw_editor(app: &App, frame: &mut Frame<'_>, area: Rect, rows: &[String], cursor: (usize, usize)) {
    let block = Block::new().borders(Borders::TOP).border_style(Style::new().fg(Color::DarkGray));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let prompt = prompt(app).map(|text| Line::styled(format!(" {text}"), Style::new().fg(Color::Yellow)));
    let above = usize::from(prompt.is_some());
    let room = usize::from(inner.height).saturating_sub(above).max(1);
    let skip = (cursor.0 + 1).saturating_sub(room);
    let texts = rows.iter().skip(skip).take(room).enumerate().map(|(n, row)| {
        let mark = if n + skip == 0 { "› " } else { "  " };
        Line::from(vec![Span::styled(mark, Style::new().fg(Color::Green)), Span::raw(row.clone())])
    });
    frame.render_widget(Paragraph::new(prompt.into_iter().chain(texts).collect::<Vec<_>>()), inner);
    if app.mode == Mode::Write {
        let column = |n: usize| u16::try_from(n).unwrap_or(0);
        let at = Position::new(inner.x + 2 + column(cursor.1), inner.y + column(above + cursor.0 - skip));
        frame.set_cursor_position(at);
    }
}

fn status_line(app: &App) -> Line<'static> {
    let trouble = app.client.trouble().map(|why| format!(" ({})", cut(why, 60))).unwrap_or_default();
    let (text, color) = match app.client.device().core().link() {
        Link::Synced => ("● connected".to_owned(), Color::Green),
        Link::Syncing => ("● connected, catching up…".to_owned(), Color::Yellow),
        Link::Greeting | Link::Connecting | Link::Authorizing => (format!("○ connecting…{trouble}"), Color::Yellow),
        Link::Waiting(at) => {
            let wait = app.client.until(at).as_secs_f32().ceil();
            let since =
                app.client.offline_since().map(|since| format!(" since {}", crate::clock::Local::of(since).time()));
            (format!("○ offline{}, next attempt in {wait} s{trouble}", since.unwrap_or_default()), Color::Red)
        }
        Link::Down(down) => (format!("○ {down}; Ctrl-R connects{trouble}"), Color::Red),
    };
    let waiting = app.client.device().core().outbox().items().count();
    let waiting = if waiting > 0 { format!("  ⧖ {waiting} waiting") } else { String::new() };
    let note = app.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
    Line::from(vec![
        Span::styled(format!(" {text}"), Style::new().fg(color)),
        Span::styled(waiting, Style::new().fg(Color::Yellow)),
        Span::styled(note, Style::new().fg(Color::Magenta)),
    ])
}

fn draw_finder(app: &App, frame: &mut Frame<'_>) {
    let mut lines = vec![Line::from(vec![
        Span::styled(" name: ", Style::new().fg(Color::Green)),
        Span::raw(app.finder.editor.text().to_owned()),
        Span::raw("▏"),
    ])];
    lines.extend(
        app.finder.says.as_ref().map(|says| Line::styled(format!(" {says}"), Style::new().fg(Color::DarkGray))),
    );
    lines.extend(app.finder.people.iter().enumerate().map(|(n, person)| {
        let line = Line::raw(format!(" {} (@{})", cut(&person.display_name, 40), person.user_name));
        if n == app.finder.at { line.style(Style::new().bg(Color::Rgb(50, 50, 70))) } else { line }
    }));
    draw_over(frame, " Write to… ", Text::from(lines), 60);
}

fn draw_over(frame: &mut Frame<'_>, title: &str, text: Text<'_>, width: u16) {
    let area = frame.area();
    let height = u16::try_from(text.lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let width = width.min(area.width);
    let middle = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, middle);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(title.to_owned())), middle);
}
