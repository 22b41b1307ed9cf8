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

/// See the module. Implementations keep bounded caches: both calls stand on the path of a reconnect.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Checks signature and expiry, and that the device was not logged out.
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError>;

    /// Whether there is such a user to write to.
    async fn user_exists(&self, user: UserId) -> Result<bool, Unavailable>;
}
