//! Retries that archive resolves together: each is answered once with the id that its key has, whatever else is looked
//! up in the same breath, and a storm of them takes the steps of a few.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;

use futures::executor::block_on;
use volery_history::archive::{Archive, Lane, Step};
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Answer, Body, Content, Event, Outcome, Record, Send, SendKey};
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::limits::RETRIES_AT_ONCE;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Timeline as _, Write};
use volery_testkit::timeline::ModelTimeline;

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn recipient() -> Recipient {
    Recipient::User(UserId(id(1)))
}

fn partitions() -> Partitions {
    Partitions::new(4).unwrap()
}

fn home() -> Partition {
    partitions().of(recipient())
}

/// A send of `device` (which is its user's only one) in its session `session`, first tried in session 1.
fn send(device: u64, session: u64, number: u32, flagged: bool) -> Send {
    Send {
        id: Id::ZERO,
        sender: UserId(id(device)),
        recipient: recipient(),
        key: SendKey { device: DeviceId(id(device)), session: SessionNumber(id(1)), number },
        session: SessionNumber(id(session)),
        flagged,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text(number.to_string()), reply_to: None },
    }
}

fn retry(device: u64, session: u64, number: u32) -> Send {
    send(device, session, number, true)
}

/// One partition with its archive. Other partitions take answers.
struct Run {
    core: Archive,
    log: Vec<Record>,
    timeline: ModelTimeline,
    answers: BTreeMap<Lane, Vec<Answer>>,
    /// Partitions that take nothing.
    stuck: Vec<Partition>,
    /// Those that would be calls of an engine.
    steps: usize,
}

impl Run {
    fn new(sends: impl IntoIterator<Item = Send>) -> Self {
        let mut run = Self {
            core: Archive::new(1, partitions(), None),
            log: Vec::new(),
            timeline: ModelTimeline::default(),
            answers: BTreeMap::new(),
            stuck: Vec::new(),
            steps: 0,
        };
        for send in sends {
            let id = Id::first_at(run.now());
            run.take(Event::Send(Send { id, ..send }));
        }
        run
    }

    fn now(&self) -> Timestamp {
        Timestamp(EPOCH_MS + 1_000 + self.log.len() as u64)
    }

    fn take(&mut self, event: Event) -> Offset {
        let offset = self.log.len() as u64;
        self.log.push(Record { offset, stamp: self.now(), event });
        offset
    }

    /// Until everything that was appended is archived.
    fn run(&mut self) {
        loop {
            let written = |_: Partition| None::<Source>;
            let step = self.core.next(&written);
            self.steps += usize::from(step != Step::Read);
            match step {
                Step::Write(rows, _) => {
                    self.apply(rows);
                    self.core.wrote();
                }
                Step::Await(_) => self.core.waited(&written),
                Step::Apply(rows, commit) => {
                    block_on(self.timeline.apply(home(), rows, commit)).unwrap();
                    self.core.applied();
                }
                Step::LookUp(keys) => {
                    assert!(keys.len() <= RETRIES_AT_ONCE.value);
                    let found = keys.into_iter().map(|key| Ok(block_on(self.timeline.sent(key)).unwrap()));
                    self.core.looked_up(found.collect());
                }
                Step::Note(rows) => {
                    self.apply(rows);
                    self.core.noted();
                }
                // The last lane first: none waits for another.
                Step::Append(lanes) => lanes.into_iter().rev().for_each(|(lane, events)| self.append(lane, events)),
                Step::Read => {
                    let new = self.log[self.core.next_offset() as usize..].to_vec();
                    if new.is_empty() {
                        return;
                    }
                    self.core.read(new);
                }
            }
        }
    }

    fn apply(&self, rows: Vec<Write>) {
        block_on(self.timeline.apply(home(), rows, None)).unwrap();
    }

    fn append(&mut self, lane: Lane, events: Vec<Event>) {
        if self.stuck.contains(&lane.0) {
            assert!(self.core.sets_by(lane));
            return;
        }
        let offsets: Vec<_> = events.into_iter().map(|event| self.arrives(lane, event)).collect();
        self.core.appended(lane, &offsets);
    }

    fn arrives(&mut self, lane: Lane, event: Event) -> Offset {
        match event {
            Event::Answer(answer) => {
                self.answers.entry(lane).or_default().push(answer);
                0
            }
            Event::Resolved { .. } => {
                assert_eq!(lane.0, home());
                self.take(event)
            }
            event => panic!("archive appends {event:?}"),
        }
    }

