//! Who owns what next, as a function of who owned it and who is up. No I/O, no clock.
//!
//! Even: the largest and the smallest share differ by at most one partition. With the fewest moves: a
//! partition that may stay where it is stays. Where shares cannot all be equal, those who hold most keep
//! the larger ones, because anything else would move more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use volery_kernel::map::{BadMap, Member, PartitionMap};

/// The map that follows `previous` while these members are up, one a name, in whatever order. `None` if
/// that is `previous` itself. The map of version 0 is never that: it only says how many partitions
/// there are.
///
/// # Errors
/// [`BadMap::Members`].
pub fn next(previous: &PartitionMap, up: impl IntoIterator<Item = Member>) -> Result<Option<PartitionMap>, BadMap> {
    let members: Vec<_> = up.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if members.len() >= usize::from(u16::MAX) {
        return Err(BadMap::Members(members.len()));
    }
    let owners = even(&held(previous, &members), members.len());
    let same = members == previous.members() && owners.iter().copied().eq(previous.owners());
    if same && previous.version() > 0 {
        return Ok(None);
    }
    PartitionMap::new(previous.version().saturating_add(1), members, &owners).map(Some)
}

/// Who of those that are up owned each partition: an index of `members`.
fn held(previous: &PartitionMap, members: &[Member]) -> Vec<Option<u16>> {
    let index: BTreeMap<_, _> = members.iter().map(|member| member.name.as_str()).zip(0..).collect();
    let now = |owner: u16| index.get(previous.members().get(usize::from(owner))?.name.as_str()).copied();
    previous.owners().map(|owner| owner.and_then(now)).collect()
}

/// Leaves to everybody as much as their share has room for, and gives the rest to those with room.
fn even(held: &[Option<u16>], members: usize) -> Vec<Option<u16>> {
    let mut room = shares(held, members);
    let mut stays = |owner: &u16| {
        let room = room.get_mut(usize::from(*owner)).filter(|room| **room > 0);
        room.map(|room| *room -= 1).is_some()
    };
    let mut owners: Vec<_> = held.iter().map(|owner| owner.filter(&mut stays)).collect();
    let mut free = (0..).zip(room).flat_map(|(member, room)| repeat_n(member, room));
    for owner in owners.iter_mut().filter(|owner| owner.is_none()) {
        *owner = free.next();
    }
    owners
}

/// How many partitions each member gets.
fn shares(held: &[Option<u16>], members: usize) -> Vec<usize> {
    let mut holds = vec![0_usize; members];
    for owner in held.iter().flatten() {
        holds[usize::from(*owner)] += 1;
    }
    let (each, larger) = (held.len() / members.max(1), held.len() % members.max(1));
    let mut most_first: Vec<_> = (0..members).collect();
    most_first.sort_by_key(|member| (Reverse(holds[*member]), *member));
    let mut shares = vec![each; members];
    most_first.into_iter().take(larger).for_each(|member| shares[member] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(number: u16) -> Member {
        Member::new(format!("node {number}"), format!("ws://{number}"))
    }

    fn blank(partitions: usize) -> PartitionMap {
        PartitionMap::new(0, Vec::new(), &vec![None; partitions]).expect("a map")
    }

    fn after(previous: &PartitionMap, up: &[u16]) -> PartitionMap {
        let next = next(previous, up.iter().copied().map(member)).expect("a map");
        next.unwrap_or_else(|| previous.clone())
    }

    /// Whom each partition belongs to, by name.
    fn owners(map: &PartitionMap) -> Vec<Option<&str>> {
        map.owners().map(|owner| Some(map.members()[usize::from(owner?)].name.as_str())).collect()
    }

    fn counts(map: &PartitionMap) -> Vec<usize> {
        let mut counts = vec![0; map.members().len()];
        map.owners().flatten().for_each(|owner| counts[usize::from(owner)] += 1);
        counts
    }

    fn is_even(map: &PartitionMap) -> bool {
        let counts = counts(map);
        let (least, most) = (counts.iter().min(), counts.iter().max());
        least.zip(most).is_none_or(|(least, most)| most - least <= 1 && map.owners().all(|owner| owner.is_some()))
    }

    /// The most partitions that could stay where they are: of all ways to deal out the larger shares.
    fn could_stay(previous: &PartitionMap, up: &[Member]) -> usize {
        let owners = owners(previous);
        let holds = |member: &Member| owners.iter().filter(|owner| **owner == Some(&member.name)).count();
        let holds: Vec<_> = up.iter().map(holds).collect();
        let (each, larger) = (owners.len() / up.len(), (owners.len() % up.len()) as u32);
        let ways = (0_usize..1 << up.len()).filter(|way| way.count_ones() == larger);
        let stays = |way: usize| (0..up.len()).map(|i| holds[i].min(each + (way >> i & 1))).sum();
        ways.map(stays).max().unwrap_or_default()
    }

    /// Any map, however uneven, of members 0 to 5.
    fn any_map() -> impl Strategy<Value = PartitionMap> {
        prop::collection::vec(prop::option::of(0..6_u16), 1..40)
            .prop_map(|owners| PartitionMap::new(1, (0..6).map(member).collect(), &owners).expect("a map"))
    }

    fn some_up() -> impl Strategy<Value = Vec<u16>> {
        prop::sample::subsequence((0..8).collect::<Vec<u16>>(), 1..=8).prop_shuffle()
    }

    proptest! {
        #[test]
        fn it_is_even_and_moves_as_little_as_can_be(previous in any_map(), up in some_up()) {
            let next = after(&previous, &up);
            prop_assert!(is_even(&next), "{:?}", counts(&next));
            let stayed = owners(&previous).iter().zip(owners(&next)).filter(|(one, other)| **one == *other).count();
            prop_assert_eq!(stayed, could_stay(&previous, next.members()));
        }

        #[test]
        fn the_order_of_those_who_are_up_says_nothing(previous in any_map(), up in some_up()) {
            let mut other = up.clone();
            other.reverse();
            other.sort_by_key(|number| number % 3);
            prop_assert_eq!(after(&previous, &up), after(&previous, &other));
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
                let next = after(&map, &now);
                prop_assert!(is_even(&next) && next.members().len() == now.len());
                prop_assert_eq!(next.version(), map.version() + 1);
                map = next;
            }
        }
    }

    #[test]
    fn nobody_owns_anything_while_nobody_is_up() {
        let first = after(&blank(3), &[]);
        assert_eq!((first.version(), owners(&first)), (1, vec![None; 3]));
        assert_eq!(next(&first, []), Ok(None), "nothing changes");
        let owned = after(&first, &[1, 2]);
        assert_eq!(owners(&after(&owned, &[])), vec![None; 3]);
    }

    #[test]
    fn who_comes_takes_from_all_alike_and_who_is_back_elsewhere_keeps_its_own() {
        let two = after(&blank(9), &[1, 2]);
        assert_eq!(counts(&two), [5, 4]);
        assert_eq!(counts(&after(&two, &[1, 2, 3])), [3, 3, 3]);
        let moved = Member { url: "ws://elsewhere".into(), ..member(1) };
        let next = next(&two, [moved.clone(), member(2)]).expect("a map").expect("a new one");
        assert_eq!((next.version(), &next.members()[0]), (2, &moved));
        assert_eq!(owners(&next), owners(&two));
    }
}
