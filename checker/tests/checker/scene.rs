//! One honest history in which everything happens, and the tools to put one thing of it wrong.
//!
//! d0 and d1 are user 7's, d2 and d3 user 8's, d4 is user 9's, who talks to nobody.

use volery_checker::history::{Act, History, Line, Row, Step, What};
use volery_checker::text::Label;
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;

use crate::sending::Fate;
use crate::world::{World, text, user};

const ALL: usize = usize::MAX;

pub(crate) fn chat() -> ChatId {
    ChatId::direct(user(0), user(1))
}

pub(crate) fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

/// d0.1 is edited by d0.4, d0.2 is retried and deleted by d0.5, d0.3 is refused; d1 and d3 are away
/// when d0.6 and d0.7 are said, d1 is then reset; d1 is away when d0.8 is said, which is never read, and
/// when d2.2 puts a reaction to d0.6.
pub(crate) fn scene() -> History {
    let mut world = World::new(&[0, 0, 1, 1, 2]);
    (0..5).for_each(|n| world.connect(n));
    world.say(0, user(1));
    world.send(0, Fate::Accepted, false);
    spread(&mut world);
    world.say(2, user(0));
    world.send(2, Fate::Accepted, false);
    spread(&mut world);
    world.say(0, user(1));
    world.send(0, Fate::Lost { accepted: true }, false);
    world.connect(0);
    world.send(0, Fate::Accepted, false);
    spread(&mut world);
    world.say(0, user(1));
    world.send(0, Fate::Refused, false);
    world.read(2, chat());
    let (one, two) = (world.devices[0].own()[0].1, world.devices[0].own()[1].1);
    world.want(0, chat(), |label| Act::Edit { target: one, text: text(label) });
    world.want(0, chat(), |_| Act::Delete(two));
    world.send(0, Fate::Accepted, true);
    world.send(0, Fate::Accepted, false);
    spread(&mut world);
    [1, 3].into_iter().for_each(|n| world.close(n));
    (0..2).for_each(|_| {
        world.say(0, user(1));
        world.send(0, Fate::Accepted, false);
    });
    spread(&mut world);
    world.connect(3);
    world.expire(1);
    world.connect(1);
    spread(&mut world);
    world.read(3, chat());
    world.close(1);
    world.say(0, user(1));
    world.send(0, Fate::Accepted, false);
    spread(&mut world);
    let target = world.history.id("d0.6");
    world.want(2, chat(), |_| Act::React { target, emoji: "🐦".to_owned() });
    world.send(2, Fate::Accepted, false);
    spread(&mut world);
    world.connect(1);
    world.come_to_rest();
    world.history
}

/// What was derived arrives, and everybody is told.
fn spread(world: &mut World) {
    world.fan_out(ALL);
    (0..5).for_each(|n| world.deliver(n, ALL));
    world.fan_out(ALL);
}

/// The tools.
pub(crate) trait Wrong {
    fn at(&self, wanted: impl Fn(&Step) -> bool) -> usize;
    fn last(&self, wanted: impl Fn(&Step) -> bool) -> usize;
    fn id(&self, label: &str) -> Id;
    fn timeline(&mut self) -> (usize, &mut Vec<Row>);
    fn view(&mut self, device: u32) -> (usize, &mut Vec<Row>);
    fn line(&mut self, device: u32) -> (usize, &mut Line);
    fn showed(&self, device: u32, label: &str) -> usize;
    fn row(&mut self, at: usize) -> &mut Row;
    fn sent(&self, label: &str) -> usize;
    fn ack(&self, label: &str) -> usize;
    fn insert(&mut self, at: usize, device: u32, what: What);
}

impl Wrong for History {
    fn at(&self, wanted: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().position(wanted).expect("such a step")
    }

    fn last(&self, wanted: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().rposition(wanted).expect("such a step")
    }

    fn id(&self, of: &str) -> Id {
        let of = label(of);
        let ended = |step: &Step| match step.what {
            What::Ended { label, id } if label == of => id,
            _ => None,
        };
        self.steps.iter().find_map(ended).expect("an id")
    }

    fn timeline(&mut self) -> (usize, &mut Vec<Row>) {
        let at = self.last(|step| matches!(&step.what, What::Timeline { chat: of, .. } if *of == chat()));
        let What::Timeline { rows, .. } = &mut self.steps[at].what else { unreachable!() };
        (at, rows)
    }

    fn view(&mut self, device: u32) -> (usize, &mut Vec<Row>) {
        let at = self.last(|step| step.device == device && matches!(step.what, What::View { .. }));
        let What::View { rows, .. } = &mut self.steps[at].what else { unreachable!() };
        (at, rows)
    }

    fn line(&mut self, device: u32) -> (usize, &mut Line) {
        let at = self.last(|step| step.device == device && matches!(step.what, What::Lines(_)));
        let What::Lines(lines) = &mut self.steps[at].what else { unreachable!() };
        (at, lines.first_mut().expect("a line"))
    }

    /// Where a device last showed what a label says.
    fn showed(&self, device: u32, of: &str) -> usize {
        let of = label(of);
        let shows = |row: &Row| row.text.is_some_and(|text| text.label == of);
        self.last(|step| step.device == device && matches!(&step.what, What::Showed { row, .. } if shows(row)))
    }

    fn row(&mut self, at: usize) -> &mut Row {
        let What::Showed { row, .. } = &mut self.steps[at].what else { panic!("shows nothing") };
        row
    }

    fn sent(&self, of: &str) -> usize {
        let of = label(of);
        self.at(|step| matches!(step.what, What::Sent { label, .. } if label == of))
    }

    fn ack(&self, of: &str) -> usize {
        let What::Sent { session: s, number: n, .. } = self.steps[self.sent(of)].what else { unreachable!() };
        self.at(|step| matches!(step.what, What::Acked { session, number, .. } if (session, number) == (s, n)))
    }

    fn insert(&mut self, at: usize, device: u32, what: What) {
        let time = self.steps[at - 1].at;
        self.steps.insert(at, Step { at: time, device, what });
    }
}
