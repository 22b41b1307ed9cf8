//! The bytes of a segment file. Persisted: a change needs a new [`VERSION`].
//!
//! ```text
//! segment  header, groups…
//! header   magic 8, version 2, check of both 2, generation 2, partitions 2, sequence 8, former 8, salt 4,
//!          first offset of each partition 8…, crc 4
//! group    mark 4, bytes of records 4, records 4, its place in the file 8, stamp 8, crc 4; records…
//! record   crc 4, bytes after this 4, partition 2, bytes of headers 4, offset 8, key 9, headers…, value
//! header   bytes of name 2, bytes of value 4, name, value
//! ```
//! Integers are little-endian. A group is what one write and one sync took together. Every CRC-32
//! begins with the segment's random salt, so that neither a value made to look like a group nor a
//! remnant of another file passes for one.

use bytes::Bytes;
use volery_kernel::position::{OFFSET_MAX, Offset};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::{Header, NewRecord, StoredRecord};

/// Version of the format.
pub(crate) const VERSION: u16 = 1;
/// Bytes of a group before its records.
pub(crate) const GROUP_BYTES: usize = 32;
/// Bytes of a record without headers and value: no record is smaller.
pub(crate) const RECORD_BYTES: usize = 31;

const MAGIC: [u8; 8] = *b"VOLERYLG";
const MARK: [u8; 4] = [0xF5, b'g', b'r', b'p'];

/// How a segment's checksums are made and compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// The segment's random number.
    pub(crate) salt: u32,
    /// A mutation for the crash harness: every checksum passes.
    #[cfg(test)]
    pub(crate) blind: bool,
}

impl Check {
    pub(crate) fn new(salt: u32) -> Self {
        Self {
            salt,
            #[cfg(test)]
            blind: false,
        }
    }

    fn sum(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.salt);
        hasher.update(bytes);
        hasher.finalize()
    }

    fn passes(self, stored: u32, bytes: &[u8]) -> bool {
        #[cfg(test)]
        if self.blind {
            return true;
        }
        stored == self.sum(bytes)
    }
}

/// What a segment file begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) generation: u16,
    /// Position in the sequence of segments, from 1.
    pub(crate) sequence: u64,
    /// How many bytes of the preceding segment count; what stands behind them was never acknowledged.
    pub(crate) former: u64,
    pub(crate) salt: u32,
    /// The offset that the next record of each partition gets.
    pub(crate) firsts: Vec<Offset>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// Cut off, or its checksum fails.
    Broken,
    /// Written by another version of Volery.
    Version(u16),
}

/// Bytes of a header with this many partitions.
pub(crate) fn head_bytes(partitions: usize) -> u64 {
    40 + 8 * partitions as u64
}

/// So that a damaged version is not taken for another one.
fn version_check(version: u16) -> u16 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&MAGIC);
    hasher.update(&version.to_le_bytes());
    hasher.finalize() as u16
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(head_bytes(self.firsts.len()) as usize);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&version_check(VERSION).to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&(self.firsts.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.former.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        self.firsts.iter().for_each(|first| out.extend_from_slice(&first.to_le_bytes()));
        let crc = Check::new(0).sum(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header from the beginning of `bytes`, which may hold more.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NoHead> {
        let mut fields = Fields(bytes);
        let magic = fields.array::<8>().ok_or(NoHead::Broken)?;
        let version = fields.u16().ok_or(NoHead::Broken)?;
        let check = fields.u16().ok_or(NoHead::Broken)?;
        if magic != MAGIC || check != version_check(version) {
            return Err(NoHead::Broken);
        }
        if version != VERSION {
            return Err(NoHead::Version(version));
        }
        fields.head(bytes).ok_or(NoHead::Broken)
    }
}

/// What a group begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its place in the file.
    pub(crate) at: u64,
    /// Bytes of its records.
    pub(crate) bytes: u32,
    /// How many records it has.
    pub(crate) records: u32,
    /// The log's clock when it was written.
    pub(crate) stamp: Timestamp,
}

