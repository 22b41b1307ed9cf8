//! What sessions and the gateway ask of account-node on the live path.

use async_trait::async_trait;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;

/// What a valid access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: UserId,
    /// For which device.
    pub device: DeviceId,
    /// First moment at which it is void.
    pub expires: Timestamp,
}

/// Why a token was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Forged, foreign, expired or malformed: all the same to whoever sent it.
    #[error("the token is not valid")]
    Invalid,
    /// Its device was logged out.
    #[error("the device was logged out")]
    Revoked,
    /// It cannot be decided now.
    #[error("accounts cannot be read: {0}")]
    Unavailable(String),
}

/// The account store is away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accounts cannot be read: {0}")]
pub struct Unavailable(pub String);

/// How a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub user: UserId,
    /// It was logged out, for ever.
    pub revoked: bool,
}

/// What decides what a token is worth, asked of the account node by whoever judges tokens itself, and
/// remembered there.
#[async_trait]
pub trait AccountFacts: Send + Sync + 'static {
    /// The public keys that verify access tokens: a JSON Web Key Set (RFC 7517). A key is published before
    /// it signs anything.
    async fn keys(&self) -> Result<String, Unavailable>;

    /// How a device stands; `None` if there never was one.
    async fn standing(&self, device: DeviceId) -> Result<Option<Standing>, Unavailable>;

    /// Log-outs with a number above `after`, with that number and by it, at most `limit` and never more than
    /// 1,000. Once a number was seen here, no smaller one appears: who asks from the last one on misses none.
    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable>;

    /// The largest number of [`AccountFacts::revoked_after`]; 0 before the first.
    async fn newest_revocation(&self) -> Result<u64, Unavailable>;

    /// Whether there is such a user.
    async fn is_user(&self, user: UserId) -> Result<bool, Unavailable>;
}

/// See the module. Implementations keep bounded caches: both calls stand on the path of a reconnect.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Checks signature and expiry, and that the device was not logged out.
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError>;

    /// Whether there is such a user to write to.
    async fn user_exists(&self, user: UserId) -> Result<bool, Unavailable>;
}
