//! Steps in plain English, a line each: what a person reads below a violation.

use std::fmt;

use volery_wire::server::{MarkKind, Reaction};

use crate::history::{Act, History, Row, Step, Via, WORLD, What};
use crate::violation::Violation;

impl Violation {
    /// The sentence, then the steps that show it, each a line with its time and device.
    #[must_use]
    pub fn tell(&self, history: &History) -> String {
        let steps = self.steps.iter().filter_map(|at| history.steps.get(*at));
        let lines = steps.map(|step| format!("  {}\n", Told(step)));
        format!("{}: {}\n{}", self.promise, self.what, lines.collect::<String>())
    }
}

struct Told<'s>(&'s Step);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { at, device, what } = self.0;
        let who = if *device == WORLD { "world".to_owned() } else { format!("d{device}") };
        write!(f, "{:>12} s  {who:<6}  {}", format!("{}.{:06}", at / 1_000_000, at % 1_000_000), said(what))
    }
}

fn said(what: &What) -> String {
    match what {
        What::Device { user, device } => format!("is device {device} of user {user}"),
        What::Started => "starts".to_owned(),
        What::Stopped => "stops".to_owned(),
        What::Restored => "is back at an older state".to_owned(),
        What::Fault(what) => format!("breaks: {what}"),
        What::Hello { resume: true } => "says hello, with a position".to_owned(),
        What::Hello { resume: false } => "says hello, without a position".to_owned(),
        What::Welcome(session) => format!("is welcomed to session {session}"),
        What::Synced => "is told synced".to_owned(),
        What::Gap => "is told of a gap".to_owned(),
        What::Reset => "is reset".to_owned(),
        What::PagesRead => "has read its pages".to_owned(),
        What::Closed => "loses its connection".to_owned(),
        What::Wanted { .. } | What::Sent { .. } | What::Acked { .. } | What::Refused { .. } | What::Ended { .. } => {
            of_send(what)
        }
        _ => of_view(what),
    }
}

fn of_send(what: &What) -> String {
    match what {
        What::Wanted { label, chat, act, after } => {
            let after = after.map(|id| format!(", after it showed id {id}")).unwrap_or_default();
            format!("wants {label} in {chat}: {}{after}", wish(act))
        }
        What::Sent { label, session, number, retry, shown } => {
            let verb = if *retry { "retries" } else { "sends" };
            let shown = shown.map(|shown| format!(", shown up to source {}", shown.source.0)).unwrap_or_default();
            format!("{verb} {label} as number {number} of session {session}{shown}")
        }
        What::Acked { session, number, id, source } => {
            format!("is told that number {number} of session {session} is id {id}, source {}", source.0)
        }
        What::Refused { session, number, code } => {
            format!("is told that number {number} of session {session} is refused: {code}")
        }
        What::Ended { label, id: Some(id) } => format!("tells its user that {label} stands as id {id}"),
        What::Ended { label, id: None } => format!("tells its user that {label} is given up"),
        _ => String::new(),
    }
}

fn wish(act: &Act) -> String {
    match act {
        Act::Say(_) => "a message".to_owned(),
        Act::Edit { target, .. } => format!("another text for id {target}"),
        Act::Delete(target) => format!("id {target} deleted"),
        Act::React { target, emoji } if emoji.is_empty() => format!("no reaction to id {target}"),
        Act::React { target, emoji } => format!("reaction {emoji} to id {target}"),
    }
}

fn of_view(what: &What) -> String {
    match what {
        What::Showed { via, row } => {
            let via = if *via == Via::Stream { "from its stream" } else { "from a page" };
            format!("shows {}, {via}", of_row(row))
        }
        What::Changed { chat, id, change, by } => format!("shows change {change} of id {id} in {chat} by user {by}"),
        What::Marked { chat, reader, kind, source } => {
            format!("is told that user {reader} {} {chat} up to source {}", of_kind(*kind), source.0)
        }
        What::SaidMark { chat, kind, source } => {
            format!("says that it {} {chat} up to source {}", of_kind(*kind), source.0)
        }
        What::Timeline { chat, rows } => format!("reads all of {chat}: {} messages", rows.len()),
        What::Lines(lines) => format!("reads its chat list: {} chats", lines.len()),
        What::View { rows, .. } => format!("shows {} messages at rest", rows.len()),
        _ => String::new(),
    }
}

fn of_kind(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Delivered => "holds",
        MarkKind::Read => "has read",
    }
}

fn of_row(row: &Row) -> String {
    let Row { chat, id, from, source, text, reactions } = row;
    let text = text.map_or_else(|| "a deleted message".to_owned(), |text| text.label.to_string());
    let reaction = |made: &Reaction| match made.emoji.as_str() {
        "" => format!(", no reaction of user {} by change {}", made.by, made.change),
        emoji => format!(", reaction {emoji} of user {} by change {}", made.by, made.change),
    };
    let reactions: String = reactions.iter().map(reaction).collect();
    format!("{text} as id {id} of {chat}, from user {from}, source {}{reactions}", source.0)
}
