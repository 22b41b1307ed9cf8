//! Reads single fields of messages and says which one means nothing. Whatever a peer sends, nothing
//! here panics.

use volery_kernel::chat::ChatId;
use volery_kernel::event::{MarkKind, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::{OFFSET_MAX, Offset, Source};
use volery_kernel::slot::{Partition, SLOTS};
use volery_kernel::time::Timestamp;

use crate::limits::LIMIT_MOST;
use crate::wire::log::v1 as log;

/// A message that means nothing: which field, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {what}")]
pub(crate) struct Nonsense {
    pub(crate) field: &'static str,
    pub(crate) what: &'static str,
}

pub(crate) type Checked<T> = Result<T, Nonsense>;

pub(crate) fn wrong<T>(field: &'static str, what: &'static str) -> Checked<T> {
    Err(Nonsense { field, what })
}

pub(crate) fn there<T>(field: &'static str, value: Option<T>) -> Checked<T> {
    value.map_or_else(|| wrong(field, "is missing"), Ok)
}

pub(crate) fn id(field: &'static str, raw: Option<u64>) -> Checked<Id> {
    Id::new(there(field, raw)?).or_else(|_| wrong(field, "is not an id"))
}

/// A field that may be absent.
pub(crate) fn id_if_any(field: &'static str, raw: Option<u64>) -> Checked<Option<Id>> {
    raw.map(|raw| id(field, Some(raw))).transpose()
}

pub(crate) fn user(field: &'static str, raw: Option<u64>) -> Checked<UserId> {
    id(field, raw).map(UserId)
}

pub(crate) fn device(field: &'static str, raw: Option<u64>) -> Checked<DeviceId> {
    id(field, raw).map(DeviceId)
}

pub(crate) fn time(field: &'static str, millis: Option<u64>) -> Checked<Timestamp> {
    there(field, millis).map(Timestamp)
}

pub(crate) fn source(field: &'static str, raw: Option<u64>) -> Checked<Source> {
    there(field, raw).map(Source)
}

pub(crate) fn offset(field: &'static str, raw: Option<u64>) -> Checked<Offset> {
    let offset = there(field, raw)?;
    if offset > OFFSET_MAX { wrong(field, "is not an offset") } else { Ok(offset) }
}

pub(crate) fn chat(field: &'static str, key: &[u8]) -> Checked<ChatId> {
    ChatId::from_key(key).or_else(|_| wrong(field, "is not a chat"))
}

pub(crate) fn partition(field: &'static str, raw: Option<u32>) -> Checked<Partition> {
    let partition = u16::try_from(there(field, raw)?).ok().filter(|raw| *raw < SLOTS);
    partition.map_or_else(|| wrong(field, "is not a partition"), |raw| Ok(Partition(raw)))
}

pub(crate) fn limit(field: &'static str, raw: u32) -> Checked<usize> {
    let limit = usize::try_from(raw).ok().filter(|limit| *limit <= LIMIT_MOST);
    limit.map_or_else(|| wrong(field, "is more than 1,000"), Ok)
}

/// A limit as it travels: who asks for more than may be asked for gets that much.
pub(crate) fn limited(limit: usize) -> u32 {
    u32::try_from(limit.min(LIMIT_MOST)).unwrap_or(u32::MAX)
}

pub(crate) fn seen(field: &'static str, from: Option<log::Seen>) -> Checked<Seen> {
    let from = there(field, from)?;
    Ok(Seen { source: source("seen.source", from.source)?, id: id("seen.id", from.id)? })
}

pub(crate) fn from_seen(from: Seen) -> Option<log::Seen> {
    Some(log::Seen { source: Some(from.source.0), id: Some(from.id.get()) })
}

pub(crate) fn key(field: &'static str, from: Option<log::SendKey>) -> Checked<SendKey> {
    let from = there(field, from)?;
    Ok(SendKey {
        device: device("key.device", from.device)?,
        session: SessionNumber(id("key.session", from.session)?),
        number: there("key.number", from.number)?,
    })
}

pub(crate) fn from_key(from: SendKey) -> Option<log::SendKey> {
    Some(log::SendKey { device: Some(from.device.get()), session: Some(from.session.get()), number: Some(from.number) })
}

pub(crate) fn mark_kind(field: &'static str, from: i32) -> Checked<MarkKind> {
    match log::MarkKind::try_from(from) {
        Ok(log::MarkKind::Delivered) => Ok(MarkKind::Delivered),
        Ok(log::MarkKind::Read) => Ok(MarkKind::Read),
        Ok(log::MarkKind::Unspecified) => wrong(field, "is missing"),
        Err(_) => wrong(field, "is no kind of mark"),
    }
}

pub(crate) fn from_mark_kind(from: MarkKind) -> i32 {
    match from {
        MarkKind::Delivered => log::MarkKind::Delivered,
        MarkKind::Read => log::MarkKind::Read,
    }
    .into()
}
