//! The role config-node: leases of nodes, the partition map of each kind of node that follows from them, and
//! dynamic settings; and what other nodes do with all that.
//!
//! Everything that it knows stands in a store that all config-nodes share, so any number of them may run
//! and none is special. What it decides is pure: `assign`, `leases`, `orders`, `settings`.
//!
//! | module | owns |
//! |---|---|
//! | [`assign`] | who owns what next: by weight, with the fewest moves, a few at a time |
//! | [`leases`] | which leases have ended |
//! | `orders` | what operators order of nodes, judged and written |
//! | [`admission`] | who may use the log |
//! | [`settings`] | which keys are dynamic, what they take, how they change a configuration |
//! | `node` | looks at the store, writes maps, wakes who watches: [`ConfigNode`] |
//! | `stored` | the maps and the settings where no config-node runs: [`StoredBoard`] |
//! | [`follow`] | for every other node: asks whether it may use the log, holds its lease, follows the map and the settings |

pub mod admission;
pub mod assign;
pub mod follow;
pub mod leases;
mod node;
mod orders;
pub mod settings;
mod stored;

pub use node::{ConfigNode, ConfigOptions, ConfigParts, HASH, LEVEL, StartError};
pub use stored::StoredBoard;
