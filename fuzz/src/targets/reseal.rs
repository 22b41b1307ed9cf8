//! Makes the checksums of the log's files right again, so that what lies behind them is reached.
//!
//! Written from the format's description and not from its code, which stays private: a second
//! opinion on it. Bytes that are no such file stay as they are.

/// What every salt is set to, so that seeds are the same in each run.
const SALT: u32 = 0x5eed_5a17;

const MARK: &[u8] = b"\xf5grp";
const GROUP: usize = 32;
const RECORD: usize = 31;

/// The segment with the salt that all seeds have.
pub(super) fn unsalted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    put(&mut bytes, 32, SALT);
    reseal_segment(&bytes)
}

/// A segment file: header, then groups of records.
pub(super) fn reseal_segment(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some(partitions) = number::<2>(&bytes, 14) else { return bytes };
    let body = 40 + 8 * partitions;
    if bytes.len() < body {
        return bytes;
    }
    let check = sum(0, &bytes[..10]).to_le_bytes();
    bytes[10..12].copy_from_slice(&check[..2]);
    let head = sum(0, &bytes[..body - 4]);
    put(&mut bytes, body - 4, head);
    let salt = number::<4>(&bytes, 32).and_then(|salt| u32::try_from(salt).ok()).unwrap_or_default();
    let mut at = body;
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.windows(MARK.len()).position(|window| window == MARK)) {
        at = reseal_group(&mut bytes, at + skip, salt);
    }
    bytes
}

/// The group at `at`, as far as it is there; answers where to look for the next one.
fn reseal_group(bytes: &mut [u8], at: usize, salt: u32) -> usize {
    let Some(size) = number::<4>(bytes, at + 4).filter(|_| bytes.len() >= at + GROUP) else { return bytes.len() };
    bytes[at + 12..at + 20].copy_from_slice(&(at as u64).to_le_bytes());
    let crc = sum(salt, &bytes[at..at + 28]);
    put(bytes, at + 28, crc);
    let end = (at + GROUP).saturating_add(size).min(bytes.len());
    let mut record = at + GROUP;
    while record + RECORD <= end {
        let Some(size) = number::<4>(bytes, record + 4).filter(|size| record + 8 + size <= end) else { break };
        let crc = sum(salt, &bytes[record + 4..record + 8 + size]);
        put(bytes, record, crc);
        record += 8 + size;
    }
    record.max(at + GROUP)
}

/// The side file of an index: ends with a checksum of all before it.
pub(super) fn reseal_index(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    seal_end(&mut bytes);
    bytes
}

/// Two slots of committed offsets, each on a page of its own.
pub(super) fn reseal_offsets(bytes: &[u8], partitions: u16) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let slot = 16 * usize::from(partitions) + 12;
    for page in bytes.chunks_mut(4_096) {
        if let Some(slot) = page.get_mut(..slot) {
            seal_end(slot);
        }
    }
    bytes
}

fn seal_end(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(4) {
        let crc = sum(0, &bytes[..end]);
        put(bytes, end, crc);
    }
}

fn sum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let little = bytes.get(at..at + N)?;
    Some(little.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
}

fn put(bytes: &mut [u8], at: usize, crc: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}
