//! Calls to a role on other machines: which endpoint, how long, and whether again.
//!
//! | file | owns |
//! |---|---|
//! | `endpoint` | one endpoint: its connection, and whether it is left out for now |
//! | `budget` | how many retries may be made |
//! | `outcome` | what became of an attempt |
//! | `watched` | what metrics and health say of calls |
//! | `remote` | [`Remote`]: a call from its first attempt to its last |

mod budget;
mod endpoint;
mod outcome;
mod remote;
mod watched;

use std::time::Duration;

pub use remote::{BadEndpoint, CallOptions, Remote};
pub use watched::Watched;

/// How a call may be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Whether doing it twice is as good as doing it once.
    pub(crate) may_repeat: bool,
    /// Whether it waits for more than a look-up: a password's hash, the log.
    pub(crate) slow: bool,
    /// How long the other side may wait for news before it answers, on top of the deadline.
    pub(crate) patience: Duration,
}

impl Call {
    /// Only looks, or does what is as good when it is done twice.
    pub(crate) const READ: Self = Self { may_repeat: true, slow: false, patience: Duration::ZERO };
    /// Looks through up to 2,048 numbers; the same holder gets the same ones again.
    pub(crate) const RESERVE: Self = Self { may_repeat: true, slow: true, patience: Duration::ZERO };
    /// Changes something that a second time would change again.
    pub(crate) const CHANGE: Self = Self { may_repeat: false, slow: true, patience: Duration::ZERO };

    /// Looks once there is something new, or after so long.
    pub(crate) const fn watch(patience: Duration) -> Self {
        Self { patience, ..Self::READ }
    }
}
