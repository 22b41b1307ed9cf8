//! New ids for whoever needs one now and then, and the generator numbers under which they are issued.
//!
//! # Contract of [`Numbers`]
//! - Of two holders of one number, the later one's time begins where the earlier one's ended: whoever
//!   issues ids for times in `from..until` alone issues none that anybody else issues. No clock has
//!   to be right for that.
//! - A holder's name is used by one taking once: who needs a number more takes it under another name,
//!   and a process that starts anew never meets its own earlier ids.
//! - Both calls may be repeated after [`Unavailable`]: what the holder has by then, it gets again.

use async_trait::async_trait;
use volery_kernel::generator::Refused;
use volery_kernel::id::Id;
use volery_kernel::time::Timestamp;

use crate::accounts::Unavailable;

/// Takes ids from the node's generator. Cheap; never waits.
pub trait Ids: Send + Sync + 'static {
    /// An id that nobody else has or gets.
    ///
    /// # Errors
    /// [`Refused`]: the reservation ended or the clock is far behind; a later call may succeed.
    fn take(&self) -> Result<Id, Refused>;
}

/// A generator's number, and for which times ids may be issued under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// From 0 to 2,047.
    pub number: u16,
    /// Where the previous holder's time ended.
    pub from: Timestamp,
    /// First moment that is not reserved.
    pub until: Timestamp,
}

/// Why a number is not the holder's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// More processes started within 10 minutes than there are numbers.
    #[error("all 2,048 generator numbers are reserved; the first ends within 10 minutes")]
    NoneFree,
    /// The reservation ended before it was renewed, and another holder has the number.
    #[error("the generator's number was lost to another holder, who has it until {until}")]
    Lost {
        /// Until when, unless it is renewed.
        until: Timestamp,
    },
}

/// Reserves generator numbers. See the module's contract.
#[async_trait]
pub trait Numbers: Send + Sync + 'static {
    /// Reserves `count` numbers for `holder`.
    async fn take(&self, holder: &str, count: usize) -> Result<Vec<Held>, ReserveError>;

    /// Extends the reservation of a number that `holder` has taken.
    async fn renew(&self, holder: &str, number: u16) -> Result<Held, ReserveError>;
}
