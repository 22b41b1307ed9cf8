//! Maps, whole or by what changed, in both directions.

use volery_kernel::map::{MapDelta, PartitionMap};
use volery_kernel::slot::{Partition, SLOTS};

use super::convert::{member, to_member, word};
use super::recent::Answer;
use crate::check::{self, Checked};
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::map_answer::Kind;

pub(crate) fn map(from: &PartitionMap) -> wire::PartitionMap {
    wire::PartitionMap {
        version: from.version(),
        members: from.members().iter().cloned().map(member).collect(),
        owners: from.owners().map(owner).collect(),
    }
}

pub(crate) fn to_map(from: wire::PartitionMap) -> Checked<PartitionMap> {
    if from.owners.len() > usize::from(SLOTS) {
        return check::wrong("owners", "are more than 16,384");
    }
    let members = from.members.into_iter().map(to_member).collect::<Checked<Vec<_>>>()?;
    let owners = from.owners.into_iter().map(to_owner).collect::<Checked<Vec<_>>>()?;
    PartitionMap::new(from.version, members, &owners).or_else(|_| check::wrong("owners", "contradict the members"))
}

pub(super) fn answer(from: Answer) -> wire::MapAnswer {
    let kind = match from {
        Answer::Whole(map) => Kind::Whole(self::map(&map)),
        Answer::Changes(delta) => Kind::Changes(changes(delta)),
    };
    wire::MapAnswer { kind: Some(kind) }
}

pub(super) fn to_answer(from: wire::MapAnswer) -> Checked<Answer> {
    Ok(match check::there("kind", from.kind)? {
        Kind::Whole(map) => Answer::Whole(to_map(map)?),
        Kind::Changes(changes) => Answer::Changes(to_delta(changes)?),
    })
}

pub(crate) fn changes(from: MapDelta) -> wire::MapChanges {
    let MapDelta { from, version, left, came, moved } = from;
    let moved = moved.into_iter().map(|(Partition(partition), owner)| wire::MovedPartition {
        partition: partition.into(),
        owner: self::owner(owner),
    });
    wire::MapChanges { from, version, left, came: came.into_iter().map(member).collect(), moved: moved.collect() }
}

pub(crate) fn to_delta(from: wire::MapChanges) -> Checked<MapDelta> {
    let wire::MapChanges { from, version, left, came, moved } = from;
    let moved = moved.into_iter().map(|wire::MovedPartition { partition, owner }| {
        let partition = u16::try_from(partition).or_else(|_| check::wrong("partition", "is above 65,535"))?;
        Ok((Partition(partition), to_owner(owner)?))
    });
    Ok(MapDelta {
        from,
        version,
        left: left.into_iter().map(|name| word("left", name)).collect::<Checked<_>>()?,
        came: came.into_iter().map(to_member).collect::<Checked<_>>()?,
        moved: moved.collect::<Checked<_>>()?,
    })
}

/// 0 is nobody.
fn owner(index: Option<u16>) -> u32 {
    index.map_or(0, |index| u32::from(index) + 1)
}

fn to_owner(raw: u32) -> Checked<Option<u16>> {
    let index = |raw: u32| u16::try_from(raw).or_else(|_| check::wrong("owners", "name no member"));
    raw.checked_sub(1).map(index).transpose()
}
