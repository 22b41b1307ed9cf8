//! What changed from one map to a later one of its kind: much less than the map, where few partitions moved.
//!
//! Trap avoided: owners are indices of members, and those shift when members come and go. A delta speaks of the
//! members as they are after it, and of every partition whose owner is another one by name.

use super::{Member, PartitionMap};
use crate::slot::Partition;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDelta {
    /// The version of the map that it changes.
    pub from: u64,
    /// The version that it leads to.
    pub version: u64,
    /// Names of those who are members no more.
    pub left: Vec<String>,
    /// Those who are new, or not as they were.
    pub came: Vec<Member>,
    /// Partitions with another owner than before: an index of the members as they are then, or nobody.
    pub moved: Vec<(Partition, Option<u16>)>,
}

/// A delta is of no use to this map: whoever has it asks for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the changes are not those of this map")]
pub struct Misfit;

impl MapDelta {
    /// What leads from `old` to `new`, two maps of one kind of node.
    #[must_use]
    pub fn between(old: &PartitionMap, new: &PartitionMap) -> Self {
        let left = old.members.iter().map(|member| &member.name).filter(|name| index(&new.members, name).is_none());
        let came = new.members.iter().filter(|member| old.members.binary_search(member).is_err());
        let moved = (0..).map(Partition).zip(new.owners());
        let moved = moved.filter(|(partition, _)| name(old.owner(*partition)) != name(new.owner(*partition)));
        Self {
            from: old.version,
            version: new.version,
            left: left.cloned().collect(),
            came: came.cloned().collect(),
            moved: moved.collect(),
        }
    }

    /// The map that it leads to from `old`.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn applied(&self, old: &PartitionMap) -> Result<PartitionMap, Misfit> {
        if self.from != old.version || self.left.iter().any(|name| index(&old.members, name).is_none()) {
            return Err(Misfit);
        }
        let changed = |name: &String| self.left.contains(name) || self.came.iter().any(|came| came.name == *name);
        let stay = old.members.iter().filter(|member| !changed(&member.name));
        let mut members: Vec<_> = stay.chain(&self.came).cloned().collect();
        members.sort();
        let owners = self.owners(old, &members)?;
        PartitionMap::new(self.version, members, &owners).map_err(|_| Misfit)
    }

    /// Indices of the new members. Whoever left owns nothing: all of it must have moved.
    fn owners(&self, old: &PartitionMap, members: &[Member]) -> Result<Vec<Option<u16>>, Misfit> {
        let kept: Vec<_> = old.members.iter().map(|member| index(members, &member.name).ok_or(Misfit)).collect();
        let now = |owner: u16| kept.get(usize::from(owner)).copied().unwrap_or(Err(Misfit));
        let mut owners: Vec<_> = old.owners().map(|owner| owner.map(now).transpose()).collect();
        for (partition, owner) in &self.moved {
            *owners.get_mut(usize::from(partition.0)).ok_or(Misfit)? = Ok(*owner);
        }
        owners.into_iter().collect()
    }
}

fn name(owner: Option<&Member>) -> Option<&str> {
    owner.map(|owner| owner.name.as_str())
}

fn index(members: &[Member], name: &str) -> Option<u16> {
    members.binary_search_by(|member| member.name.as_str().cmp(name)).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::map::{MemberState, Weight};

    fn member(number: u16) -> Member {
        Member::new(format!("node {number}"), format!("ws://{number}"))
    }

    fn map(version: u64, members: &[u16], owners: &[Option<u16>]) -> PartitionMap {
        PartitionMap::new(version, members.iter().copied().map(member).collect(), owners).expect("a map")
    }

    /// Maps of five partitions that follow one another: any of seven members, as they are or changed.
    fn some_maps() -> impl Strategy<Value = Vec<PartitionMap>> {
        let numbers = prop::sample::subsequence((0..7).collect::<Vec<u16>>(), 0..=7);
        let map = (numbers, prop::collection::vec(prop::option::of(0..7_u16), 5), 0..7_u16, 1..3_u16);
        prop::collection::vec(map, 2..9).prop_map(|maps| (1..).zip(maps).map(any_map).collect())
    }

    fn any_map((version, (numbers, owners, changed, weight)): (u64, MapParts)) -> PartitionMap {
        let mut members: Vec<_> = numbers.into_iter().map(member).collect();
        let count = members.len() as u16;
        for member in members.iter_mut().filter(|member| member.name.ends_with(&changed.to_string())) {
            member.weight = Weight::new(weight).expect("a weight");
            member.state = MemberState::Draining;
        }
        let owners: Vec<_> = owners.into_iter().map(|owner| owner.filter(|owner| *owner < count)).collect();
        PartitionMap::new(version, members, &owners).expect("a map")
    }

    type MapParts = (Vec<u16>, Vec<Option<u16>>, u16, u16);

    proptest! {
        #[test]
        fn deltas_lead_from_map_to_map_however_they_are_split(maps in some_maps(), split in any::<u16>()) {
            let read = |number: &usize| *number == 0 || split >> (number - 1) & 1 == 1 || *number == maps.len() - 1;
            let mut followed = maps[0].clone();
            for number in (0..maps.len()).filter(read) {
                followed = MapDelta::between(&followed, &maps[number]).applied(&followed).expect("it fits");
                prop_assert_eq!(&followed, &maps[number]);
            }
        }

        #[test]
        fn a_delta_fits_the_map_that_it_was_made_from_alone(maps in some_maps()) {
            let delta = MapDelta::between(&maps[0], &maps[1]);
            for other in &maps[1..] {
                prop_assert_eq!(delta.applied(other), Err(Misfit));
            }
        }
    }

    #[test]
    fn it_says_what_changed_and_nothing_else() {
        let old = map(7, &[1, 2, 3], &[Some(0), Some(1), Some(2), None]);
        let new = map(9, &[0, 1, 3], &[Some(1), Some(0), Some(2), None]);
        let (left, came) = (vec!["node 2".to_owned()], vec![member(0)]);
        let delta = MapDelta { from: 7, version: 9, left, came, moved: vec![(Partition(1), Some(0))] };
        assert_eq!(MapDelta::between(&old, &new), delta);
        assert_eq!(delta.applied(&old), Ok(new));
        let same = MapDelta { from: 7, version: 7, left: vec![], came: vec![], moved: vec![] };
        assert_eq!((MapDelta::between(&old, &old), same.applied(&old)), (same, Ok(old)));
    }

    #[test]
    fn what_cannot_follow_is_refused() {
        let old = map(7, &[1, 2], &[Some(0), Some(1)]);
        let good = MapDelta::between(&old, &map(8, &[1], &[Some(0), Some(0)]));
        assert!(good.applied(&old).is_ok());
        let bad = [
            MapDelta { from: 6, ..good.clone() },
            MapDelta { left: vec!["nobody".to_owned()], ..good.clone() },
            MapDelta { moved: vec![], ..good.clone() },
            MapDelta { moved: vec![(Partition(1), Some(1))], ..good.clone() },
            MapDelta { moved: vec![(Partition(2), None)], ..good.clone() },
            MapDelta { came: vec![member(4), member(4)], ..good },
        ];
        for bad in bad {
            assert_eq!(bad.applied(&old), Err(Misfit), "{bad:?}");
        }
    }
}
