//! Which node owns which partition: a map for each kind of node.
//!
//! A map is liveness, not safety: two nodes that believe in different maps waste work and break no
//! promise. Versions only tell the newer of two maps.

mod delta;
mod member;

pub use delta::{MapDelta, Misfit};
pub use member::{Member, MemberState, NodeKind, PerKind, Weight};

use crate::slot::{Partition, Partitions};

/// A partition that nobody owns.
const NOBODY: u16 = u16::MAX;

/// A snapshot of who owns what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMap {
    version: u64,
    members: Vec<Member>,
    /// By partition; an index of `members`, or [`NOBODY`].
    owners: Vec<u16>,
}

/// A map that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    /// No partitions, or more than there are slots.
    #[error("{0} partitions: there are 1 to 16384")]
    Partitions(usize),
    /// More than an index can tell apart.
    #[error("{0} members: there may be 65535")]
    Members(usize),
    /// Members that are not in the order of their names, or two of one name.
    #[error("members are not in the order of their names, each once")]
    Order,
    /// An owner that is no member.
    #[error("partition {partition} is owned by member {owner} of {members}")]
    Owner {
        /// Whose owner.
        partition: usize,
        /// As given.
        owner: u16,
        /// How many there are.
        members: usize,
    },
}

impl PartitionMap {
    /// Members by name; `owners` by partition, each an index of `members`, or `None` while nobody owns it.
    ///
    /// # Errors
    /// [`BadMap`].
    pub fn new(version: u64, members: Vec<Member>, owners: &[Option<u16>]) -> Result<Self, BadMap> {
        if members.len() >= usize::from(NOBODY) {
            return Err(BadMap::Members(members.len()));
        }
        if !members.is_sorted_by(|one, other| one.name < other.name) {
            return Err(BadMap::Order);
        }
        let count = u16::try_from(owners.len()).ok().and_then(Partitions::new);
        count.ok_or(BadMap::Partitions(owners.len()))?;
        let bad = |owner: &Option<u16>| owner.filter(|owner| usize::from(*owner) >= members.len());
        if let Some((partition, owner)) = owners.iter().enumerate().find_map(|(p, owner)| Some((p, bad(owner)?))) {
            return Err(BadMap::Owner { partition, owner, members: members.len() });
        }
        let owners = owners.iter().map(|owner| owner.unwrap_or(NOBODY)).collect();
        Ok(Self { version, members, owners })
    }

    /// Everything is owned by one: a cluster in one process.
    #[must_use]
    pub fn whole(member: Member, partitions: Partitions) -> Self {
        Self { version: 1, members: vec![member], owners: vec![0; usize::from(partitions.count())] }
    }

    /// Nobody owns anything: what the first map of a cluster follows. Its version is 0.
    #[must_use]
    pub fn unowned(partitions: Partitions) -> Self {
        Self { version: 0, members: Vec::new(), owners: vec![NOBODY; usize::from(partitions.count())] }
    }

    /// The map after this one, in which the member of this name has this state and nothing else has changed.
    #[must_use]
    pub fn with_state(&self, name: &str, state: MemberState) -> Self {
        let members = self.members.iter().cloned();
        let members = members.map(|member| if member.name == name { Member { state, ..member } } else { member });
        Self { version: self.version.saturating_add(1), members: members.collect(), owners: self.owners.clone() }
    }

    /// The newer of two maps has the larger one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Those that are up, by name.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many partitions it speaks of.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.owners.len()
    }

    /// Who owns a partition. `None` while nobody does, or if there is no such partition.
    #[must_use]
    pub fn owner(&self, partition: Partition) -> Option<&Member> {
        self.members.get(usize::from(*self.owners.get(usize::from(partition.0))?))
    }

    /// By partition: an index of [`PartitionMap::members`], as [`PartitionMap::new`] takes them.
    pub fn owners(&self) -> impl Iterator<Item = Option<u16>> {
        self.owners.iter().map(|owner| Some(*owner).filter(|owner| *owner != NOBODY))
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Whether the member of this name owns a partition.
    #[must_use]
    pub fn is_owned_by(&self, partition: Partition, name: &str) -> bool {
        self.owner(partition).is_some_and(|owner| owner.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Member {
        Member::new(name.to_owned(), format!("ws://{name}/v1/ws"))
    }

    #[test]
    fn owners_are_members_or_nobody() {
        let map = PartitionMap::new(7, vec![member("a"), member("b")], &[Some(1), None, Some(0)]).unwrap();
        let names = [0, 1, 2, 3].map(|partition| map.owner(Partition(partition)).map(|owner| owner.name.as_str()));
        assert_eq!(names, [Some("b"), None, Some("a"), None]);
        assert!(map.is_owned_by(Partition(0), "b") && !map.is_owned_by(Partition(1), "b"));
        assert_eq!(map.owners().collect::<Vec<_>>(), [Some(1), None, Some(0)]);
        assert_eq!((map.version(), map.partitions()), (7, 3));
    }

    #[test]
    fn a_map_that_contradicts_itself_is_refused() {
        let bad = PartitionMap::new(1, vec![member("a")], &[Some(0), Some(1)]);
        assert_eq!(bad, Err(BadMap::Owner { partition: 1, owner: 1, members: 1 }));
        assert_eq!(PartitionMap::new(1, Vec::new(), &[]), Err(BadMap::Partitions(0)));
        let many = PartitionMap::new(1, vec![member("a"); usize::from(u16::MAX)], &[None]);
        assert_eq!(many, Err(BadMap::Members(65_535)));
        for names in [["b", "a"], ["a", "a"]] {
            assert_eq!(PartitionMap::new(1, names.map(member).into(), &[None]), Err(BadMap::Order));
        }
    }

    #[test]
    fn one_member_owns_the_whole() {
        let Some(partitions) = Partitions::new(4) else { panic!("4 partitions") };
        let map = PartitionMap::whole(member("here"), partitions);
        assert!(partitions.iter().all(|partition| map.is_owned_by(partition, "here")));
    }
}
