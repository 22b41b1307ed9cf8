//! config-node's refusals as statuses and back. What a call cannot answer with counts as that nobody could
//! be asked.

use tonic::{Code, Status};
use volery_ports::cluster::{ChangeError, HoldError, OrderError, Unavailable};

use crate::check::Nonsense;
use crate::refusal::{kind, of_unavailable, to_status, to_unavailable};
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::failure::Kind;

pub(super) fn of_hold(error: HoldError) -> Status {
    let told = error.to_string();
    match error {
        HoldError::Unavailable(unavailable) => of_unavailable::<Kind>(unavailable),
        HoldError::NameTaken(name) => to_status(Code::AlreadyExists, told, Kind::NameTaken(name)),
        HoldError::AddressTaken { node, url } => {
            to_status(Code::AlreadyExists, told, Kind::AddressTaken(wire::AddressTaken { node, url }))
        }
        HoldError::Partitions { cluster, node } => {
            to_status(Code::FailedPrecondition, told, Kind::Partitions(other_number(cluster, node)))
        }
        HoldError::Hash { cluster, node } => {
            to_status(Code::FailedPrecondition, told, Kind::Hash(wire::OtherWord { cluster, node }))
        }
        HoldError::Log { cluster, node } => {
            to_status(Code::FailedPrecondition, told, Kind::Log(wire::OtherWord { cluster, node }))
        }
        HoldError::Level { cluster, node } => {
            to_status(Code::FailedPrecondition, told, Kind::Level(other_number(cluster, node)))
        }
    }
}

fn other_number(cluster: u16, node: u16) -> wire::OtherNumber {
    wire::OtherNumber { cluster: cluster.into(), node: node.into() }
}

/// Nothing, if they cannot be such numbers.
fn to_numbers(from: wire::OtherNumber) -> Option<(u16, u16)> {
    Some((u16::try_from(from.cluster).ok()?, u16::try_from(from.node).ok()?))
}

pub(super) fn to_hold(status: &Status) -> HoldError {
    let said = kind(status).and_then(|kind| match kind {
        Kind::NameTaken(name) => Some(HoldError::NameTaken(name)),
        Kind::AddressTaken(wire::AddressTaken { node, url }) => Some(HoldError::AddressTaken { node, url }),
        Kind::Partitions(from) => to_numbers(from).map(|(cluster, node)| HoldError::Partitions { cluster, node }),
        Kind::Level(from) => to_numbers(from).map(|(cluster, node)| HoldError::Level { cluster, node }),
        Kind::Hash(wire::OtherWord { cluster, node }) => Some(HoldError::Hash { cluster, node }),
        Kind::Log(wire::OtherWord { cluster, node }) => Some(HoldError::Log { cluster, node }),
        _ => None,
    });
    said.unwrap_or_else(|| to_unavailable::<Kind>(status).into())
}

pub(super) fn of_change(error: ChangeError) -> Status {
    let told = error.to_string();
    match error {
        ChangeError::Unavailable(unavailable) => of_unavailable::<Kind>(unavailable),
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
        _ => to_unavailable::<Kind>(status).into(),
    }
}

pub(super) fn of_order(error: OrderError) -> Status {
    let told = error.to_string();
    match error {
        OrderError::Unavailable(unavailable) => of_unavailable::<Kind>(unavailable),
        OrderError::Stale { version, seen } => {
            to_status(Code::Aborted, told, Kind::StaleMap(wire::StaleMap { version, seen }))
        }
        OrderError::NoNode(node) => to_status(Code::NotFound, told, Kind::NoNode(node)),
        OrderError::LastNode(node) => to_status(Code::FailedPrecondition, told, Kind::LastNode(node)),
        OrderError::Draining(node) => to_status(Code::FailedPrecondition, told, Kind::Draining(node)),
        OrderError::Leaving(node) => to_status(Code::FailedPrecondition, told, Kind::Leaving(node)),
        OrderError::NoPartition { partition, partitions } => {
            let (partition, partitions) = (partition.into(), partitions.into());
            to_status(Code::OutOfRange, told, Kind::NoPartition(wire::NoPartition { partition, partitions }))
        }
        OrderError::Busy(left) => to_status(Code::FailedPrecondition, told, Kind::Busy(left)),
    }
}

pub(super) fn to_order(status: &Status) -> OrderError {
    let said = kind(status).and_then(|kind| match kind {
        Kind::StaleMap(wire::StaleMap { version, seen }) => Some(OrderError::Stale { version, seen }),
        Kind::NoNode(node) => Some(OrderError::NoNode(node)),
        Kind::LastNode(node) => Some(OrderError::LastNode(node)),
        Kind::Draining(node) => Some(OrderError::Draining(node)),
        Kind::Leaving(node) => Some(OrderError::Leaving(node)),
        Kind::NoPartition(wire::NoPartition { partition, partitions }) => {
            let (partition, partitions) = (u16::try_from(partition).ok()?, u16::try_from(partitions).ok()?);
            Some(OrderError::NoPartition { partition, partitions })
        }
        Kind::Busy(left) => Some(OrderError::Busy(left)),
        _ => None,
    });
    said.unwrap_or_else(|| to_unavailable::<Kind>(status).into())
}

pub(super) fn nonsense(nonsense: Nonsense) -> Unavailable {
    Unavailable(format!("config-node's answer means nothing: {nonsense}"))
}
