//! Shares, fewest moves, steps and operators' moves, each against what it is defined as rather than how it is done.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use volery_kernel::map::{MemberState, Weight};

use super::*;

fn member(number: u16) -> Member {
    Member::new(format!("node {number:04}"), format!("ws://{number}"))
}

fn of(number: u16, weight: u16, state: MemberState) -> Member {
    Member { weight: Weight::new(weight).expect("a weight"), state, ..member(number) }
}

fn blank(partitions: usize) -> PartitionMap {
    PartitionMap::new(0, Vec::new(), &vec![None; partitions]).expect("a map")
}

fn after(previous: &PartitionMap, up: &[Member], step: Step) -> PartitionMap {
    let next = next(previous, up.to_vec(), step).expect("a map");
    next.unwrap_or_else(|| previous.clone())
}

/// All steps to the end, each map of them.
fn steps(previous: &PartitionMap, up: &[Member]) -> Vec<PartitionMap> {
    let mut all = Vec::new();
    while let Some(map) = next(all.last().unwrap_or(previous), up.iter().cloned(), Step::Planned).expect("a map") {
        all.push(map);
    }
    all
}

fn settled(previous: &PartitionMap, up: &[Member]) -> PartitionMap {
    steps(previous, up).pop().unwrap_or_else(|| previous.clone())
}

fn plain(up: &[u16]) -> Vec<Member> {
    up.iter().copied().map(member).collect()
}

/// Whom each partition belongs to, by name.
fn owners(map: &PartitionMap) -> Vec<Option<&str>> {
    map.owners().map(|owner| Some(map.members()[usize::from(owner?)].name.as_str())).collect()
}

/// How many partitions each member holds.
fn counts(map: &PartitionMap) -> Vec<usize> {
    counts_of(map, map.members())
}

fn counts_of(map: &PartitionMap, members: &[Member]) -> Vec<usize> {
    let owners = owners(map);
    members.iter().map(|member| owners.iter().filter(|owner| **owner == Some(&member.name)).count()).collect()
}

fn changed(one: &PartitionMap, other: &PartitionMap) -> usize {
    owners(one).iter().zip(owners(other)).filter(|(one, other)| **one != *other).count()
}

/// Floor of the quota, and whether it has a fraction. If all drain, there are none.
fn quotas(partitions: usize, members: &[Member]) -> Vec<(usize, bool)> {
    let weight = |member: &Member| if member.serves() { usize::from(member.weight.get()) } else { 0 };
    let all: usize = members.iter().map(weight).sum();
    members.iter().map(|member| partitions * weight(member)).map(|quota| (quota / all, quota % all > 0)).collect()
}

/// The most partitions that could stay where they are: of all ways to deal out the larger shares.
fn could_stay(previous: &PartitionMap, up: &[Member]) -> usize {
    let (quotas, holds) = (quotas(previous.partitions(), up), counts_of(previous, up));
    let larger = previous.partitions() - quotas.iter().map(|(floor, _)| floor).sum::<usize>();
    let deals = |way: &usize| {
        let takes = |member: usize| *way >> member & 1 == 1;
        way.count_ones() as usize == larger && (0..up.len()).all(|member| !takes(member) || quotas[member].1)
    };
    let stays = |way: usize| (0..up.len()).map(|i| holds[i].min(quotas[i].0 + (way >> i & 1))).sum();
    (0..1 << up.len()).filter(deals).map(stays).max().expect("one way at least")
}

/// Any map, however uneven, of members 0 to 5.
fn any_map() -> impl Strategy<Value = PartitionMap> {
    let owners = prop::collection::vec(prop::option::of(0..6_u16), 1..60);
    owners.prop_map(|owners| PartitionMap::new(1, plain(&[0, 1, 2, 3, 4, 5]), &owners).expect("a map"))
}

fn any_state() -> impl Strategy<Value = MemberState> {
    prop_oneof![3 => Just(MemberState::Serving), 1 => Just(MemberState::Draining)]
}

/// Some of members 0 to 7, of any weight and state; one serves.
fn some_up() -> impl Strategy<Value = Vec<Member>> {
    let numbers = prop::sample::subsequence((0..8).collect::<Vec<u16>>(), 1..=8).prop_shuffle();
    let weight = prop_oneof![Just(1_u16), 1..4_u16, 1..=100_u16];
    (numbers, prop::collection::vec((weight, any_state()), 8)).prop_map(|(numbers, each)| {
        let each = numbers.into_iter().zip(each);
        let mut up: Vec<_> = each.map(|(number, (weight, state))| of(number, weight, state)).collect();
        up[0].state = MemberState::Serving;
        up
    })
}

