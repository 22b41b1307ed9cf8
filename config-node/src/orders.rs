//! What operators order of nodes: judged by the map and by who is drained, both as they are in the store, and written
//! with the map that follows, if nobody else wrote one meanwhile. Config-nodes take orders by [`give`], and so does
//! whoever has the store itself.
//!
//! Trap avoided: of two operators who drain the last two nodes at once, one must be refused. Every order makes a map of
//! its own, also one that moves nothing, so one of them comes too late and is judged again.

use volery_kernel::map::{Member, MemberState, PartitionMap};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Action, Drain, Order, OrderError};
use volery_ports::cluster_store::{ClusterStore, DrainChange, Unavailable};

use crate::assign;

/// As many others as are likely to write a map while an order is judged.
const TRIES: usize = 8;

/// Judges an order and writes what follows from it. `only` is the map where nobody ever wrote one.
///
/// # Errors
/// [`OrderError`]. Nothing was changed then.
pub(crate) async fn give(
    store: &dyn ClusterStore,
    only: &PartitionMap,
    now: Timestamp,
    order: &Order,
) -> Result<PartitionMap, OrderError> {
    for _ in 0..TRIES {
        let map = store.map(order.kind, 0).await?.unwrap_or_else(|| only.clone());
        let drains = store.drains(order.kind).await?;
        let Some(next) = judge(&map, &drains, order)? else { return Ok(map) };
        if store.put_map(order.kind, &next, change(order, now).as_ref()).await? {
            return Ok(next);
        }
    }
    Err(Unavailable("the map changes too often".to_owned()).into())
}

fn change(order: &Order, at: Timestamp) -> Option<DrainChange> {
    match &order.action {
        Action::Drain(node) => Some(DrainChange::Begins(Drain { node: node.clone(), by: order.by.clone(), at })),
        Action::Undrain(node) => Some(DrainChange::Ends(node.clone())),
        Action::Move(..) => None,
    }
}

/// The map that follows from an order; `None` if all is as it says already.
fn judge(map: &PartitionMap, drains: &[Drain], order: &Order) -> Result<Option<PartitionMap>, OrderError> {
    let version = map.version();
    if let Some(seen) = order.seen.filter(|seen| *seen != version) {
        return Err(OrderError::Stale { version, seen });
    }
    let is_drained = |node: &String| drains.iter().any(|drain| drain.node == *node);
    match &order.action {
        Action::Drain(node) if is_drained(node) => Ok(None),
        Action::Drain(node) => drained(map, node).map(Some),
        Action::Undrain(node) if is_drained(node) => Ok(Some(map.with_state(node, MemberState::Serving))),
        Action::Undrain(node) => serves(map, node).map(|()| None),
        Action::Move(partition, node) => moved(map, *partition, node),
    }
}

fn drained(map: &PartitionMap, node: &str) -> Result<PartitionMap, OrderError> {
    let member = map.member(node).ok_or_else(|| OrderError::NoNode(node.to_owned()))?;
    let is_another = |other: &&_| *other != member;
    if !map.members().iter().filter(is_another).any(Member::serves) {
        return Err(OrderError::LastNode(node.to_owned()));
    }
    Ok(map.with_state(node, MemberState::Draining))
}

/// A node that nobody drains.
fn serves(map: &PartitionMap, node: &str) -> Result<(), OrderError> {
    match map.member(node) {
        None => Err(OrderError::NoNode(node.to_owned())),
        Some(member) if member.serves() => Ok(()),
        Some(_) => Err(OrderError::Leaving(node.to_owned())),
    }
}

