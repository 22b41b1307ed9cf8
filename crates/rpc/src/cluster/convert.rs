//! Leases, settings and orders, in both directions.

use volery_kernel::map::{Member, MemberState, NodeKind, Weight};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Action, Change, Drain, Hold, Order, Setting, Settings, Terms};

use crate::check::{self, Checked};
use crate::limits::{VALUE_BYTES, WORD_BYTES};
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::order_request::Action as WireAction;

/// A name or the like: stores and logs take it as it is.
pub(super) fn word(field: &'static str, from: String) -> Checked<String> {
    if from.is_empty() || from.len() > WORD_BYTES || from.contains(char::is_control) {
        return check::wrong(field, "is empty, too long or has control characters");
    }
    Ok(from)
}

fn value(from: String) -> Checked<String> {
    if from.len() > VALUE_BYTES || from.contains('\0') {
        return check::wrong("value", "is too long or has a NUL");
    }
    Ok(from)
}

pub(super) fn kind(from: NodeKind) -> i32 {
    let kind = match from {
        NodeKind::Messaging => wire::NodeKind::Messaging,
        NodeKind::History => wire::NodeKind::History,
    };
    kind.into()
}

pub(super) fn to_kind(from: i32) -> Checked<NodeKind> {
    match wire::NodeKind::try_from(from) {
        Ok(wire::NodeKind::Messaging) => Ok(NodeKind::Messaging),
        Ok(wire::NodeKind::History) => Ok(NodeKind::History),
        Ok(wire::NodeKind::Unspecified) | Err(_) => check::wrong("kind", "is none that is known"),
    }
}

pub(super) fn member(from: Member) -> wire::Member {
    let Member { name, url, weight, state } = from;
    wire::Member { name, url, weight: weight.get().into(), draining: state == MemberState::Draining }
}

pub(super) fn to_member(from: wire::Member) -> Checked<Member> {
    let weight = u16::try_from(from.weight).ok().and_then(Weight::new);
    let Some(weight) = weight else { return check::wrong("member.weight", "is not from 1 to 100") };
    let state = if from.draining { MemberState::Draining } else { MemberState::Serving };
    // One that nobody asks has no address.
    let url = if from.url.is_empty() { from.url } else { word("member.url", from.url)? };
    Ok(Member { name: word("member.name", from.name)?, url, weight, state })
}

fn terms(from: Terms) -> wire::Terms {
    let Terms { partitions, hash, log, level } = from;
    wire::Terms { partitions: Some(partitions.into()), log, level: level.into(), hash }
}

fn to_terms(from: Option<wire::Terms>) -> Checked<Terms> {
    let from = check::there("terms", from)?;
    let partitions = u16::try_from(check::there("partitions", from.partitions)?).ok().and_then(Partitions::new);
    let Some(partitions) = partitions else { return check::wrong("partitions", "is not from 1 to 16,384") };
    Ok(Terms {
        partitions: partitions.count(),
        hash: word("hash", from.hash)?,
        log: word("log", from.log)?,
        level: u16::try_from(from.level).or_else(|_| check::wrong("level", "is above 65,535"))?,
    })
}

pub(crate) fn admit(from: Terms, opened: bool) -> wire::AdmitRequest {
    wire::AdmitRequest { terms: Some(terms(from)), opened }
}

pub(crate) fn to_admit(from: wire::AdmitRequest) -> Checked<(Terms, bool)> {
    Ok((to_terms(from.terms)?, from.opened))
}

pub(crate) fn hold(from: Hold) -> wire::HoldRequest {
    let Hold { kind, member, process, terms } = from;
    let (member, terms) = (Some(self::member(member)), Some(self::terms(terms)));
    wire::HoldRequest { kind: self::kind(kind), member, process, terms }
}

pub(crate) fn to_hold(from: wire::HoldRequest) -> Checked<Hold> {
    Ok(Hold {
        kind: to_kind(from.kind)?,
        member: to_member(check::there("member", from.member)?)?,
        process: word("process", from.process)?,
        terms: to_terms(from.terms)?,
    })
}

pub(super) fn setting(from: Setting) -> wire::Setting {
    let Setting { name, value, version, by, at } = from;
    wire::Setting { name, value, version, by, at: at.0 }
}

pub(super) fn to_setting(from: wire::Setting) -> Setting {
    let wire::Setting { name, value, version, by, at } = from;
    Setting { name, value, version, by, at: Timestamp(at) }
}

pub(crate) fn settings(from: Settings) -> wire::AllSettings {
    wire::AllSettings { version: from.version, settings: from.settings.into_iter().map(setting).collect() }
}

pub(crate) fn to_settings(from: wire::AllSettings) -> Settings {
    Settings { version: from.version, settings: from.settings.into_iter().map(to_setting).collect() }
}

pub(crate) fn change(from: Change) -> wire::ChangeRequest {
    let Change { name, value, seen, by } = from;
    wire::ChangeRequest { name, value, seen, by }
}

/// The name may be anything: config-node says which there are.
pub(crate) fn to_change(from: wire::ChangeRequest) -> Checked<Change> {
    let value = from.value.map(value).transpose()?;
    Ok(Change { name: from.name, value, seen: from.seen, by: word("by", from.by)? })
}

pub(crate) fn drains(from: Vec<Drain>) -> wire::DrainsAnswer {
    let drain = |Drain { node, by, at }| wire::Drain { node, by, at: at.0 };
    wire::DrainsAnswer { drains: from.into_iter().map(drain).collect() }
}

pub(crate) fn to_drains(from: wire::DrainsAnswer) -> Vec<Drain> {
    let drain = |wire::Drain { node, by, at }| Drain { node, by, at: Timestamp(at) };
    from.drains.into_iter().map(drain).collect()
}

pub(crate) fn order(from: Order) -> wire::OrderRequest {
    let Order { kind, action, seen, by } = from;
    let action = match action {
        Action::Drain(node) => WireAction::Drain(node),
        Action::Undrain(node) => WireAction::Undrain(node),
        Action::Move(partition, node) => {
            WireAction::Move(wire::MovePartition { partition: Some(partition.0.into()), node })
        }
    };
    wire::OrderRequest { kind: self::kind(kind), action: Some(action), seen, by }
}

/// Names may be any: config-node says which there are.
pub(crate) fn to_order(from: wire::OrderRequest) -> Checked<Order> {
    let action = match check::there("action", from.action)? {
        WireAction::Drain(node) => Action::Drain(word("drain", node)?),
        WireAction::Undrain(node) => Action::Undrain(word("undrain", node)?),
        WireAction::Move(wire::MovePartition { partition, node }) => {
            let partition = u16::try_from(check::there("partition", partition)?);
            let partition = partition.or_else(|_| check::wrong("partition", "is above 65,535"))?;
            Action::Move(Partition(partition), word("node", node)?)
        }
    };
    Ok(Order { kind: to_kind(from.kind)?, action, seen: from.seen, by: word("by", from.by)? })
}