proptest! {
    #[test]
    fn shares_are_quotas_rounded_and_moves_are_the_fewest(previous in any_map(), up in some_up()) {
        let all = steps(&previous, &up);
        let last = all.last().unwrap_or(&previous);
        for (held, (floor, fraction)) in counts(last).into_iter().zip(quotas(last.partitions(), last.members())) {
            prop_assert!(held == floor || held == floor + 1 && fraction, "{:?}", counts(last));
        }
        let each = std::iter::once(&previous).chain(&all).zip(&all);
        let moves: usize = each.map(|(one, other)| changed(one, other)).sum();
        prop_assert_eq!(moves, previous.partitions() - could_stay(&previous, &up));
    }

    #[test]
    fn what_has_an_owner_goes_a_few_at_a_time(previous in any_map(), up in some_up()) {
        let given = after(&previous, &up, Step::Needed);
        let living = |map: &PartitionMap| counts_of(map, &up).iter().sum::<usize>();
        prop_assert_eq!(living(&given), previous.partitions(), "nothing is left without an owner");
        prop_assert_eq!(changed(&previous, &given), previous.partitions() - living(&previous), "and nothing else went");
        prop_assert_eq!(next(&given, up.clone(), Step::Needed), Ok(None));
        let all = steps(&given, &up);
        for (one, other) in std::iter::once(&given).chain(&all).zip(&all) {
            let (went, left) = (changed(one, other), left(one));
            prop_assert!(went >= 1 && went <= (left / 8).max(1), "{went} of {left}");
            prop_assert_eq!(left - went, super::left(other));
        }
    }

    #[test]
    fn the_order_of_those_who_are_up_says_nothing(previous in any_map(), up in some_up()) {
        let mut other = up.clone();
        other.sort();
        prop_assert_eq!(steps(&previous, &up), steps(&previous, &other));
    }

    #[test]
    fn if_all_drain_everybody_keeps_what_they_hold(previous in any_map(), up in some_up()) {
        let up: Vec<_> = up.into_iter().map(|one| Member { state: MemberState::Draining, ..one }).collect();
        let next = after(&previous, &up, Step::Planned);
        let (held, now) = (counts_of(&previous, &up), counts_of(&next, &up));
        prop_assert!(held.iter().zip(&now).all(|(held, now)| held <= now), "{held:?} {now:?}");
        prop_assert_eq!(now.iter().sum::<usize>(), previous.partitions());
        prop_assert_eq!(super::next(&next, up, Step::Planned), Ok(None));
    }

    #[test]
    fn what_an_operator_moves_stays_where_it_is(
        previous in any_map(), up in some_up(), partition in 0..60_u16, to in 0..8_usize,
    ) {
        let before = settled(&previous, &up);
        let partition = Partition(partition % before.partitions() as u16);
        let serving: Vec<_> = (0..).zip(before.members()).filter(|(_, member)| member.serves()).collect();
        let (to, member) = serving[to % serving.len()];
        let moved = moved(&before, partition, to).expect("a map");
        prop_assert_eq!(moved.owner(partition), Some(member));
        prop_assert_eq!(moved.version(), before.version() + 1);
        prop_assert!(changed(&before, &moved) <= 2, "one, and one in return");
        prop_assert_eq!(next(&moved, up, Step::Planned), Ok(None), "nothing is undone");
    }

    #[test]
    fn it_stays_even_however_members_come_and_go(
        partitions in 1..60_usize,
        steps in prop::collection::vec(0..7_u16, 1..30),
    ) {
        let (mut map, mut up) = (blank(partitions), BTreeSet::new());
        for step in steps {
            if !up.remove(&step) { up.insert(step); }
            let now: Vec<_> = up.iter().copied().collect();
            let next = after(&map, &plain(&now), Step::Planned);
            prop_assert_eq!(next.version(), map.version() + 1, "who is up has changed");
            map = settled(&next, &plain(&now));
            let (least, most) = (counts(&map).into_iter().min(), counts(&map).into_iter().max());
            prop_assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1), "{:?}", counts(&map));
        }
    }
}

#[test]
fn nobody_owns_anything_while_nobody_is_up() {
    let first = after(&blank(3), &[], Step::Planned);
    assert_eq!((first.version(), owners(&first)), (1, vec![None; 3]));
    assert_eq!(next(&first, [], Step::Planned), Ok(None), "nothing changes");
    let owned = after(&first, &plain(&[1, 2]), Step::Needed);
    assert_eq!(owners(&after(&owned, &[], Step::Needed)), vec![None; 3]);
}

