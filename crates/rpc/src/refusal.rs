//! What the `Failure` messages of all contracts have in common: each is of one kind, and one of the kinds is that
//! a store is away. What a call cannot answer with counts as that the role cannot be reached.

use prost::Message;
use tonic::{Code, Status};
use volery_ports::accounts::Unavailable;

use crate::status;
use crate::wire::{account, config, history, idgen};

/// Why something was not done.
pub(crate) trait Kind: Sized {
    /// The message's name in its contract.
    const NAME: &'static str;
    /// The message around it.
    type Failure: Message + Default;

    fn into_failure(self) -> Self::Failure;

    /// Nothing, if it is of a later version.
    fn of_failure(failure: Self::Failure) -> Option<Self>;

    /// The store is away.
    fn away(reason: String) -> Self;

    /// With what it said, if it is that.
    fn into_reason(self) -> Option<String>;
}

macro_rules! kinds {
    ($($contract:ident = $name:literal;)*) => {$(
        impl Kind for $contract::v1::failure::Kind {
            const NAME: &'static str = $name;
            type Failure = $contract::v1::Failure;

            fn into_failure(self) -> Self::Failure {
                Self::Failure { kind: Some(self) }
            }

            fn of_failure(failure: Self::Failure) -> Option<Self> {
                failure.kind
            }

            fn away(reason: String) -> Self {
                Self::Unavailable(reason)
            }

            fn into_reason(self) -> Option<String> {
                match self {
                    Self::Unavailable(reason) => Some(reason),
                    _ => None,
                }
            }
        }
    )*};
}

kinds! {
    account = "volery.account.v1.Failure";
    config = "volery.config.v1.Failure";
    history = "volery.history.v1.Failure";
    idgen = "volery.idgen.v1.Failure";
}

/// A refusal, with what people are told.
pub(crate) fn to_status<K: Kind>(code: Code, told: String, kind: K) -> Status {
    status::with_detail(code, told, K::NAME, &kind.into_failure())
}

/// What a role refused with; nothing if it was not the role, or a later version of it.
pub(crate) fn kind<K: Kind>(status: &Status) -> Option<K> {
    K::of_failure(status::detail(status, K::NAME)?)
}

/// The store is away.
pub(crate) fn of_unavailable<K: Kind>(error: Unavailable) -> Status {
    to_status(Code::Unavailable, error.to_string(), K::away(error.0))
}

/// Whatever it was, nobody answered.
pub(crate) fn to_unavailable<K: Kind>(status: &Status) -> Unavailable {
    let reason = kind(status).and_then(K::into_reason);
    Unavailable(reason.unwrap_or_else(|| status::told(status)))
}
