//! Where in a segment each partition's records are, roughly: one entry for each [`EVERY`] bytes of a
//! partition. Pure; kept in memory while the segment lives, and in a side file once it is sealed.
//!
//! The side file is a shortcut and no truth: it is checksummed, never synced, and made anew from the
//! segment when it is missing or wrong.

use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

use super::format::Fields;

/// Bytes of one partition's records between two entries: 24 bytes of memory for each.
const EVERY: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Its first record.
    offset: Offset,
    /// The place of the group that holds it.
    at: u64,
    /// The newest stamp from this entry to the next.
    newest: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lane {
    entries: Vec<Entry>,
    since: usize,
}

/// The entries of all partitions of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    lanes: Vec<Lane>,
}

impl Index {
    pub(crate) fn new(partitions: usize) -> Self {
        Self { lanes: vec![Lane::default(); partitions] }
    }

    /// Takes note of a record of `bytes` in the group at `at`.
    pub(crate) fn add(&mut self, partition: Partition, offset: Offset, at: u64, stamp: Timestamp, bytes: usize) {
        let Some(lane) = self.lanes.get_mut(usize::from(partition.0)) else { return };
        match lane.entries.last_mut() {
            Some(entry) if lane.since < EVERY => entry.newest = entry.newest.max(stamp),
            _ => {
                lane.entries.push(Entry { offset, at, newest: stamp });
                lane.since = 0;
            }
        }
        lane.since += bytes;
    }

    /// The place of a group at or before which the record is not; `None` before the first entry.
    pub(crate) fn locate(&self, partition: Partition, offset: Offset) -> Option<u64> {
        let entries = &self.lane(partition)?.entries;
        let after = entries.partition_point(|entry| entry.offset <= offset);
        entries.get(after.checked_sub(1)?).map(|entry| entry.at)
    }

    /// An offset at or before the first record stamped `stamp` or later.
    pub(crate) fn seek(&self, partition: Partition, stamp: Timestamp) -> Option<Offset> {
        self.lane(partition)?.entries.iter().find(|entry| entry.newest >= stamp).map(|entry| entry.offset)
    }

    /// The newest stamp of a partition.
    pub(crate) fn newest(&self, partition: Partition) -> Option<Timestamp> {
        self.lane(partition)?.entries.iter().map(|entry| entry.newest).max()
    }

    fn lane(&self, partition: Partition) -> Option<&Lane> {
        self.lanes.get(usize::from(partition.0))
    }

    /// The side file of a segment with this salt that was sealed at `len`.
    pub(crate) fn encode(&self, salt: u32, len: u64) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&salt.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        for lane in &self.lanes {
            out.extend_from_slice(&(lane.entries.len() as u32).to_le_bytes());
            for Entry { offset, at, newest } in &lane.entries {
                [*offset, *at, newest.0].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` unless `bytes` are the side file of that very segment.
    pub(crate) fn decode(bytes: &[u8], salt: u32, len: u64, partitions: usize) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        let mut fields = Fields(body);
        let ours = Fields(crc).u32()? == crc32fast::hash(body) && fields.u32()? == salt && fields.u64()? == len;
        let lanes = (0..partitions).map(|_| Self::decode_lane(&mut fields)).collect::<Option<_>>()?;
        ours.then_some(Self { lanes })
    }

    fn decode_lane(fields: &mut Fields<'_>) -> Option<Lane> {
        let count = fields.u32()?;
        let entry = |_| Some(Entry { offset: fields.u64()?, at: fields.u64()?, newest: Timestamp(fields.u64()?) });
        Some(Lane { entries: (0..count).map(entry).collect::<Option<_>>()?, since: EVERY })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_the_entry_before_and_survives_its_side_file() {
        let mut index = Index::new(2);
        for offset in 0..100 {
            index.add(Partition(1), offset, offset * 10, Timestamp(1_000 + offset), EVERY / 4);
        }
        assert_eq!(index.locate(Partition(1), 6), Some(40));
        assert_eq!(index.locate(Partition(0), 6), None);
        assert_eq!(index.seek(Partition(1), Timestamp(1_007)), Some(4));
        assert_eq!(index.seek(Partition(1), Timestamp(2_000)), None);
        assert_eq!(index.newest(Partition(1)), Some(Timestamp(1_099)));

        let bytes = index.encode(7, 1_000);
        let back = Index::decode(&bytes, 7, 1_000, 2).unwrap();
        assert_eq!(back.encode(7, 1_000), bytes);
        assert_eq!(Index::decode(&bytes, 8, 1_000, 2), None);
        assert_eq!(Index::decode(&bytes[1..], 7, 1_000, 2), None);
    }
}
