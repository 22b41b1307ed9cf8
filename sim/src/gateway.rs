//! Where devices connect: the node that `moved` named, else the one that a gateway names, by a map which may
//! be old.

use volery_kernel::chat::Recipient;
use volery_kernel::id::UserId;
use volery_kernel::map::NodeKind;

use crate::maps::GATEWAYS;
use crate::world::World;

impl World {
    /// The node that a device turns to; `None` while no gateway knows one.
    pub(crate) fn node_for(&mut self, user: UserId, address: Option<&str>) -> Option<usize> {
        if let Some(address) = address {
            return self.node_at(address);
        }
        if !self.has_maps(NodeKind::Messaging) {
            return Some(self.rng.index(self.nodes.len()));
        }
        let map = &self.gateways[self.rng.index(GATEWAYS)];
        let owner = map.owner(self.log.partitions().of(Recipient::User(user)))?;
        self.node_at(&owner.url)
    }
}