fn moved(map: &PartitionMap, partition: Partition, node: &str) -> Result<Option<PartitionMap>, OrderError> {
    if usize::from(partition.0) >= map.partitions() {
        let partitions = u16::try_from(map.partitions()).unwrap_or(u16::MAX);
        return Err(OrderError::NoPartition { partition: partition.0, partitions });
    }
    let found = (0..).zip(map.members()).find(|(_, member)| member.name == node);
    let (to, member) = found.ok_or_else(|| OrderError::NoNode(node.to_owned()))?;
    if !member.serves() {
        return Err(OrderError::Draining(node.to_owned()));
    }
    if map.is_owned_by(partition, node) {
        return Ok(None);
    }
    match assign::left(map) {
        0 => assign::moved(map, partition, to).map(Some).map_err(|bad| Unavailable(bad.to_string()).into()),
        left => Err(OrderError::Busy(u32::try_from(left).unwrap_or(u32::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use volery_kernel::map::NodeKind;

    use super::*;

    const PARTITIONS: usize = 4;

    fn member(name: &str) -> Member {
        Member::new(name.to_owned(), format!("ws://{name}"))
    }

    /// At version 5: `a` and `b` serve, `c` drains.
    fn map(owners: [u16; PARTITIONS]) -> PartitionMap {
        let leaving = Member { state: MemberState::Draining, ..member("c") };
        PartitionMap::new(5, vec![member("a"), member("b"), leaving], &owners.map(Some)).expect("a map")
    }

    fn order(action: Action) -> Order {
        Order { kind: NodeKind::Messaging, action, seen: Some(5), by: "ada".to_owned() }
    }

    fn drain(node: &str) -> Action {
        Action::Drain(node.to_owned())
    }

    fn undrain(node: &str) -> Action {
        Action::Undrain(node.to_owned())
    }

    fn to(node: &str, partition: u16) -> Action {
        Action::Move(Partition(partition), node.to_owned())
    }

    /// What becomes of the even map while operators drain these.
    fn judged(drains: &[&str], action: Action) -> Result<Option<PartitionMap>, OrderError> {
        let at = Timestamp(0);
        let drains = drains.iter().map(|node| Drain { node: (*node).to_owned(), by: String::new(), at });
        judge(&map([0, 0, 1, 1]), &drains.collect::<Vec<_>>(), &order(action))
    }

    #[test]
    fn a_node_is_drained_and_undrained() {
        let state = |map: &PartitionMap, node: &str| map.member(node).map(|member| member.state);
        let drained = judged(&[], drain("a")).expect("taken").expect("a map");
        assert_eq!((drained.version(), state(&drained, "a")), (6, Some(MemberState::Draining)));
        assert!(drained.owners().eq(map([0, 0, 1, 1]).owners()), "nothing has moved yet");
        let undrained = judged(&["c"], undrain("c")).expect("taken").expect("a map");
        assert_eq!((undrained.version(), state(&undrained, "c")), (6, Some(MemberState::Serving)));
        assert!(judged(&["down"], undrain("down")).is_ok_and(|map| map.is_some()), "it comes back as others");
        assert!(judged(&[], drain("c")).is_ok_and(|map| map.is_some()), "also when it has come back");
    }

    #[test]
    fn who_says_it_again_is_right() {
        for (drains, action) in
            [(&["a"][..], drain("a")), (&["down"], drain("down")), (&[], undrain("a")), (&[], to("b", 2))]
        {
            assert_eq!(judged(drains, action.clone()), Ok(None), "{action:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let name = || "c".to_owned();
        let refused = [
            (drain("d"), OrderError::NoNode("d".to_owned())),
            (undrain("d"), OrderError::NoNode("d".to_owned())),
            (undrain("c"), OrderError::Leaving(name())),
            (to("d", 0), OrderError::NoNode("d".to_owned())),
            (to("c", 0), OrderError::Draining(name())),
            (to("a", 4), OrderError::NoPartition { partition: 4, partitions: 4 }),
        ];
        for (action, error) in refused {
            assert_eq!(judged(&[], action), Err(error));
        }
        let stale = Order { seen: Some(4), ..order(drain("a")) };
        assert_eq!(judge(&map([0; 4]), &[], &stale), Err(OrderError::Stale { version: 5, seen: 4 }));
        let two = map([0, 0, 1, 1]).with_state("b", MemberState::Draining);
        let last = judge(&two, &[], &Order { seen: None, ..order(drain("a")) });
        assert_eq!(last, Err(OrderError::LastNode("a".to_owned())));
    }

    #[test]
    fn a_partition_is_moved_once_nothing_else_is() {
        let moved = judged(&[], to("b", 0)).expect("taken").expect("a map");
        assert_eq!((moved.version(), assign::left(&moved)), (6, 0));
        assert!(moved.is_owned_by(Partition(0), "b"));
        let uneven = judge(&map([0, 1, 1, 2]), &[], &order(to("a", 1)));
        assert_eq!(uneven, Err(OrderError::Busy(1)), "what drains has one to hand over");
    }
}