    fn outcomes(&self, device: u64) -> Vec<Outcome> {
        let of = |lane: &Lane| lane.1 == DeviceId(id(device));
        let answers = self.answers.iter().filter(|(lane, _)| of(lane)).flat_map(|(_, answers)| answers);
        answers.map(|answer| answer.outcome).collect()
    }

    fn committed(&self) -> Option<Offset> {
        block_on(self.timeline.committed(home())).unwrap().map(|commit| commit.source.offset())
    }

    fn accepted(&self, flagged: usize, resolved: Offset) -> Outcome {
        Outcome::Accepted { id: self.log[flagged].event.id(), source: Source::new(1, resolved) }
    }
}

#[test]
fn two_retries_of_one_key_that_are_read_together_resolve_to_one_id() {
    let mut run = Run::new([retry(2, 2, 7), retry(3, 2, 7), retry(2, 3, 7)]);
    run.run();
    assert_eq!(run.log.len(), 5, "a resolved record each for two keys: {:?}", run.log);
    let Event::Resolved { send, flagged } = &run.log[3].event else { panic!("{:?}", run.log[3]) };
    assert_eq!((send.key.device.get(), *flagged), (3, Source::new(1, 1)), "the last lane came first");
    assert_eq!(run.outcomes(2), [run.accepted(0, 4); 2]);
    assert_eq!(run.outcomes(3), [run.accepted(1, 3)]);
    assert_eq!(run.committed(), Some(4));
}

#[test]
fn a_retry_that_is_read_with_what_it_repeats_is_answered_with_that() {
    let mut run = Run::new([retry(3, 2, 1), send(2, 1, 7, false), retry(2, 2, 7)]);
    run.run();
    assert_eq!(run.outcomes(2), [run.accepted(1, 1)]);
    assert_eq!(run.log.len(), 4, "{:?}", run.log);
}

#[test]
fn a_device_s_retries_stay_in_order() {
    let mut run = Run::new((0..5).map(|number| retry(2, 2, number)));
    run.run();
    let all: Vec<_> = (0..5).map(|number| run.accepted(number, 5 + number as u64)).collect();
    assert_eq!(run.outcomes(2), all);
}

#[test]
fn a_storm_takes_the_steps_of_a_few() {
    let mut run = Run::new((2..202).map(|device| retry(device, 2, 1)));
    run.run();
    assert_eq!(run.log.len(), 400);
    assert!((2..202).all(|device| run.outcomes(device).len() == 1));
    // Each batch: look-ups, notes, resolved records, their sources, answers, rows. Then what was resolved.
    let steps = 6 * 200_usize.div_ceil(RETRIES_AT_ONCE.value) + 6;
    assert!(run.steps <= steps, "{} steps, {steps} are enough", run.steps);
}

#[test]
fn what_stands_before_a_retry_waits_for_no_append_of_it() {
    let mut run = Run::new([send(3, 1, 1, false), retry(2, 2, 7)]);
    let written = |_: Partition| None::<Source>;
    let mut applied = None;
    run.core.read(run.log.clone());
    while !matches!(run.core.next(&written), Step::Append(_)) {
        match run.core.next(&written) {
            Step::Write(..) => run.core.wrote(),
            Step::Apply(_, commit) => {
                applied = commit.map(|commit| commit.source.offset());
                run.core.applied();
            }
            Step::LookUp(_) => run.core.looked_up(vec![Ok(None)]),
            Step::Note(_) => run.core.noted(),
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(applied, Some(0));
}

#[test]
fn nothing_is_committed_beyond_the_first_answer_that_was_set_by() {
    let of = |device: u64| partitions().of(Recipient::User(UserId(id(device))));
    let one = (2..).find(|device| of(*device) != home()).unwrap();
    let other = (2..).find(|device| of(*device) > of(one) && of(*device) != home()).unwrap();
    let mut run = Run::new([send(1_000, 1, 1, false), retry(one, 2, 1), retry(other, 2, 1), retry(one, 2, 2)]);
    run.stuck = vec![of(one), of(other)];
    run.run();
    assert_eq!(run.committed(), Some(0), "of {:?}", run.log);
    let mut left = Vec::new();
    while let Some((target, _)) = run.core.set_by() {
        run.core.answered();
        run.run();
        left.push((target, run.committed()));
    }
    assert_eq!(left, [(of(other), Some(0)), (of(one), Some(2)), (of(one), Some(6))]);
}
