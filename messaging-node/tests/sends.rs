//! The pipeline of sends under every order of answers: acknowledged in order, once, only when durable;
//! one batch a partition at a time; nothing after a failure.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::HashMap;

use proptest::prelude::*;
use volery_kernel::chat::Recipient;
use volery_kernel::event::{Body, Content, Event, SendKey};
use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_messaging::core::sends::{Asked, Out, Sends};
use volery_messaging::core::stream::Follower;
use volery_ports::log::{AppendError, Appended};

const NOW: Timestamp = Timestamp(EPOCH_MS + 1_000_000);

#[derive(Clone, Debug)]
enum Step {
    Send(u16),
    /// The log answers a partition's batch.
    Answer(u16),
    /// It answers that nothing was written.
    Refuse(u16),
    /// It does not know.
    Lose(u16),
    /// It took the batch too late.
    Late(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = 0u16..3;
    let step = prop_oneof![
        6 => partition.clone().prop_map(Step::Send),
        6 => partition.clone().prop_map(Step::Answer),
        1 => partition.clone().prop_map(Step::Refuse),
        1 => partition.clone().prop_map(Step::Lose),
        1 => partition.prop_map(Step::Late),
    ];
    prop::collection::vec(step, 1..80)
}

#[derive(Default)]
struct World {
    in_flight: HashMap<u16, Vec<Event>>,
    durable: Vec<Id>,
    acked: Vec<u32>,
    failed: Vec<u32>,
    lost: bool,
    appended_after_loss: bool,
}

impl World {
    fn note(&mut self, out: Vec<Out>) -> Result<(), TestCaseError> {
        for out in out {
            match out {
                Out::Append(partition, events) => {
                    self.appended_after_loss |= self.lost;
                    prop_assert!(!events.is_empty());
                    prop_assert!(self.in_flight.insert(partition.0, events).is_none(), "two batches under way");
                }
                Out::Ack { number, id, .. } => {
                    prop_assert!(self.durable.contains(&id), "acknowledged before it was durable");
                    prop_assert!(!self.lost, "acknowledged after an unknown outcome");
                    prop_assert!(self.acked.last().is_none_or(|last| *last < number), "out of order");
                    self.acked.push(number);
                }
                Out::Failed { number, .. } => self.failed.push(number),
                Out::CloseToRetry => self.lost = true,
            }
        }
        Ok(())
    }
}

fn asked(number: u32, partition: u16) -> Asked {
    let id = |raw| Id::new(raw).unwrap();
    Asked {
        request: u64::from(number),
        recipient: Recipient::User(UserId(id(u64::from(partition) + 1))),
        key: SendKey { device: DeviceId(id(9)), session: SessionNumber(id(5)), number },
        flagged: false,
        resolve_only: false,
        shown: None,
        content: Content::Message { body: Body::text("x"), reply_to: None },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn every_send_ends_once_and_in_order(steps in steps()) {
        let who = Follower { user: UserId::new(8).unwrap(), device: DeviceId::new(9).unwrap(), session: SessionNumber::new(5).unwrap() };
        let mut ids = Generator::new(1, NOW, NOW.plus(600_000));
        let mut sends = Sends::new(who, 1, Id::ZERO);
        let mut world = World::default();
        let (mut number, mut offset) = (0u32, 0u64);
        let mut taken = Vec::new();
        for step in steps {
            let mut out = Vec::new();
            match step {
                Step::Send(partition) => {
                    number += 1;
                    let asked = asked(number, partition);
                    if sends.check(&asked).is_ok() && sends.take(asked, Partition(partition), &mut ids, NOW, &mut out).is_ok() {
                        taken.push(number);
                    }
                }
                Step::Answer(partition) | Step::Late(partition) => {
                    let Some(events) = world.in_flight.remove(&partition) else { continue };
                    let late = matches!(step, Step::Late(_));
                    let stamp = if late { NOW.plus(20_000) } else { NOW };
                    let appended = events.iter().map(|event| {
                        offset += 1;
                        if !late {
                            world.durable.push(event.id());
                        }
                        Appended { offset, stamp }
                    }).collect();
                    sends.appended(Partition(partition), Ok(appended), &mut out);
                }
                Step::Refuse(partition) => {
                    if world.in_flight.remove(&partition).is_some() {
                        sends.appended(Partition(partition), Err(AppendError::Full), &mut out);
                    }
                }
                Step::Lose(partition) => {
                    if world.in_flight.remove(&partition).is_some() {
                        sends.appended(Partition(partition), Err(AppendError::Unknown("lost".into())), &mut out);
                    }
                }
            }
            world.note(out)?;
        }
        // What is still under way is answered; then every send that was taken has ended exactly once.
        for _ in 0..100 {
            let Some(partition) = world.in_flight.keys().copied().min() else { break };
            let events = world.in_flight.remove(&partition).unwrap_or_default();
            world.durable.extend(events.iter().map(Event::id));
            let appended = events.iter().map(|_| Appended { offset: 1, stamp: NOW }).collect();
            let mut out = Vec::new();
            sends.appended(Partition(partition), Ok(appended), &mut out);
            world.note(out)?;
        }
        prop_assert!(!world.appended_after_loss);
        prop_assert_eq!(sends.unacknowledged(), 0);
        let mut ended = [world.acked.clone(), world.failed.clone()].concat();
        ended.sort_unstable();
        prop_assert_eq!(ended, taken);
    }
}
