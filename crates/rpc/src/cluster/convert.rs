//! Leases, maps and settings, in both directions.

use volery_kernel::map::{Member, PartitionMap};
use volery_kernel::slot::{Partitions, SLOTS};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Change, Hold, Setting, Settings, Terms};

use crate::check::{self, Checked};
use crate::limits::{VALUE_BYTES, WORD_BYTES};
use crate::wire::config::v1 as wire;

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

fn member(from: Member) -> wire::Member {
    wire::Member { name: from.name, url: from.url }
}

fn to_member(from: wire::Member) -> Checked<Member> {
    Ok(Member { name: word("member.name", from.name)?, url: word("member.url", from.url)? })
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

pub(super) fn admit(from: Terms, opened: bool) -> wire::AdmitRequest {
    wire::AdmitRequest { terms: Some(terms(from)), opened }
}

pub(super) fn to_admit(from: wire::AdmitRequest) -> Checked<(Terms, bool)> {
    Ok((to_terms(from.terms)?, from.opened))
}

pub(super) fn hold(from: Hold) -> wire::HoldRequest {
    wire::HoldRequest { member: Some(member(from.member)), process: from.process, terms: Some(terms(from.terms)) }
}

pub(super) fn to_hold(from: wire::HoldRequest) -> Checked<Hold> {
    Ok(Hold {
        member: to_member(check::there("member", from.member)?)?,
        process: word("process", from.process)?,
        terms: to_terms(from.terms)?,
    })
}

pub(super) fn map(from: &PartitionMap) -> wire::PartitionMap {
    wire::PartitionMap {
        version: from.version(),
        members: from.members().iter().cloned().map(member).collect(),
        owners: from.owners().map(|owner| owner.map_or(0, |index| u32::from(index) + 1)).collect(),
    }
}

pub(super) fn to_map(from: wire::PartitionMap) -> Checked<PartitionMap> {
    if from.owners.len() > usize::from(SLOTS) {
        return check::wrong("owners", "are more than 16,384");
    }
    let members = from.members.into_iter().map(to_member).collect::<Checked<Vec<_>>>()?;
    let index = |raw: u32| u16::try_from(raw - 1).or_else(|_| check::wrong("owners", "name no member"));
    let owner = |raw| if raw == 0 { Ok(None) } else { index(raw).map(Some) };
    let owners = from.owners.into_iter().map(owner).collect::<Checked<Vec<_>>>()?;
    PartitionMap::new(from.version, members, &owners).or_else(|_| check::wrong("owners", "contradict the members"))
}

pub(super) fn setting(from: Setting) -> wire::Setting {
    let Setting { name, value, version, by, at } = from;
    wire::Setting { name, value, version, by, at: at.0 }
}

pub(super) fn to_setting(from: wire::Setting) -> Setting {
    let wire::Setting { name, value, version, by, at } = from;
    Setting { name, value, version, by, at: Timestamp(at) }
}

pub(super) fn settings(from: Settings) -> wire::AllSettings {
    wire::AllSettings { version: from.version, settings: from.settings.into_iter().map(setting).collect() }
}

pub(super) fn to_settings(from: wire::AllSettings) -> Settings {
    Settings { version: from.version, settings: from.settings.into_iter().map(to_setting).collect() }
}

pub(super) fn change(from: Change) -> wire::ChangeRequest {
    let Change { name, value, seen, by } = from;
    wire::ChangeRequest { name, value, seen, by }
}

/// The name may be anything: config-node says which there are.
pub(super) fn to_change(from: wire::ChangeRequest) -> Checked<Change> {
    let value = from.value.map(value).transpose()?;
    Ok(Change { name: from.name, value, seen: from.seen, by: word("by", from.by)? })
}
