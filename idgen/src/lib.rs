//! Generator numbers and their reservations. The generator itself is pure and lives in the kernel.
//!
//! Before ids are issued up to a time T, T is stored in SQL by compare-and-set, 10 minutes ahead and
//! renewed each minute, so SQL may be away for 9 minutes. A process that starts anew is a new holder:
//! it takes numbers whose reservation has ended, and never meets its own earlier ids again, whatever
//! happened to the clock in between.
//!
//! | module | owns |
//! |---|---|
//! | `office` | who has which number, in SQL: [`Office`] |
//! | `reserved` | a node's generators and what renews their numbers: [`Reserved`], [`ClockedIds`] |

mod office;
mod reserved;

pub use office::Office;
pub use reserved::{ClockedIds, Reserved};
