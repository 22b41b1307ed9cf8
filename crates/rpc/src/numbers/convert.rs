//! Numbers and refusals, in both directions.

use tonic::{Code, Status};
use volery_kernel::id::GENERATOR_MAX;
use volery_kernel::time::Timestamp;
use volery_ports::accounts::Unavailable;
use volery_ports::ids::{Held, ReserveError};

use crate::check::{self, Checked, Nonsense};
use crate::limits::HOLDER_BYTES;
use crate::wire::idgen::v1 as wire;
use crate::wire::idgen::v1::failure::Kind;
use crate::{refusal, status};

pub(crate) fn held(from: Held) -> wire::Held {
    wire::Held { number: Some(from.number.into()), from: Some(from.from.0), until: Some(from.until.0) }
}

pub(super) fn to_held(from: wire::Held) -> Checked<Held> {
    Ok(Held {
        number: to_number(from.number)?,
        from: check::time("from", from.from)?,
        until: check::time("until", from.until)?,
    })
}

pub(crate) fn to_all_held(from: wire::TakeAnswer) -> Checked<Vec<Held>> {
    from.held.into_iter().map(to_held).collect()
}

pub(super) fn to_number(from: Option<u32>) -> Checked<u16> {
    let number = u16::try_from(check::there("number", from)?).ok().filter(|number| *number <= GENERATOR_MAX);
    number.map_or_else(|| check::wrong("number", "is no generator's"), Ok)
}

/// A name must be one: all who forget theirs would share their numbers.
pub(super) fn to_holder(from: String) -> Checked<String> {
    match from.len() {
        1..=HOLDER_BYTES => Ok(from),
        _ => check::wrong("holder", "is empty or too long"),
    }
}

pub(super) fn to_status(error: ReserveError) -> Status {
    let told = error.to_string();
    let (code, kind) = match error {
        ReserveError::Unavailable(Unavailable(reason)) => (Code::Unavailable, Kind::Unavailable(reason)),
        ReserveError::NoneFree => (Code::ResourceExhausted, Kind::NoneFree(wire::NoneFree {})),
        ReserveError::Lost { until } => (Code::FailedPrecondition, Kind::Lost(wire::Lost { until: Some(until.0) })),
    };
    refusal::to_status(code, told, kind)
}

pub(super) fn from_status(status: &Status) -> ReserveError {
    match refusal::kind(status) {
        Some(Kind::Unavailable(reason)) => Unavailable(reason).into(),
        Some(Kind::NoneFree(wire::NoneFree {})) => ReserveError::NoneFree,
        Some(Kind::Lost(wire::Lost { until })) => ReserveError::Lost { until: Timestamp(until.unwrap_or_default()) },
        None => Unavailable(status::told(status)).into(),
    }
}

pub(super) fn nonsense(nonsense: Nonsense) -> ReserveError {
    Unavailable(format!("idgen's answer means nothing: {nonsense}")).into()
}
