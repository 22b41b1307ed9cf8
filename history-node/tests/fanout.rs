//! Fan-out with targets that take nothing for a while: every target gets what it is owed, once and in
//! order, nothing is committed before it is appended, and nobody waits for somebody else.

#![expect(clippy::expect_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use volery_history::fanout::Fanout;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;

/// What waits for one target at most: few, so that it matters.
const LANE_MOST: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    ReadAgain(usize),
    /// The so-manieth batch under way is durable, or refused.
    Answer(usize, bool),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Read),
        2 => (1..6usize).prop_map(Step::ReadAgain),
        3 => (0..8usize, any::<bool>()).prop_map(|(which, durable)| Step::Answer(which, durable)),
    ]
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

/// What a user sent: it causes an echo in the sender's own stream.
fn record(offset: Offset, sender: u64) -> Record {
    let key = SendKey { device: DeviceId(id(100 + sender)), session: SessionNumber(id(70)), number: 1 };
    let send = Send {
        id: id(1_000 + offset),
        sender: UserId(id(sender)),
        recipient: Recipient::User(UserId(id(99))),
        session: key.session,
        key,
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("hello".to_owned()), reply_to: None },
    };
    Record { offset, stamp: Timestamp(0), event: Event::Send(send) }
}

/// A fan-out, its log, and what its targets have.
struct Run {
    fanout: Fanout,
    partitions: Partitions,
    log: Vec<Record>,
    under_way: BTreeMap<Partition, Vec<Offset>>,
    taken: BTreeMap<Partition, Vec<Offset>>,
    /// How often it said that it is done with something.
    done: usize,
}

impl Run {
    fn new(senders: &[u64]) -> Self {
        let partitions = Partitions::new(4).expect("four partitions");
        let log = (0..).zip(senders).map(|(offset, sender)| record(offset, *sender)).collect();
        let fanout = Fanout::new(1, partitions, LANE_MOST, 0);
        Self { fanout, partitions, log, under_way: BTreeMap::new(), taken: BTreeMap::new(), done: 0 }
    }

    fn target(&self, record: &Record) -> Partition {
        match &record.event {
            Event::Send(send) => self.partitions.of(Recipient::User(send.sender)),
            other => unreachable!("{other:?}"),
        }
    }

    fn owed(&self) -> BTreeMap<Partition, Vec<Offset>> {
        let mut owed = BTreeMap::<_, Vec<_>>::new();
        for record in &self.log {
            owed.entry(self.target(record)).or_default().push(record.offset);
        }
        owed
    }

    fn read(&mut self) {
        if let Some(record) = self.log.get(self.fanout.read_below() as usize) {
            self.done += usize::from(self.fanout.read(record.clone()).is_some());
        }
    }

    fn read_again(&mut self, most: usize) {
        if let Some(from) = self.fanout.missed() {
            let before = self.log[..from as usize].to_vec();
            self.fanout.begin_again(from, &before);
        } else if let Some(from) = self.fanout.again_below() {
            self.log[from as usize..].iter().take(most).for_each(|record| self.fanout.read_again(record.clone()));
        }
    }

    fn depart(&mut self) {
        while let Some((target, events)) = self.fanout.depart() {
            let offsets = events.iter().map(|event| match event {
                Event::Echo { origin, .. } => origin.offset(),
                other => unreachable!("{other:?}"),
            });
            assert!(self.under_way.insert(target, offsets.collect()).is_none(), "two at once to {target}");
        }
    }

    fn answer(&mut self, target: Partition, durable: bool) {
        let offsets = self.under_way.remove(&target).unwrap_or_default();
        if durable {
            self.taken.entry(target).or_default().extend(offsets);
        }
        self.done += self.fanout.appended(target, durable).len();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => self.read(),
            Step::ReadAgain(most) => self.read_again(most),
            Step::Answer(which, durable) => {
                if let Some(target) = self.under_way.keys().nth(which).copied() {
                    self.answer(target, durable);
                }
            }
        }
        self.depart();
    }

    /// Everything goes on, and only `stuck` takes nothing.
    fn settle(&mut self, stuck: Option<Partition>) {
        for _ in 0..4 * self.log.len() + 16 {
            self.step(Step::Read);
            self.step(Step::ReadAgain(usize::MAX));
            for target in self.under_way.keys().copied().collect::<Vec<_>>() {
                self.answer(target, stuck != Some(target));
            }
            self.depart();
        }
    }

    /// Whatever lies below what may be committed has been taken.
    fn committed_is_taken(&self) -> bool {
        let done = self.fanout.done_below();
        let below = |offsets: &Vec<Offset>| offsets.iter().filter(|offset| **offset < done).count();
        self.owed().iter().all(|(target, owed)| self.taken.get(target).map_or(0, below) == below(owed))
    }
}

proptest! {
    #[test]
    fn every_target_gets_what_it_is_owed(senders in vec(1..9u64, 1..60), steps in vec(steps(), 0..300)) {
        let mut run = Run::new(&senders);
        for step in steps {
            run.step(step);
            prop_assert!(run.committed_is_taken());
        }
        run.settle(None);
        prop_assert_eq!(&run.taken, &run.owed());
        prop_assert_eq!(run.fanout.done_below(), run.log.len() as Offset);
        prop_assert_eq!(run.done, run.log.len(), "each is done with once");
    }

    #[test]
    fn a_target_that_takes_nothing_holds_up_nobody_else(
        senders in vec(1..9u64, 1..60), steps in vec(steps(), 0..100), stuck in 0..4u16,
    ) {
        let (mut run, stuck) = (Run::new(&senders), Partition(stuck));
        steps.into_iter().for_each(|step| run.step(step));
        run.settle(Some(stuck));
        let others = |mut all: BTreeMap<_, _>| { all.remove(&stuck); all };
        prop_assert_eq!(others(run.taken.clone()), others(run.owed()));
        run.settle(None);
        prop_assert_eq!(&run.taken, &run.owed());
    }
}
