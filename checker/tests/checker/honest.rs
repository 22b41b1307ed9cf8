//! Whatever an honest world does, nothing is found wrong; and it is not because nothing is decided.

use std::collections::BTreeSet;

use proptest::prelude::*;
use volery_checker::history::{Act, What};
use volery_checker::text::Label;
use volery_checker::violation::Promise;
use volery_checker::{check, examine};
use volery_kernel::chat::ChatId;
use volery_kernel::id::Id;

use crate::sending::Fate;
use crate::world::{World, text, user};

/// Devices by user: two of the first two users, one of the third.
const USERS: &[u32] = &[0, 0, 1, 1, 2];

#[derive(Clone, Copy, Debug)]
enum Deed {
    Say(u32),
    Edit(usize),
    Delete(usize),
    React(usize),
    Send(Fate, bool),
    Deliver(usize),
    FanOut(usize),
    Connect,
    Close,
    Stop,
    Restore,
    Expire,
    Gap,
    Read(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0..3u32).prop_map(Deed::Say),
        1 => any::<usize>().prop_map(Deed::Edit),
        1 => any::<usize>().prop_map(Deed::Delete),
        2 => any::<usize>().prop_map(Deed::React),
        6 => any::<bool>().prop_map(|shows| Deed::Send(Fate::Accepted, shows)),
        2 => any::<bool>().prop_map(|accepted| Deed::Send(Fate::Lost { accepted }, false)),
        1 => Just(Deed::Send(Fate::Refused, false)),
        1 => Just(Deed::Send(Fate::Busy, false)),
        5 => (0..6usize).prop_map(Deed::Deliver),
        5 => (0..6usize).prop_map(Deed::FanOut),
        4 => Just(Deed::Connect),
        1 => Just(Deed::Close),
        1 => Just(Deed::Stop),
        1 => Just(Deed::Restore),
        1 => Just(Deed::Expire),
        1 => Just(Deed::Gap),
        3 => (0..3u32).prop_map(Deed::Read),
    ]
}

fn deeds() -> impl Strategy<Value = Vec<(u32, Deed)>> {
    prop::collection::vec((0..USERS.len() as u32, deed()), 0..200)
}

fn act(world: &mut World, of: &[(ChatId, Id)], pick: usize, act: impl FnOnce(ChatId, Id, &mut World)) {
    if let Some((chat, id)) = of.get(pick % of.len().max(1)) {
        act(*chat, *id, world);
    }
}

fn apply(world: &mut World, n: u32, deed: Deed) {
    let (own, all) = (world.devices[n as usize].own(), world.devices[n as usize].all());
    match deed {
        Deed::Say(to) => {
            world.say(n, user(to));
        }
        Deed::Edit(pick) => act(world, &own, pick, |chat, target, world| {
            world.want(n, chat, |label| Act::Edit { target, text: text(label) });
        }),
        Deed::Delete(pick) => act(world, &own, pick, |chat, target, world| {
            world.want(n, chat, |_| Act::Delete(target));
        }),
        Deed::React(pick) => act(world, &all, pick, |chat, target, world| {
            let emoji = |label: Label| if pick % 3 == 0 { String::new() } else { label.to_string() };
            world.want(n, chat, |label| Act::React { target, emoji: emoji(label) });
        }),
        Deed::Send(fate, shows) => world.send(n, fate, shows),
        Deed::Deliver(count) => world.deliver(n, count),
        Deed::FanOut(count) => world.fan_out(count),
        Deed::Connect => world.connect(n),
        Deed::Close => world.close(n),
        Deed::Stop => world.stop(n),
        Deed::Restore => world.restore(n),
        Deed::Expire => world.expire(n),
        Deed::Gap => world.gap(n),
        Deed::Read(of) => {
            let chat = ChatId::direct(world.devices[n as usize].user, user(of));
            world.read(n, chat);
        }
    }
}

proptest! {
    #[test]
    fn an_honest_world_breaks_no_promise(deeds in deeds()) {
        let mut world = World::new(USERS);
        deeds.into_iter().for_each(|(n, deed)| apply(&mut world, n, deed));
        world.come_to_rest();
        let report = examine(&world.history);
        let told: Vec<String> = report.violations.iter().map(|violation| violation.tell(&world.history)).collect();
        prop_assert!(told.is_empty(), "{}", told.concat());
        let acknowledged = world.history.steps.iter().any(|step| matches!(step.what, What::Acked { .. }));
        prop_assert_eq!(report.summary.proves_nothing(), !acknowledged && report.summary.required == 0);
        prop_assert_eq!(report.summary.views, USERS.len());
    }

    #[test]
    fn whatever_is_lost_at_rest_is_missed(deeds in deeds(), pick in any::<prop::sample::Index>()) {
        let mut world = World::new(USERS);
        deeds.into_iter().for_each(|(n, deed)| apply(&mut world, n, deed));
        world.come_to_rest();
        let (mut lost, mut timelines) = (None, Vec::new());
        for step in &mut world.history.steps {
            if let What::Timeline { rows, .. } = &mut step.what {
                timelines.push(rows);
            }
        }
        if !timelines.is_empty() {
            let chat = pick.index(timelines.len());
            let rows = &mut timelines[chat];
            lost = Some(rows.remove(pick.index(rows.len())));
        }
        let promises: BTreeSet<Promise> = check(&world.history).iter().map(|violation| violation.promise).collect();
        prop_assert_eq!(promises.contains(&Promise::G1), lost.is_some());
        prop_assert_eq!(promises.contains(&Promise::G4), lost.is_some());
    }

    #[test]
    fn what_stops_half_way_breaks_no_promise(deeds in deeds(), cut in any::<prop::sample::Index>()) {
        let mut world = World::new(USERS);
        deeds.into_iter().for_each(|(n, deed)| apply(&mut world, n, deed));
        let keep = cut.index(world.history.steps.len() + 1);
        world.history.steps.truncate(keep);
        prop_assert_eq!(check(&world.history), vec![]);
    }
}