#[test]
fn who_comes_takes_from_all_alike_and_who_is_back_elsewhere_keeps_its_own() {
    let two = after(&blank(9), &plain(&[1, 2]), Step::Needed);
    assert_eq!(counts(&two), [5, 4]);
    assert_eq!(counts(&settled(&two, &plain(&[1, 2, 3]))), [3, 3, 3]);
    let moved = Member { url: "ws://elsewhere".into(), ..member(1) };
    let next = next(&two, [moved.clone(), member(2)], Step::Planned).expect("a map").expect("a new one");
    assert_eq!((next.version(), &next.members()[0]), (2, &moved));
    assert_eq!(owners(&next), owners(&two));
}

#[test]
fn a_drain_hands_over_step_by_step_and_takes_back_when_it_ends() {
    let two = after(&blank(64), &plain(&[1, 2]), Step::Needed);
    let drained = [of(1, 1, MemberState::Draining), member(2)];
    let maps = steps(&two, &drained);
    let held: Vec<_> = maps.iter().map(|map| counts(map)[0]).collect();
    assert_eq!(held[..8], [28, 25, 22, 20, 18, 16, 14, 13], "an eighth each, then one by one");
    assert_eq!((held.last(), maps.last().map(|map| map.members().len())), (Some(&0), Some(2)), "a member to the end");
    assert_eq!(counts(&settled(&maps[held.len() - 1], &plain(&[1, 2]))), [32, 32]);
}

/// An operator's move that has nobody to swap with sends a third one's partition to who lost one.
#[test]
fn a_move_to_who_has_nothing_goes_round() {
    let heavy = [member(1), member(2), of(3, 100, MemberState::Serving)];
    let before = PartitionMap::new(1, heavy.to_vec(), &[Some(0), Some(2)]).expect("a map");
    assert_eq!(left(&before), 0);
    let moved = moved(&before, Partition(1), 1).expect("a map");
    assert_eq!(moved.owners().collect::<Vec<_>>(), [Some(2), Some(1)]);
}

/// 10,000 partitions on 1,000 nodes, of which a thousand leave and come, some at once.
#[test]
fn after_a_thousand_joins_and_leaves_it_is_even_and_no_move_was_too_many() {
    const PARTITIONS: usize = 10_000;
    const EVENTS: u16 = 1_000;
    const AT_ONCE: u16 = 20;
    let mut up: Vec<_> = (0..1_000).map(member).collect();
    let mut map = after(&blank(PARTITIONS), &up, Step::Needed);
    let (mut random, mut moves, mut least) = (1_u64, 0, 0);
    for event in 1..=EVENTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if random >> 63 == 0 {
            up.swap_remove((random >> 33) as usize % up.len());
        } else {
            up.push(member(1_000 + event));
        }
        if event % AT_ONCE == 0 {
            let last = settled(&map, &up);
            moves += changed(&map, &last);
            least += PARTITIONS - could_stay_alike(&counts_by_name(&map, &up), PARTITIONS);
            map = last;
        }
    }
    let (most, mean) = (counts_by_name(&map, &up).into_iter().max().unwrap_or(0), PARTITIONS as f64 / up.len() as f64);
    let (imbalance, excess) = (most as f64 / mean, moves as f64 / least as f64);
    assert!(imbalance <= 1.1 && excess <= 1.05, "{imbalance} {excess}");
}

/// As [`could_stay`], where all weights are the same: whoever holds more than the floor may keep one more.
fn could_stay_alike(holds: &[usize], partitions: usize) -> usize {
    let (floor, larger) = (partitions / holds.len(), partitions % holds.len());
    let above = holds.iter().filter(|holds| **holds > floor).count();
    holds.iter().map(|holds| holds.min(&floor)).sum::<usize>() + above.min(larger)
}

/// As [`counts_of`], for many members.
fn counts_by_name(map: &PartitionMap, members: &[Member]) -> Vec<usize> {
    let mut counts: BTreeMap<_, _> = map.members().iter().map(|member| (member.name.as_str(), 0)).collect();
    owners(map).into_iter().flatten().for_each(|owner| *counts.entry(owner).or_default() += 1);
    members.iter().map(|member| counts.get(member.name.as_str()).copied().unwrap_or_default()).collect()
}
