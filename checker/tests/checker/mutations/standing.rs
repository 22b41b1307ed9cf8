//! What stands, under which id, in which order, with which text.

use volery_checker::history::{Act, History, What};
use volery_checker::violation::Promise::{G1, G2, G3};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, UserId};
use volery_wire::server::Reaction;

use super::{Mutation, written};
use crate::scene::{Wrong as _, chat, label};
use crate::world::{text, user};

pub(super) const MUTATIONS: &[Mutation] = &[
    ("an acknowledged message is lost", G1, "d0.6", |history| {
        let id = history.id("d0.6");
        for device in 0..4 {
            history.view(device).1.retain(|row| row.id != id);
        }
        let (at, rows) = history.timeline();
        rows.retain(|row| row.id != id);
        vec![history.sent("d0.6"), history.ack("d0.6"), at]
    }),
    ("an acknowledged edit is lost", G1, "its edit d0.4", |history| {
        let id = history.id("d0.1");
        let (at, rows) = history.timeline();
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.text = Some(text(label("d0.1"))));
        vec![history.ack("d0.4"), at]
    }),
    ("a deletion is undone", G1, "its deletion d0.5", |history| {
        let id = history.id("d0.2");
        let (at, rows) = history.timeline();
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.text = Some(text(label("d0.2"))));
        vec![history.ack("d0.5"), at]
    }),
    ("an acknowledged reaction is lost", G1, "the reaction d2.2", |history| {
        let id = history.id("d0.6");
        for device in 0..4 {
            let view = history.view(device).1;
            view.iter_mut().filter(|row| row.id == id).for_each(|row| row.reactions.clear());
        }
        let (at, rows) = history.timeline();
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.reactions.clear());
        vec![history.ack("d2.2"), at]
    }),
    ("a reaction is altered", G2, "is shown with another emoji", |history| {
        let at = history.timeline().0;
        reaction(history).emoji.push('!');
        vec![history.sent("d2.2"), at]
    }),
    ("a reaction in somebody else's name", G2, "never asked for by user 7", |history| {
        reaction(history).by = user(0);
        vec![history.timeline().0]
    }),
    ("a row stands twice", G3, "twice", |history| {
        let (at, rows) = history.timeline();
        rows.insert(2, rows[1].clone());
        vec![at]
    }),
    ("a message stands under two ids", G2, "d0.8 has two ids", |history| {
        let (at, rows) = history.timeline();
        let mut again = rows.last().expect("a row").clone();
        again.id = again.id.next();
        rows.push(again);
        vec![at]
    }),
    ("two rows change places", G3, "after", |history| {
        let (at, rows) = history.timeline();
        rows.swap(2, 3);
        vec![at]
    }),
    ("a device shows one text at the id of another", G2, "d0.7 has two ids", |history| {
        let at = history.showed(3, "d0.6");
        history.row(at).text = Some(text(label("d0.7")));
        vec![at]
    }),
    ("an acknowledgement names a wrong id", G2, "d0.2 has two ids", |history| {
        let at = history.ack("d0.2");
        let wrong = Id::new(999).expect("an id");
        let What::Acked { id, .. } = &mut history.steps[at].what else { unreachable!() };
        *id = wrong;
        vec![at]
    }),
    ("a retry is answered twice, with two ids", G2, "d0.2 has two ids", |history| {
        let at = history.ack("d0.2");
        let mut again = history.steps[at].what.clone();
        let What::Acked { id, .. } = &mut again else { unreachable!() };
        *id = Id::new(999_999).expect("an id");
        history.insert(at + 2, 0, again);
        vec![at + 2]
    }),
    ("an id is given away twice", G2, "names both d0.6 and d0.7", |history| {
        let (taken, at) = (history.id("d0.6"), history.ack("d0.7"));
        let What::Acked { id, .. } = &mut history.steps[at].what else { unreachable!() };
        *id = taken;
        vec![at]
    }),
    ("an acknowledgement of nothing", G2, "number 77", |history| {
        let at = history.ack("d0.6");
        let What::Acked { number, .. } = &mut history.steps[at].what else { unreachable!() };
        *number = 77;
        vec![at]
    }),
    ("something stands that nobody said", G2, "d9.9", |history| {
        let (at, rows) = history.timeline();
        let mut row = rows.last().expect("a row").clone();
        (row.id, row.text) = (row.id.next(), Some(text(label("d9.9"))));
        rows.push(row);
        vec![at]
    }),
    ("a refused send stands", G2, "d0.3", |history| {
        let refused = history.at(|step| matches!(step.what, What::Refused { .. }));
        let (at, rows) = history.timeline();
        let mut row = rows.last().expect("a row").clone();
        (row.id, row.text) = (Id::new(999_999).expect("an id"), Some(text(label("d0.3"))));
        rows.push(row);
        vec![refused, at]
    }),
    ("a message is shown before it is sent", G2, "d0.6", |history| {
        let sent = history.sent("d0.6");
        let showed = history.steps.remove(history.showed(3, "d0.6"));
        history.steps.insert(sent, showed);
        vec![sent]
    }),
    ("a text is altered", G2, "with another text", |history| {
        let at = history.showed(3, "d0.6");
        history.row(at).text.as_mut().expect("a text").hash ^= 1;
        vec![at]
    }),
    ("somebody else's edit shows", G2, "d2.99", |history| {
        let (forged, target, at) = (label("d2.99"), history.id("d0.6"), history.sent("d0.8"));
        let act = Act::Edit { target, text: text(forged) };
        history.insert(at, 2, What::Wanted { label: forged, chat: chat(), act, after: None });
        let (timeline, rows) = history.timeline();
        rows.iter_mut().filter(|row| row.id == target).for_each(|row| row.text = Some(text(forged)));
        vec![at, timeline]
    }),
    ("somebody else's deletion shows", G2, "d0.6", |history| {
        let id = history.id("d0.6");
        let (at, rows) = history.timeline();
        rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.text = None);
        vec![at]
    }),
    ("a message in somebody else's name", G2, "in the name of user 8", |history| {
        let at = history.showed(3, "d0.6");
        history.row(at).from = user(1);
        vec![at]
    }),
    ("a message in another chat", G2, "d0.6", |history| {
        let at = history.showed(3, "d0.6");
        history.row(at).chat = ChatId::direct(user(1), user(1));
        vec![at]
    }),
    ("a change that nobody asked for", G2, "never asked for by user 8", |history| {
        let at = history.at(|step| matches!(step.what, What::Changed { .. }));
        let What::Changed { by, .. } = &mut history.steps[at].what else { unreachable!() };
        *by = user(1);
        vec![at]
    }),
    ("a change with the id of a message", G2, "it is d0.6", |history| {
        let (taken, at) = (history.id("d0.6"), history.last(|step| is_change_of(&step.what, user(0))));
        let mut again = history.steps[at].what.clone();
        let What::Changed { change, .. } = &mut again else { unreachable!() };
        *change = taken;
        let at = history.showed(3, "d0.6") + 1;
        history.insert(at, 3, again);
        vec![at]
    }),
    ("a device's sends change places", G3, "d0.7 (id ", |history| {
        let (six, seven) = (history.id("d0.6"), history.id("d0.7"));
        let lines = written(history);
        let lines =
            lines.replace(&quoted(six), "\"x\"").replace(&quoted(seven), &quoted(six)).replace("\"x\"", &quoted(seven));
        *history = History::read(lines.as_bytes()).expect("a history");
        vec![history.sent("d0.7") - 1, history.ack("d0.7")]
    }),
    ("an answer stands before its question", G3, "was wanted after", |history| {
        let late = history.id("d0.8");
        let at = history.sent("d0.7") - 1;
        let What::Wanted { after, .. } = &mut history.steps[at].what else { unreachable!() };
        *after = Some(late);
        vec![at, history.ack("d0.7")]
    }),
    ("two readers disagree", G3, "disagree", |history| {
        let (at, rows) = history.timeline();
        let rows = rows[1..].to_vec();
        history.insert(at + 1, 2, What::Timeline { chat: chat(), rows });
        vec![at, at + 1]
    }),
];

fn is_change_of(what: &What, user: UserId) -> bool {
    matches!(what, What::Changed { by, .. } if *by == user)
}

/// The reaction of the timeline.
fn reaction(history: &mut History) -> &mut Reaction {
    history.timeline().1.iter_mut().flat_map(|row| &mut row.reactions).next().expect("a reaction")
}

fn quoted(id: Id) -> String {
    format!("\"{id}\"")
}
