//! The registers of a chat row: how writes merge into them, and their bytes.
//!
//! Every merge commutes and is idempotent, so the order of two archives does not matter. Marks
//! compare by source; equal sources keep the larger id, so that even a contradiction has one winner.

use volery_kernel::event::{MarkKind, Seen};
use volery_kernel::id::Id;
use volery_kernel::limits::RESOLVED_LATE_MOST;
use volery_kernel::position::Source;
use volery_ports::timeline::ChatRow;

use super::value::{Corrupt, Reader, Writer};

/// A message arrived or was sent.
pub(super) fn newest(row: &mut ChatRow, id: Id, incoming: Option<Source>) {
    row.newest = row.newest.max(id);
    row.newest_incoming = row.newest_incoming.max(incoming.unwrap_or_default());
}

/// The user's own mark.
pub(super) fn mark(row: &mut ChatRow, kind: MarkKind, seen: Seen) {
    raise_both(&mut row.delivered, &mut row.read, kind, seen);
}

/// The other side's mark.
pub(super) fn peer_mark(row: &mut ChatRow, kind: MarkKind, seen: Seen) {
    raise_both(&mut row.peer_delivered, &mut row.peer_read, kind, seen);
}

fn raise_both(delivered: &mut Seen, read: &mut Seen, kind: MarkKind, seen: Seen) {
    raise(delivered, seen);
    if kind == MarkKind::Read {
        raise(read, seen);
    }
}

fn raise(register: &mut Seen, seen: Seen) {
    if (seen.source, seen.id) > (register.source, register.id) {
        *register = seen;
    }
}

/// An incoming message that was resolved late; kept ascending by source.
pub(super) fn resolved_late(row: &mut ChatRow, seen: Seen) {
    match row.resolved_late.binary_search_by_key(&seen.source, |held| held.source) {
        Ok(at) => raise(&mut row.resolved_late[at], seen),
        Err(at) => row.resolved_late.insert(at, seen),
    }
    let over = row.resolved_late.len().saturating_sub(RESOLVED_LATE_MOST.value);
    row.resolved_late.drain(..over);
}

const MARKS: usize = 4;

/// A byte that says which marks are set, newest, newest incoming, those marks, then the list.
pub(super) fn encode(row: &ChatRow) -> Vec<u8> {
    let marks = [row.delivered, row.read, row.peer_delivered, row.peer_read];
    let set = |(bit, seen): (usize, &Seen)| u8::from(*seen != Seen::default()) << bit;
    let flags = marks.iter().enumerate().map(set).sum();
    let size = 17 + 16 * (MARKS + row.resolved_late.len());
    let mut value = Writer::new(size).byte(flags).long(row.newest.get()).long(row.newest_incoming.0);
    for seen in marks.into_iter().filter(|seen| *seen != Seen::default()) {
        value = value.seen(seen);
    }
    row.resolved_late.iter().fold(value, |value, seen| value.seen(*seen)).done()
}

pub(super) fn decode(value: &[u8]) -> Result<ChatRow, Corrupt> {
    let mut value = Reader::value(value)?;
    let flags = value.byte()?;
    let (newest, newest_incoming) = (value.id()?, value.source()?);
    let mut marks = [Seen::default(); MARKS];
    for (bit, mark) in marks.iter_mut().enumerate() {
        if flags & (1 << bit) != 0 {
            *mark = value.seen()?;
        }
    }
    let [delivered, read, peer_delivered, peer_read] = marks;
    let resolved_late = decode_late(value.rest())?;
    Ok(ChatRow { newest, newest_incoming, delivered, read, peer_delivered, peer_read, resolved_late })
}

fn decode_late(bytes: &[u8]) -> Result<Vec<Seen>, Corrupt> {
    if !bytes.len().is_multiple_of(16) || bytes.len() > 16 * RESOLVED_LATE_MOST.value {
        return Err(Corrupt("no list of late messages"));
    }
    bytes
        .chunks_exact(16)
        .map(|pair| {
            let (source, id) = pair.split_at(8);
            let number = |part: &[u8]| part.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
            Ok(Seen { source: Source(number(source)), id: Id::new(number(id)).map_err(|_| Corrupt("no id"))? })
        })
        .collect()
}
