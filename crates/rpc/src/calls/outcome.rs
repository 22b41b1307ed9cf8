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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_says_is_told_from_what_lies_between() {
        let role = Status::with_details(Code::Unavailable, "the store is away", bytes::Bytes::from_static(b"d"));
        assert!(matches!(Failed::new(role), Failed::Refused(_)));
        assert!(matches!(Failed::new(Status::not_found("no such call")), Failed::Refused(_)));
        assert!(matches!(Failed::new(Status::unavailable("leaving")), Failed::Lost(_)));
        assert!(matches!(Failed::new(Status::cancelled("time is over there")), Failed::Late(_)));
        assert!(matches!(Failed::new(Status::deadline_exceeded("here")), Failed::Late(_)));
        let refused = ConnectError("connection refused".into());
        assert!(matches!(Failed::new(Status::from_error(Box::new(refused))), Failed::NotSent(_)));
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(matches!(Failed::new(Status::from_error(Box::new(broken))), Failed::Lost(_)));
    }
}
