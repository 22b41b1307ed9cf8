//! The account store: people, devices, refresh tokens, the outbox, reservations, signing keys.
//!
//! # Contract
//! - A call is one transaction: all of it is there when it answers `Ok`, and survives a crash. After
//!   [`Unavailable`] it is all there or not at all; nothing is ever half done. Every call may be repeated.
//! - A change that the data path must learn of and its [`NewEntry`] are written in the same transaction:
//!   neither is ever there without the other.
//! - Outbox entries are numbered in the order of their transactions. They are taken by number and stay
//!   until [`AccountStore::outbox_done`]: whoever relays them does so at least once.
//! - Of all who would relay the outbox one leads at a time: two would append out of order. Who leads asks
//!   now and then whether it still does, because a store that was away has forgotten, and may have given
//!   the lead to another.
//! - Reads see every call that has answered.
//! - Secrets are kept as hashes alone: a stolen copy of the store logs nobody in. (Signing keys are
//!   the exception: they are what they are.)
//! - The store judges no names and no passwords and reads no clock: callers pass what they have checked,
//!   and the time.
//! - Times and ids are below 2^63.

use async_trait::async_trait;
use volery_kernel::chat::Recipient;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;

pub use crate::accounts::Unavailable;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Unique; lower case.
    pub user_name: String,
    /// As others see it.
    pub display_name: String,
    /// When the account was made.
    pub created: Timestamp,
}

/// A person with what their password is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub user: User,
    /// A PHC string.
    pub password_hash: String,
}

/// An installed client of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Issued at log-in.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What its user calls it.
    pub name: String,
    /// When it logged in.
    pub created: Timestamp,
    /// When it logged in or refreshed last.
    pub last_seen: Timestamp,
    /// When it was logged out; its tokens are void from then on, for ever.
    pub revoked: Option<Timestamp>,
}

/// SHA-256 of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// A refresh token to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its hash.
    pub hash: TokenHash,
    /// First moment at which it is void.
    pub expires: Timestamp,
}

/// How a user was or was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was.
    Done,
    /// Another user has the name. Nothing was written.
    NameTaken,
    /// Another user has the id. Nothing was written.
    IdTaken,
}

/// How a rotation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The token is used up, the next one is valid, the device was seen.
    Done(Device),
    /// The token had been used before, so one of the two who hold it is a thief: its device is revoked,
    /// and the entry that was passed for this case is in the outbox.
    Reused {
        /// Whose device.
        user: UserId,
        /// Which one.
        device: DeviceId,
        /// The number of the entry; `None` if the device had been revoked before.
        entry: Option<u64>,
    },
    /// It is expired, or its device was revoked. Nothing was written.
    Void,
    /// It was never given out, or forgotten long after it expired. Nothing was written.
    Unknown,
}

/// An event for the log, in the log's own encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// In whose stream it stands.
    pub stream: Recipient,
    /// The encoded event.
    pub event: Vec<u8>,
}

/// An entry that waits in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// From 1, rising.
    pub number: u64,
    /// What waits.
    pub entry: NewEntry,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// The number is the holder's; ids may be issued for times in `from..until`.
    Held {
        /// Where the previous holder's time ended; for a renewal, where this holder's own time began.
        from: Timestamp,
        /// First moment that is not reserved.
        until: Timestamp,
    },
    /// Somebody else holds it. Nothing was written.
    Taken {
        /// Until when, unless it is renewed.
        until: Timestamp,
    },
}

/// The lead of the outbox: held until it is dropped, or until the store has forgotten it.
#[async_trait]
pub trait OutboxLead: Send {
    /// Whether it is still held. Once it is not, it never is again.
    async fn holds(&mut self) -> bool;
}

/// A key that signs access tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Names it in tokens and in the published set.
    pub kid: String,
    /// The 32 bytes of an Ed25519 private key.
    pub secret: [u8; 32],
    /// When it was made: the newest signs.
    pub created: Timestamp,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).field("created", &self.created).finish_non_exhaustive()
    }
}

/// See the module's contract.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Writes new users, each by itself accepted or not, in one transaction; answers in their order.
    /// A user that is there already, equal in everything but `created`, is [`Created::Done`] and stays as it is.
    async fn create_users(&self, users: Vec<Credentials>) -> Result<Vec<Created>, Unavailable>;

    /// The user of this name with the password's hash.
    async fn credentials(&self, user_name: &str) -> Result<Option<Credentials>, Unavailable>;

    /// Those of the users that exist, by id. At most 1,000 are asked for at once; the rest is ignored.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable>;

    /// Users in whose user name or display name `part` occurs, upper and lower case alike (as
    /// [`str::to_lowercase`] says), by id, at most `limit`. Nothing for fewer than 3 characters.
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Unavailable>;

    /// Writes a device and its first refresh token. The user exists, the ids and hashes are new.
    async fn log_in(&self, device: Device, token: NewToken) -> Result<(), Unavailable>;

    /// One device, revoked ones too.
    async fn device(&self, id: DeviceId) -> Result<Option<Device>, Unavailable>;

    /// A user's devices that are not revoked, newest first, at most `limit`.
    async fn devices(&self, user: UserId, limit: usize) -> Result<Vec<Device>, Unavailable>;

    /// Exchanges a refresh token for the next one, or revokes its device if the token was used before;
    /// `told(user, device)` makes the entry for that case. Whether it is void is judged after whether it
    /// was used, so that a thief's late attempt is noticed as well.
    async fn rotate(
        &self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Result<Rotation, Unavailable>;

    /// Revokes a device of `user` and writes the entry. Answers its number, or `None` if there was
    /// nothing to revoke: no such device, another user's, or revoked before.
    async fn revoke(
        &self,
        user: UserId,
        device: DeviceId,
        now: Timestamp,
        told: NewEntry,
    ) -> Result<Option<u64>, Unavailable>;

    /// Devices revoked by an entry with a number above `after`, with that number and by it, at most `limit`.
    /// Once a number was seen here, no smaller one appears: who asks from the last one on misses none.
    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable>;

    /// The largest number of [`AccountStore::revoked_after`]; 0 before the first.
    async fn newest_revocation(&self) -> Result<u64, Unavailable>;

    /// The lead of the outbox, unless somebody else has it: another process, or another who asked this store.
    async fn outbox_lead(&self) -> Result<Option<Box<dyn OutboxLead>>, Unavailable>;

    /// Entries with a number above `after`, by number, at most `limit`.
    async fn outbox_take(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, Unavailable>;

    /// Removes entries that stand on the log. Numbers that are not there are ignored.
    async fn outbox_done(&self, numbers: &[u64]) -> Result<(), Unavailable>;

    /// Reserves a generator's number for `holder` until `until`, by compare-and-set: it must be free, or
    /// the holder's already, or its time must have ended by `now`. A renewal never shortens. A holder's
    /// name is used by one process once: a process that starts anew is another holder.
    async fn reserve(
        &self,
        number: u16,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Unavailable>;

    /// All signing keys, the newest first; if there are none, `first` becomes the only one.
    async fn signing_keys(&self, first: SigningKey) -> Result<Vec<SigningKey>, Unavailable>;
}
