//! Who owns what next, as a function of who owned it and who is up. No I/O, no clock.
//!
//! By weight: every member's share is its quota, partitions × weight / all weights, rounded down or up; one that
//! drains has none. With the fewest moves: a partition that may stay where it is stays, and of those whose quota
//! has a fraction, who hold more than its floor keep the larger shares. If all drain, nobody is drained.
//!
//! In steps: what has no living owner is given away at once. What goes from one living member to another, because
//! somebody came, drains or has another weight, goes a few partitions at a time, so that their sessions come back
//! spread over time and a member that drains hands over one after the other. All steps together move no more than
//! one step would.
//!
//! Trap avoided: members and partitions are taken in their order, in runs. Dealt out in turns, a node of two threads
//! could get even partitions alone, which are all one thread's.

use std::cmp::Reverse;
use std::iter::repeat_n;

use volery_kernel::map::{BadMap, Member, PartitionMap};
use volery_kernel::slot::Partition;

#[cfg(test)]
mod tests;

/// Of the planned moves that are left, one in so many goes at once, and at least one.
const AT_ONCE: usize = 8;

/// How far a map goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What has no living owner is given away.
    Needed,
    /// The same, and a few of the planned moves besides.
    Planned,
}

/// The map that follows `previous` while these members are up, one a name, in whatever order. `None` if
/// that is `previous` itself. The map of version 0 is never that: it only says how many partitions
/// there are.
///
/// # Errors
/// [`BadMap`]: there are too many, or two of one name.
pub fn next(
    previous: &PartitionMap,
    up: impl IntoIterator<Item = Member>,
    step: Step,
) -> Result<Option<PartitionMap>, BadMap> {
    let mut members: Vec<_> = up.into_iter().collect();
    members.sort();
    if members.len() >= usize::from(u16::MAX) {
        return Err(BadMap::Members(members.len()));
    }
    let mut deal = Deal::new(held(previous, &members), &members, None);
    deal.give();
    if step == Step::Planned {
        deal.shift((deal.left() / AT_ONCE).max(1), None);
    }
    let same = members == previous.members() && deal.owners.iter().copied().eq(previous.owners());
    if same && previous.version() > 0 {
        return Ok(None);
    }
    PartitionMap::new(previous.version().saturating_add(1), members, &deal.owners).map(Some)
}

/// How many planned moves are left.
#[must_use]
pub fn left(map: &PartitionMap) -> usize {
    Deal::new(map.owners().collect(), map.members(), None).left()
}

/// The map after an operator's move of a partition to a member that serves, an index of the map's members. If no
/// moves were left before, none are after: where shares would not be right, another partition goes the other way.
///
/// # Errors
/// [`BadMap::Owner`]: there is no such member.
pub fn moved(previous: &PartitionMap, partition: Partition, to: u16) -> Result<PartitionMap, BadMap> {
    let (partition, members) = (usize::from(partition.0), previous.members());
    let mut owners: Vec<_> = previous.owners().collect();
    if let Some(owner) = owners.get_mut(partition) {
        *owner = Some(to);
    }
    let mut deal = Deal::new(owners, members, Some(to));
    deal.shift(1, Some(partition));
    PartitionMap::new(previous.version().saturating_add(1), members.to_vec(), &deal.owners)
}

/// Who of those that are up owned each partition: an index of `members`, which are in the order of their names.
fn held(previous: &PartitionMap, members: &[Member]) -> Vec<Option<u16>> {
    let index = |old: &Member| members.binary_search_by(|member| member.name.cmp(&old.name)).ok()?.try_into().ok();
    let now: Vec<Option<u16>> = previous.members().iter().map(index).collect();
    previous.owners().map(|owner| *now.get(usize::from(owner?))?).collect()
}

/// Partitions, and who should have how many.
struct Deal {
    owners: Vec<Option<u16>>,
    /// By member.
    holds: Vec<usize>,
    /// By member. Together as many as there are partitions, or more if all drain.
    shares: Vec<usize>,
}

impl Deal {
    /// Among those who have equal claims to a larger share `favour` comes first.
    fn new(owners: Vec<Option<u16>>, members: &[Member], favour: Option<u16>) -> Self {
        let mut holds = vec![0; members.len()];
        let indices = owners.iter().flatten().map(|owner| usize::from(*owner));
        indices.for_each(|owner| holds.get_mut(owner).into_iter().for_each(|holds| *holds += 1));
        let shares = shares(members, &holds, owners.len(), favour);
        Self { owners, holds, shares }
    }

    /// How many are to go from one member to another.
    fn left(&self) -> usize {
        self.holds.iter().zip(&self.shares).map(|(holds, share)| holds.saturating_sub(*share)).sum()
    }

    /// Those with room, each as often as it has room.
    fn room(&self) -> impl Iterator<Item = u16> + use<> {
        let room: Vec<_> =
            self.shares.iter().zip(&self.holds).map(|(share, holds)| share.saturating_sub(*holds)).collect();
        (0..).zip(room).flat_map(|(member, room)| repeat_n(member, room))
    }

    /// Gives away what nobody owns.
    fn give(&mut self) {
        let mut room = self.room();
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            *owner = room.next();
            owner.iter().for_each(|owner| self.holds[usize::from(*owner)] += 1);
        }
    }

    /// Moves so many partitions at most from those who hold more than their share to those with room; never `stays`.
    fn shift(&mut self, most: usize, stays: Option<usize>) {
        let mut room = self.room().take(most);
        for (partition, owner) in self.owners.iter_mut().enumerate() {
            let Some(from) = owner.map(usize::from) else { continue };
            if Some(partition) == stays || self.holds[from] <= self.shares[from] {
                continue;
            }
            let Some(to) = room.next() else { return };
            self.holds[from] -= 1;
            *owner = Some(to);
        }
    }
}

/// How many partitions each member should have.
fn shares(members: &[Member], holds: &[usize], partitions: usize, favour: Option<u16>) -> Vec<usize> {
    let all_drain = !members.iter().any(Member::serves);
    let weight = |member: &Member| if member.serves() || all_drain { usize::from(member.weight.get()) } else { 0 };
    let all = members.iter().map(weight).sum::<usize>().max(1);
    let quotas: Vec<_> = members.iter().map(|member| partitions * weight(member)).collect();
    let mut shares: Vec<_> = quotas.iter().map(|quota| quota / all).collect();
    let larger = partitions - shares.iter().sum::<usize>();
    let mut claims: Vec<_> = (0..members.len()).filter(|member| quotas[*member] % all > 0).collect();
    claims.sort_by_key(|member| {
        let favoured = favour.map(usize::from) == Some(*member);
        (Reverse((holds[*member] > shares[*member], favoured, quotas[*member] % all, holds[*member])), *member)
    });
    claims.into_iter().take(larger).for_each(|member| shares[member] += 1);
    if all_drain {
        shares.iter_mut().zip(holds).for_each(|(share, holds)| *share = (*share).max(*holds));
    }
    shares
}
