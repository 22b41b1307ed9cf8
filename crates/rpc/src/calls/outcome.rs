//! What became of an attempt. Trap avoided: a status without an answer's details may come from this
//! side of the network as well as from the other, so who made it is told by what it carries.

use std::error::Error;

use tonic::{Code, ConnectError, Status, TimeoutExpired};

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// There was no connection: nothing was sent, whatever the call does.
    NotSent(Status),
    /// The connection broke, or whoever took the call could not serve it: it may have been done.
    Lost(Status),
    /// Time ran out.
    Late(Status),
    /// The role refused, and that is the answer.
    Refused(Status),
}

impl Failed {
    pub(super) fn new(status: Status) -> Self {
        match status.code() {
            _ if !status.details().is_empty() => Self::Refused(status),
            _ if has_cause::<ConnectError>(&status) => Self::NotSent(status),
            Code::DeadlineExceeded => Self::Late(status),
            // Either side's time-out; a cancellation by anything else is a connection that ended.
            Code::Cancelled if status.source().is_none() || has_cause::<TimeoutExpired>(&status) => Self::Late(status),
            // What the other side says comes without a source.
            Code::Unavailable => Self::Lost(status),
            _ if status.source().is_some() => Self::Lost(status),
            _ => Self::Refused(status),
        }
    }

    pub(super) fn into_status(self) -> Status {
        match self {
            Self::NotSent(status) | Self::Lost(status) | Self::Late(status) | Self::Refused(status) => status,
        }
    }
}

fn has_cause<E: Error + 'static>(status: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}
