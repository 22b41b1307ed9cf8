//! What comes after a socket was left: the tables of `docs/protocol.md`, and the server's word before them.

use volery_kernel::code::{Close, Reconnect};

use super::turn::{Down, Loss};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Again,
    Later,
    /// After so many milliseconds.
    Told(u64),
    NewToken,
    Never(Down),
}

impl After {
    /// A number that is not known is like none at all.
    pub(super) fn loss(loss: Loss) -> Self {
        match loss {
            Loss::Broken => Self::Again,
            Loss::ComeAgain(ms) => Self::Told(ms),
            Loss::Closed(number) => Close::from_number(number).map_or(Self::Again, Self::close),
        }
    }

    fn close(close: Close) -> Self {
        match (close, close.reconnect()) {
            (_, Reconnect::Now) => Self::Again,
            (_, Reconnect::Later) => Self::Later,
            (_, Reconnect::WithNewToken) => Self::NewToken,
            (Close::Replaced, Reconnect::No) => Self::Never(Down::Replaced),
            (Close::Revoked, Reconnect::No) => Self::Never(Down::LoggedOut),
            (_, Reconnect::No) => Self::Never(Down::Refused),
        }
    }
}
