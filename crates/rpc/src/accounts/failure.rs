//! account-node's refusals as statuses and back. There are two kinds of error in the ports, and one
//! message for both.

use tonic::{Code, Status};
use volery_kernel::code::Code as Reason;
use volery_kernel::generator::Refused;
use volery_kernel::time::Timestamp;
use volery_ports::account_service::AccountError;

use crate::check::Nonsense;
use crate::refusal::{kind, of_unavailable, to_status, to_unavailable};
use crate::status;
use crate::wire::account::v1::failure::Kind;
use crate::wire::account::v1::no_ids::Why;
use crate::wire::account::v1::{self as wire, Busy, NoIds};

/// Fields that a refusal may be about, as account-node names them.
const FIELDS: [&str; 5] = ["user_name", "display_name", "password", "device_name", "q"];

pub(super) fn of_account(error: AccountError) -> Status {
    let told = error.to_string();
    match error {
        AccountError::Refused { code, field } => {
            let (text, field) = (code.text().to_owned(), field.unwrap_or_default().to_owned());
            to_status(status_code(code), told, Kind::Refused(wire::Refused { code: text, field }))
        }
        AccountError::Busy => to_status(Code::ResourceExhausted, told, Kind::Busy(Busy {})),
        AccountError::NoIds(refused) => to_status(Code::Unavailable, told, Kind::NoIds(no_ids(refused))),
        AccountError::Unavailable(unavailable) => of_unavailable::<Kind>(unavailable),
        AccountError::Fault(what) => to_status(Code::Internal, told, Kind::Fault(what)),
    }
}

pub(super) fn to_account(status: &Status) -> AccountError {
    match kind(status) {
        Some(Kind::Refused(refused)) => to_refused(&refused),
        Some(Kind::Busy(Busy {})) => AccountError::Busy,
        Some(Kind::NoIds(from)) => to_no_ids(&from),
        Some(Kind::Fault(what)) => AccountError::Fault(what),
        Some(Kind::Unavailable(_)) => AccountError::Unavailable(to_unavailable::<Kind>(status)),
        None => match status.code() {
            // It was reached, and the two do not understand each other.
            Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange | Code::Internal => {
                AccountError::Fault(status::told(status))
            }
            _ => AccountError::Unavailable(to_unavailable::<Kind>(status)),
        },
    }
}

/// An answer that means nothing.
pub(super) fn nonsense(nonsense: Nonsense) -> String {
    format!("account-node's answer means nothing: {nonsense}")
}

fn status_code(code: Reason) -> Code {
    match code.http() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        500.. => Code::Unavailable,
        _ => Code::InvalidArgument,
    }
}

fn to_refused(from: &wire::Refused) -> AccountError {
    match Reason::ALL.iter().find(|code| code.text() == from.code) {
        Some(&code) => AccountError::Refused { code, field: FIELDS.iter().copied().find(|field| *field == from.field) },
        None => AccountError::Fault(format!("refused for a reason of a later version: {}", from.code)),
    }
}

fn no_ids(from: Refused) -> NoIds {
    NoIds {
        why: Some(match from {
            Refused::Reservation { until } => Why::ReservedUntil(until.0),
            Refused::ClockBehind { behind_ms } => Why::ClockBehindMs(behind_ms),
            Refused::FloorAhead { ahead_ms } => Why::FloorAheadMs(ahead_ms),
        }),
    }
}

fn to_no_ids(from: &NoIds) -> AccountError {
    AccountError::NoIds(match from.why {
        Some(Why::ReservedUntil(until)) => Refused::Reservation { until: Timestamp(until) },
        Some(Why::ClockBehindMs(behind_ms)) => Refused::ClockBehind { behind_ms },
        Some(Why::FloorAheadMs(ahead_ms)) => Refused::FloorAhead { ahead_ms },
        None => return AccountError::Fault("no id can be taken, for a reason of a later version".into()),
    })
}
