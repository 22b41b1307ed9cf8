//! Where clients connect, as the newest map says.
//!
//! Trap avoided: a log-in is worth more than an address. While nobody owns a user's partition it names any
//! node: that one knows who does as soon as somebody does, and says so.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_kernel::map::PartitionMap;
use volery_kernel::slot::{Partition, Partitions, slot_of};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Nodes(watch::Receiver<Arc<PartitionMap>>);

impl Nodes {
    pub(crate) fn new(map: watch::Receiver<Arc<PartitionMap>>) -> Self {
        Self(map)
    }

    /// The node that serves a user; `None` while none does.
    pub(crate) fn of(&self, user: UserId) -> Option<String> {
        url_of(&self.0.borrow(), user).map(str::to_owned)
    }

    /// The same for who cannot reach `not`: waits a while for another. Those who waited for one change are told of
    /// it over some time, for they connect at once.
    pub(crate) async fn other_than(&self, not: &str, user: UserId) -> Option<String> {
        let mut maps = self.0.clone();
        let another = |map: &Arc<PartitionMap>| url_of(map, user).is_some_and(|url| url != not);
        if !another(&self.0.borrow()) {
            let within = Duration::from_millis(limits::OTHER_NODE_WITHIN_MS.value);
            // A look at the map that was kept would hold up the next one: only whether it came is.
            let came = matches!(tokio::time::timeout(within, maps.wait_for(another)).await, Ok(Ok(_)));
            if came {
                tokio::time::sleep(Duration::from_millis(turn_of(user))).await;
            }
        }
        // If none came, whoever serves the user may be there again.
        self.of(user)
    }

    /// That one, or while there is none, any; nothing at all while none is up.
    pub(crate) fn of_or_any(&self, user: UserId) -> String {
        let any = || {
            let map = self.0.borrow();
            let at = partition_of(&map, user)?.0;
            // Not all at the first one.
            Some(map.members().get(usize::from(at).checked_rem(map.members().len())?)?.url.clone())
        };
        self.of(user).or_else(any).unwrap_or_default()
    }
}

fn url_of(map: &PartitionMap, user: UserId) -> Option<&str> {
    Some(&map.owner(partition_of(map, user)?)?.url)
}

/// How many milliseconds after a change a user is told of it.
fn turn_of(user: UserId) -> u64 {
    u64::from(slot_of(Recipient::User(user))) % limits::MOVED_WITHIN_MS.value
}

fn partition_of(map: &PartitionMap, user: UserId) -> Option<Partition> {
    let partitions = Partitions::new(u16::try_from(map.partitions()).ok()?)?;
    Some(partitions.of(Recipient::User(user)))
}

#[cfg(test)]
mod tests {
    use volery_kernel::id::Id;
    use volery_kernel::map::Member;

    use super::*;

    fn map(members: &[&str], owners: &[Option<u16>]) -> Arc<PartitionMap> {
        let member = |name: &&str| Member::new((*name).to_owned(), format!("ws://{name}"));
        Arc::new(PartitionMap::new(1, members.iter().map(member).collect(), owners).unwrap())
    }

    #[test]
    fn who_has_no_owner_is_sent_to_any_node() {
        let (told, map_of) = watch::channel(map(&["a", "b"], &[Some(0), None]));
        let nodes = Nodes::new(map_of);
        let users = || (1..100).map(|number| UserId(Id::new(number).unwrap()));
        let owned: Vec<_> = users().filter(|user| nodes.of(*user).is_some()).collect();
        assert!(owned.iter().all(|user| nodes.of_or_any(*user) == "ws://a") && !owned.is_empty());
        assert!(users().filter(|user| !owned.contains(user)).all(|user| nodes.of_or_any(user) == "ws://b"));
        told.send_replace(map(&[], &[None, None]));
        assert!(users().all(|user| nodes.of(user).is_none() && nodes.of_or_any(user).is_empty()));
    }
}
