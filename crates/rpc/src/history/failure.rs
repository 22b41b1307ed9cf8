//! History's refusals as statuses and back. What did not come from history-node itself is
//! [`HistoryError::Unavailable`]: the only refusal that says "try later".

use tonic::{Code, Status};
use volery_ports::history::HistoryError;

use crate::check::Nonsense;
use crate::wire::history::v1::failure::Kind;
use crate::wire::history::v1::{InvalidCursor, TooOld, UnknownChat};
use crate::{refusal, status};

pub(super) fn to_status(error: HistoryError) -> Status {
    let told = error.to_string();
    let (code, kind) = match error {
        HistoryError::Unavailable(reason) => (Code::Unavailable, Kind::Unavailable(reason)),
        HistoryError::UnknownChat => (Code::NotFound, Kind::UnknownChat(UnknownChat {})),
        HistoryError::InvalidCursor => (Code::InvalidArgument, Kind::InvalidCursor(InvalidCursor {})),
        HistoryError::TooOld => (Code::OutOfRange, Kind::TooOld(TooOld {})),
    };
    refusal::to_status(code, told, kind)
}

pub(super) fn from_status(status: &Status) -> HistoryError {
    match refusal::kind(status) {
        Some(Kind::Unavailable(reason)) => HistoryError::Unavailable(reason),
        Some(Kind::UnknownChat(UnknownChat {})) => HistoryError::UnknownChat,
        Some(Kind::InvalidCursor(InvalidCursor {})) => HistoryError::InvalidCursor,
        Some(Kind::TooOld(TooOld {})) => HistoryError::TooOld,
        None => HistoryError::Unavailable(status::told(status)),
    }
}

/// An answer that means nothing is as good as none.
pub(super) fn nonsense(nonsense: Nonsense) -> HistoryError {
    HistoryError::Unavailable(format!("history-node's answer means nothing: {nonsense}"))
}
