//! What devices were told, show and say: syncs, views, marks, chat lists, ends.

use volery_checker::history::{Step, What};
use volery_checker::violation::Promise::{G4, History as Record, Marks, Progress};
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::server::MarkKind;

use super::Mutation;
use crate::scene::{Wrong as _, chat, label};
use crate::world::text;

pub(super) const MUTATIONS: &[Mutation] = &[
    ("a message on a stranger's device", G4, "not theirs", |history| {
        let at = history.showed(3, "d0.6");
        history.steps[at].device = 4;
        vec![at]
    }),
    ("synced lacks a message that came in", G4, "lacks d0.6", |history| {
        let at = history.showed(3, "d0.6");
        history.steps.remove(at);
        vec![at + history.steps[at..].iter().position(is_synced(3)).expect("synced")]
    }),
    ("synced lacks a message of another own device", G4, "lacks d0.8", |history| {
        let at = history.showed(1, "d0.8");
        history.steps.remove(at);
        vec![at + history.steps[at..].iter().position(is_synced(1)).expect("synced")]
    }),
    ("pages lack a message", G4, "lacks d0.6", |history| {
        let at = history.showed(1, "d0.6");
        history.steps.remove(at);
        vec![history.last(|step| step.device == 1 && step.what == What::Reset)]
    }),
    ("synced lacks a reaction", G4, "lacks d2.2", |history| {
        let at = history.last(|step| step.device == 1 && matches!(step.what, What::Changed { .. }));
        history.steps.remove(at);
        vec![at + history.steps[at..].iter().position(is_synced(1)).expect("synced")]
    }),
    ("synced lacks an edit", G4, "lacks d0.4", |history| {
        let (edit, row) = (history.id("d0.4"), history.id("d0.1"));
        let is = |what: &What| matches!(what, What::Changed { id, change, .. } if (*id, *change) == (row, edit));
        let at = history.at(|step| step.device == 3 && is(&step.what));
        history.steps.remove(at);
        vec![at + history.steps[at..].iter().position(is_synced(3)).expect("synced")]
    }),
    ("synced before the pages are read", G4, "between its reset and its pages", |history| {
        let at = history.last(|step| step.device == 1 && step.what == What::PagesRead);
        history.steps.remove(at);
        vec![history.last(|step| step.device == 1 && step.what == What::Reset)]
    }),
    ("a view lacks a message", G4, "d2 lacks d0.6", |history| {
        let id = history.id("d0.6");
        let (at, rows) = history.view(2);
        rows.retain(|row| row.id != id);
        vec![at]
    }),
    ("a view shows what does not stand", G4, "d2 shows d0.8", |history| {
        let id = history.id("d0.8");
        let at = history.view(2).0;
        history.timeline().1.retain(|row| row.id != id);
        vec![at]
    }),
    ("a view shows an old text", G4, "with another text", |history| {
        let id = history.id("d0.1");
        let (at, rows) = history.view(2);
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.text = Some(text(label("d0.1"))));
        vec![at]
    }),
    ("a view lacks a reaction", G4, "or other reactions", |history| {
        let id = history.id("d0.6");
        let (at, rows) = history.view(2);
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.reactions.clear());
        vec![at]
    }),
    ("a chat list lacks a chat", G4, "chat list lacks", |history| {
        let at = history.line(2).0;
        history.steps[at].what = What::Lines(Vec::new());
        vec![at]
    }),
    ("a mark over what was not shown", Marks, "had not shown d0.6", |history| {
        let most = history.row(history.showed(3, "d0.7")).source;
        let at = history.showed(3, "d0.6");
        history.insert(at, 3, What::SaidMark { chat: chat(), kind: MarkKind::Read, source: most });
        vec![at]
    }),
    ("a send says that it showed what was not shown", Marks, "had not shown d0.1", |history| {
        let (source, id) = (Source::new(1, 1_000), history.id("d0.7"));
        let showed = history.at(|step| step.device == 2 && matches!(step.what, What::Showed { .. }));
        let mut showed = history.steps.remove(showed);
        let at = history.sent("d2.1");
        showed.at = history.steps[at].at;
        history.steps.insert(at + 1, showed);
        let What::Sent { shown, .. } = &mut history.steps[at].what else { unreachable!() };
        *shown = Some(Shown { source, id });
        vec![at]
    }),
    ("a mark is told that nobody said", Marks, "at most", |history| {
        let at = history.at(|step| matches!(step.what, What::Marked { kind: MarkKind::Read, .. }));
        let What::Marked { source, .. } = &mut history.steps[at].what else { unreachable!() };
        *source = Source(source.0 + 1);
        vec![at]
    }),
    ("a delivered mark runs ahead", Marks, "which no device of theirs had shown", |history| {
        let most = history.row(history.showed(3, "d0.7")).source;
        let at = history.at(|step| matches!(step.what, What::Marked { kind: MarkKind::Delivered, .. }));
        let What::Marked { source, .. } = &mut history.steps[at].what else { unreachable!() };
        *source = most;
        vec![at]
    }),
    ("an unread count is one too high", Marks, "unread and not", |history| {
        let (at, line) = history.line(2);
        line.unread += 1;
        vec![at]
    }),
    ("the newest message is not the newest", Marks, "newest incoming", |history| {
        let (at, line) = history.line(0);
        line.newest_incoming = Source(line.newest_incoming.0 - 1);
        vec![at]
    }),
    ("a read mark is lost", Marks, "has not stopped since", |history| {
        let said = history.last(|step| step.device == 3 && matches!(step.what, What::SaidMark { .. }));
        let (at, line) = history.line(2);
        (line.marks.read, line.unread) = (Source::ZERO, 5);
        vec![said, at]
    }),
    ("a read mark that nobody said", Marks, "which nobody said", |history| {
        let (at, line) = history.line(2);
        line.marks.read = Source(line.marks.read.0 + 1);
        vec![at]
    }),
    ("the other side is told another read mark", Marks, "the other side has read", |history| {
        let (at, line) = history.line(0);
        line.marks.peer_read = Source::ZERO;
        vec![at]
    }),
    ("delivered stays behind", Marks, "they hold d0.8", |history| {
        let (at, line) = history.line(0);
        line.marks.peer_delivered = line.marks.peer_read;
        vec![at]
    }),
    ("two lists of one user differ", Marks, "another list", |history| {
        let (at, line) = history.line(1);
        line.marks.peer_read = Source::ZERO;
        vec![at]
    }),
    ("a view knows less than the list", Marks, "shows peer_read", |history| {
        let at = history.view(0).0;
        let What::View { marks, .. } = &mut history.steps[at].what else { unreachable!() };
        marks[0].peer_read = Source(1);
        vec![at]
    }),
    ("a view knows more than the list", Marks, "shows peer_delivered", |history| {
        let at = history.view(3).0;
        let What::View { marks, .. } = &mut history.steps[at].what else { unreachable!() };
        marks[0].peer_delivered = Source(u64::MAX);
        vec![at]
    }),
    ("two messages in one place", Marks, "have one source", |history| {
        let same = history.row(history.showed(3, "d0.6")).source;
        let at = history.showed(3, "d0.7");
        history.row(at).source = same;
        let at = history.ack("d0.7");
        vec![at]
    }),
    ("a device is not synced in the end", Progress, "d3 runs and is not synced", |history| {
        let at = history.last(is_synced(3));
        history.steps.remove(at);
        vec![]
    }),
    ("a send has no end", Progress, "d0.8", |history| {
        let ended = label("d0.8");
        history.steps.retain(|step| !matches!(step.what, What::Ended { label, .. } if label == ended));
        vec![history.sent("d0.8")]
    }),
    ("a label is used twice", Record, "d0.6 is wanted twice", |history| {
        let at = history.sent("d0.6") - 1;
        let again = history.steps[at].what.clone();
        history.insert(at + 1, 0, again);
        vec![at, at + 1]
    }),
    ("a send leaves under two keys", Record, "under two keys", |history| {
        let at = history.sent("d0.6");
        let mut again = history.steps[at].what.clone();
        let What::Sent { number, .. } = &mut again else { unreachable!() };
        *number = 77;
        history.insert(at + 1, 0, again);
        vec![at, at + 1]
    }),
];

fn is_synced(device: u32) -> impl Fn(&Step) -> bool {
    move |step| step.device == device && step.what == What::Synced
}
