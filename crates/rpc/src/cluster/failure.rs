//! config-node's refusals as statuses and back. What a call cannot answer with counts as that nobody could
//! be asked.

use tonic::{Code, Status};
use volery_ports::cluster::{ChangeError, HoldError, Unavailable};

use crate::check::Nonsense;
use crate::status;
use crate::wire::config::v1::failure::Kind;
use crate::wire::config::v1::{self as wire, Failure};

const NAME: &str = "volery.config.v1.Failure";

fn to_status(code: Code, told: String, kind: Kind) -> Status {
    status::with_detail(code, told, NAME, &Failure { kind: Some(kind) })
}

fn kind(status: &Status) -> Option<Kind> {
    status::detail::<Failure>(status, NAME)?.kind
}

pub(super) fn of_unavailable(error: Unavailable) -> Status {
    to_status(Code::Unavailable, error.to_string(), Kind::Unavailable(error.0))
}

pub(super) fn to_unavailable(status: &Status) -> Unavailable {
    match kind(status) {
        Some(Kind::Unavailable(reason)) => Unavailable(reason),
        _ => Unavailable(status::told(status)),
    }
}

pub(super) fn of_hold(error: HoldError) -> Status {
    let told = error.to_string();
    match error {
        HoldError::Unavailable(unavailable) => of_unavailable(unavailable),
        HoldError::NameTaken(name) => to_status(Code::AlreadyExists, told, Kind::NameTaken(name)),
        HoldError::Partitions { cluster, node } => {
            let partitions = wire::OtherPartitions { cluster: cluster.into(), node: node.into() };
            to_status(Code::FailedPrecondition, told, Kind::Partitions(partitions))
        }
        HoldError::Log { cluster, node } => {
            to_status(Code::FailedPrecondition, told, Kind::Log(wire::OtherLog { cluster, node }))
        }
        HoldError::Level { cluster, node } => {
            let level = wire::OtherLevel { cluster: cluster.into(), node: node.into() };
            to_status(Code::FailedPrecondition, told, Kind::Level(level))
        }
    }
}

pub(super) fn to_hold(status: &Status) -> HoldError {
    match kind(status) {
        Some(Kind::NameTaken(name)) => HoldError::NameTaken(name),
        Some(Kind::Partitions(wire::OtherPartitions { cluster, node })) => {
            match (u16::try_from(cluster), u16::try_from(node)) {
                (Ok(cluster), Ok(node)) => HoldError::Partitions { cluster, node },
                _ => to_unavailable(status).into(),
            }
        }
        Some(Kind::Level(wire::OtherLevel { cluster, node })) => match (u16::try_from(cluster), u16::try_from(node)) {
            (Ok(cluster), Ok(node)) => HoldError::Level { cluster, node },
            _ => to_unavailable(status).into(),
        },
        Some(Kind::Log(wire::OtherLog { cluster, node })) => HoldError::Log { cluster, node },
        _ => to_unavailable(status).into(),
    }
}

pub(super) fn of_change(error: ChangeError) -> Status {
    let told = error.to_string();
    match error {
        ChangeError::Unavailable(unavailable) => of_unavailable(unavailable),
        ChangeError::Unknown(name) => to_status(Code::NotFound, told, Kind::Unknown(name)),
        ChangeError::Invalid { name, reason } => {
            to_status(Code::InvalidArgument, told, Kind::Invalid(wire::Invalid { name, reason }))
        }
        ChangeError::Stale { name, version, seen } => {
            to_status(Code::Aborted, told, Kind::Stale(wire::Stale { name, version, seen }))
        }
    }
}

pub(super) fn to_change(status: &Status) -> ChangeError {
    match kind(status) {
        Some(Kind::Unknown(name)) => ChangeError::Unknown(name),
        Some(Kind::Invalid(wire::Invalid { name, reason })) => ChangeError::Invalid { name, reason },
        Some(Kind::Stale(wire::Stale { name, version, seen })) => ChangeError::Stale { name, version, seen },
        _ => to_unavailable(status).into(),
    }
}

pub(super) fn nonsense(nonsense: Nonsense) -> Unavailable {
    Unavailable(format!("config-node's answer means nothing: {nonsense}"))
}
