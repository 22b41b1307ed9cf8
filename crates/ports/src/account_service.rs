//! What the gateway asks of account-node: everything that people do with their accounts, and the
//! [`AccountFacts`] by which tokens are judged. In one process it is called directly; across processes the same trait is a gRPC client.
//!
//! Rights are checked by whoever answers: calls that concern somebody's own account take the
//! [`Claims`] of an authenticated token, and reach nothing of anybody else.

use async_trait::async_trait;
use volery_kernel::code::Code;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;

use crate::accounts::{AccountFacts, Claims, Unavailable};
pub use crate::sql::{Device, User};

/// An account to make.
#[derive(Clone)]
pub struct Registration {
    /// `[a-z][a-z0-9_]{2,31}`, not reserved, not taken.
    pub user_name: String,
    /// Empty: the user name.
    pub display_name: String,
    /// In clear; hashed, never kept.
    pub password: String,
}

/// A log-in.
#[derive(Clone)]
pub struct LogIn {
    /// Who.
    pub user_name: String,
    /// In clear; never kept.
    pub password: String,
    /// What the user calls the device; rules of display names; may be empty.
    pub device_name: String,
}

/// What a device holds after a log-in or a refresh.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose.
    pub user: UserId,
    /// For which device.
    pub device: DeviceId,
    /// The access token, a JWT.
    pub access_token: String,
    /// First moment at which it is void.
    pub access_expires: Timestamp,
    /// The refresh token: good for one use.
    pub refresh_token: String,
    /// First moment at which it is void.
    pub refresh_expires: Timestamp,
}

/// Whether everyone has been told of a change that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its event is on the log.
    OnTheLog,
    /// The log is away. The change holds; its event follows by itself.
    Later,
}

/// Why the account node did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The caller's doing: a code, and the field that it is about.
    #[error("{code}")]
    Refused {
        /// What is wrong.
        code: Code,
        /// Where, if it is one field's fault.
        field: Option<&'static str>,
    },
    /// More password checks wait than may: try again in a moment.
    #[error("too many password checks wait")]
    Busy,
    /// No id can be taken now.
    #[error("no id can be taken: {0}")]
    NoIds(#[from] volery_kernel::generator::Refused),
    /// The account store is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A fault of ours, with what to log.
    #[error("account node: {0}")]
    Fault(String),
}

impl AccountError {
    /// A refusal that is not about one field.
    #[must_use]
    pub fn refused(code: Code) -> Self {
        Self::Refused { code, field: None }
    }

    /// A refusal of what stands in `field`.
    #[must_use]
    pub fn field(code: Code, field: &'static str) -> Self {
        Self::Refused { code, field: Some(field) }
    }

    /// As clients meet it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Busy => Code::Busy,
            Self::NoIds(_) => Code::NoIds,
            Self::Unavailable(_) => Code::AccountsUnavailable,
            Self::Fault(_) => Code::Internal,
        }
    }
}

/// See the module.
#[async_trait]
pub trait AccountService: AccountFacts {
    /// Makes an account.
    async fn register(&self, registration: Registration) -> Result<User, AccountError>;

    /// Checks the password and makes a device.
    async fn log_in(&self, log_in: LogIn) -> Result<Grant, AccountError>;

    /// Exchanges a refresh token. A token that was used before revokes its device.
    async fn refresh(&self, refresh_token: &str) -> Result<Grant, AccountError>;

    /// Logs a device of the caller's account out, be it the caller's own. A device that is not theirs,
    /// or is logged out already, is [`Code::NotFound`].
    async fn revoke(&self, caller: Claims, device: DeviceId) -> Result<Told, AccountError>;

    /// The devices of the caller's account that are logged in, newest first, at most 100.
    async fn devices(&self, caller: Claims) -> Result<Vec<Device>, AccountError>;

    /// Users whose name contains `part` (at least 3 characters), an exact user name first; at most
    /// `limit`, and never more than 20.
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, AccountError>;

    /// Those of the users that exist; at most 100 are asked for at once.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, AccountError>;

    /// The user of this name.
    async fn user_by_name(&self, user_name: &str) -> Result<Option<User>, AccountError>;
}