impl Group {
    /// One past its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.at + GROUP_BYTES as u64 + u64::from(self.bytes)
    }

    /// Where its records begin.
    pub(crate) fn body(&self) -> u64 {
        self.at + GROUP_BYTES as u64
    }

    pub(crate) fn encode(&self, check: Check) -> [u8; GROUP_BYTES] {
        let mut out = [0; GROUP_BYTES];
        out[..4].copy_from_slice(&MARK);
        out[4..8].copy_from_slice(&self.bytes.to_le_bytes());
        out[8..12].copy_from_slice(&self.records.to_le_bytes());
        out[12..20].copy_from_slice(&self.at.to_le_bytes());
        out[20..28].copy_from_slice(&self.stamp.0.to_le_bytes());
        let crc = check.sum(&out[..28]);
        out[28..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` unless a group of this segment begins here.
    pub(crate) fn decode(bytes: &[u8], at: u64, check: Check) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mark = fields.array::<4>()?;
        let (size, records, place) = (fields.u32()?, fields.u32()?, fields.u64()?);
        let stamp = Timestamp(fields.u64()?);
        let crc = fields.u32()?;
        let ours = mark == MARK && place == at && check.passes(crc, &bytes[..28]);
        ours.then_some(Self { at, bytes: size, records, stamp })
    }

    /// Where in `bytes` the next mark stands, at `from` or later.
    pub(crate) fn find(bytes: &[u8], from: usize) -> Option<usize> {
        let tail = bytes.get(from..)?;
        tail.windows(MARK.len()).position(|window| window == MARK).map(|found| from + found)
    }
}

/// Bytes that `record` takes.
pub(crate) fn record_bytes(record: &NewRecord) -> usize {
    RECORD_BYTES + headers_bytes(&record.headers) + record.value.len()
}

/// Bytes of encoded headers.
pub(crate) fn headers_bytes(headers: &[Header]) -> usize {
    headers.iter().map(|(name, value)| 6 + name.len() + value.len()).sum()
}

/// Appends one record to `out`.
pub(crate) fn encode_record(out: &mut Vec<u8>, partition: Partition, offset: Offset, record: &NewRecord, check: Check) {
    let start = out.len();
    let headers = headers_bytes(&record.headers);
    let mut fixed = [0; RECORD_BYTES];
    fixed[4..8].copy_from_slice(&((RECORD_BYTES - 8 + headers + record.value.len()) as u32).to_le_bytes());
    fixed[8..10].copy_from_slice(&partition.0.to_le_bytes());
    fixed[10..14].copy_from_slice(&(headers as u32).to_le_bytes());
    fixed[14..22].copy_from_slice(&offset.to_le_bytes());
    fixed[22..].copy_from_slice(&record.key);
    out.extend_from_slice(&fixed);
    for (name, value) in &record.headers {
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
    out.extend_from_slice(&record.value);
    let crc = check.sum(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A record as it lies in a group, its checksum not yet compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
    crc: u32,
    headers: usize,
    bytes: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Takes the record at the front of `bytes`; `None` if its length or its offset makes no sense.
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (crc, size) = (fields.u32()?, fields.u32()? as usize);
        if size < RECORD_BYTES - 8 || size > fields.0.len() {
            return None;
        }
        let (partition, headers, offset) = (fields.u16()?, fields.u32()? as usize, fields.offset()?);
        let (record, rest) = bytes.split_at(8 + size);
        *bytes = rest;
        Some(Self { partition: Partition(partition), offset, crc, headers, bytes: record })
    }

    /// Bytes that it takes in the file.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is as it was written.
    pub(crate) fn is_whole(&self, check: Check) -> bool {
        check.passes(self.crc, &self.bytes[4..])
    }

    /// A copy that holds on to no buffer; `None` if the headers make no sense.
    pub(crate) fn to_stored(self, stamp: Timestamp) -> Option<StoredRecord> {
        let mut fields = Fields(&self.bytes[22..]);
        let key = fields.array::<9>()?;
        let mut headers = Fields(fields.take(self.headers)?);
        let value = Bytes::copy_from_slice(fields.0);
        let headers =
            std::iter::from_fn(|| (!headers.0.is_empty()).then(|| headers.header())).collect::<Option<_>>()?;
        Some(StoredRecord { offset: self.offset, stamp, record: NewRecord { key, headers, value } })
    }
}

/// Reads fields from the front of a slice.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `None` for a number that no record can have.
    fn offset(&mut self) -> Option<Offset> {
        self.u64().filter(|offset| *offset <= OFFSET_MAX)
    }

    /// What follows magic, version and their check; `whole` is all of it, for the checksum.
    fn head(&mut self, whole: &[u8]) -> Option<Head> {
        let (generation, partitions) = (self.u16()?, Partitions::new(self.u16()?)?);
        let (sequence, former, salt) = (self.u64()?, self.u64()?, self.u32()?);
        let firsts = partitions.iter().map(|_| self.offset()).collect::<Option<Vec<_>>>()?;
        let summed = whole.len() - self.0.len();
        let crc = self.u32()?;
        Check::new(0).passes(crc, &whole[..summed]).then_some(Head { generation, sequence, former, salt, firsts })
    }

    fn header(&mut self) -> Option<Header> {
        let (name, value) = (self.u16()? as usize, self.u32()? as usize);
        let name = String::from_utf8(self.take(name)?.to_vec()).ok()?;
        Some((name, Bytes::copy_from_slice(self.take(value)?)))
    }
}
