//! New ids for whoever needs one now and then: users, devices, events of the account node.

use volery_kernel::generator::Refused;
use volery_kernel::id::Id;

/// Takes ids from the node's generator. Cheap; never waits.
pub trait Ids: Send + Sync + 'static {
    /// An id that nobody else has or gets.
    ///
    /// # Errors
    /// [`Refused`]: the reservation ended or the clock is far behind; a later call may succeed.
    fn take(&self) -> Result<Id, Refused>;
}
