//! Random schedules against a small model of the node: sockets cut with frames under way, answers
//! late and twice, refusals that pass and that do not, restarts of the client, resets. Afterwards
//! every intent has ended once, and the chats hold them in order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, reason = "a test's own failures")]

mod model;

use proptest::prelude::*;

use model::{Step, World};

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..4).prop_map(Step::Say),
        6 => (1usize..6).prop_map(Step::ToNode),
        6 => (1usize..6).prop_map(Step::ToClient),
        4 => (1u64..3_000).prop_map(Step::Wait),
        1 => Just(Step::Wait(200_000)),
        2 => (0usize..4, 0usize..4).prop_map(|(processed, heard)| Step::Cut { processed, heard }),
        1 => any::<bool>().prop_map(|stream_lost| Step::Restart { stream_lost }),
        1 => Just(Step::LogDown),
        1 => Just(Step::LogUp),
        1 => Just(Step::Reset),
        2 => Just(Step::Gap),
        2 => Just(Step::Incoming),
        1 => Just(Step::RefuseNext),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_intent_ends_once_and_in_order(seed in any::<u64>(), steps in prop::collection::vec(steps(), 1..80)) {
        let mut world = World::new(seed);
        for step in &steps {
            world.step(step);
        }
        world.calm_down();
        world.check();
    }
}
