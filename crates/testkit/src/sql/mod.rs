//! The account store's model, conformance suite and random comparison.
//!
//! [`conformance`] states the contract of [`volery_ports::sql`] case by case; [`compare`] runs random
//! operations on an engine and on [`Model`] and wants the same answers. An engine passes both.
//! The model can be switched off, for tests of what happens while SQL is away; [`ManualClock`] and
//! [`CountedIds`] stand in for the rest of what a node is given.

mod conformance;
mod doubles;
mod model;
mod random;

pub use conformance::conformance;
pub use doubles::{CountedIds, ManualClock};
pub use model::Model;
pub use random::{Op, compare, ops};

use volery_kernel::chat::Recipient;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{Credentials, Device, NewEntry, NewToken, TokenHash, User};

/// The id of this number.
#[must_use]
pub fn id(number: u64) -> Id {
    Id::new(number).unwrap_or(Id::MAX)
}

/// A user named `user<number>`, made at that time, whose display name is `Name <number>`.
#[must_use]
pub fn user(number: u64) -> Credentials {
    let user = User {
        id: UserId(id(number)),
        user_name: format!("user{number}"),
        display_name: format!("Name {number}"),
        created: Timestamp(number),
    };
    Credentials { user, password_hash: format!("$hash${number}") }
}

/// A device of a user, logged in at the time of its number.
#[must_use]
pub fn device(number: u64, user: u64) -> Device {
    let at = Timestamp(number);
    Device {
        id: DeviceId(id(number)),
        user: UserId(id(user)),
        name: format!("device {number}"),
        created: at,
        last_seen: at,
        revoked: None,
    }
}

/// The refresh token of this number.
#[must_use]
pub fn token(number: u8, expires: u64) -> NewToken {
    NewToken { hash: TokenHash([number; 32]), expires: Timestamp(expires) }
}

/// An entry for a user's stream that names the device.
#[must_use]
pub fn told(user: UserId, device: DeviceId) -> NewEntry {
    NewEntry { stream: Recipient::User(user), event: device.to_string().into_bytes() }
}
