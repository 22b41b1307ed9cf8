//! The embedded log's files: segments, their indexes, the committed offsets.
//!
//! Whatever lies in the folder, a log that opens is a log: every record that it reads is where its
//! offset says, it takes another one, and it says the same when it is opened again. Checksums would
//! hide everything behind them, so [`reseal`] makes them right again: written from the format's
//! description, as a second opinion on it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use volery_embedded::log::{EmbeddedLog, OpenError, Options};
use volery_kernel::position::{OFFSET_MAX, Offset};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{Log, NewRecord, ReadError, Reader, StoredRecord};

use super::flat::Flat;
use super::reseal::{reseal_index, reseal_offsets, reseal_segment, unsalted};
use crate::Verdict;

const PARTITIONS: u16 = 2;
const CHUNK: usize = 4_096;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000)
    }
}

fn options(segment_bytes: u64) -> Options {
    let partitions = Partitions::new(PARTITIONS).unwrap_or_else(|| unreachable!("two is a number of partitions"));
    let cache_bytes = 65_536;
    Options { segment_bytes, cache_bytes, queue_bytes: 1 << 20, ..Options::new(PathBuf::new(), partitions) }
}

/// One segment file as it is.
pub(crate) fn segment(bytes: &[u8]) -> Verdict {
    folder_of(vec![(segment_name(1), bytes.to_vec())])
}

/// One segment file whose checksums are made right.
pub(crate) fn sealed_segment(bytes: &[u8]) -> Verdict {
    folder_of(vec![(segment_name(1), reseal_segment(bytes))])
}

/// Several files, one after the other: kind, sequence, length (two bytes, little-endian), bytes.
pub(crate) fn folder(mut bytes: &[u8]) -> Verdict {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    while let [kind, sequence, low, high, rest @ ..] = bytes
        && files.len() < 8
    {
        let (file, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
        bytes = rest;
        let sequence = if *sequence == u8::MAX { u64::MAX } else { u64::from(*sequence) };
        files.push(match kind % 3 {
            0 => (segment_name(sequence), reseal_segment(file)),
            1 => (format!("{sequence:016x}.idx"), reseal_index(file)),
            _ => ("committed".to_owned(), reseal_offsets(file, PARTITIONS)),
        });
    }
    folder_of(files)
}

fn segment_name(sequence: u64) -> String {
    format!("{sequence:016x}.seg")
}

fn folder_of(files: Vec<(String, Vec<u8>)>) -> Verdict {
    let disk = Flat::new(files);
    let Some(held) = opened(&disk, |log| block_on(use_it(log))) else { return Verdict::Refused };
    let again = opened(&disk, |log| block_on(ends(log)));
    let ends: Vec<Offset> = held.iter().map(|(_, end)| *end).collect();
    assert_eq!(again, Some(ends), "opened again, it ends elsewhere");
    Verdict::of(held.iter().any(|(records, _)| *records > 0).then_some(()))
}

/// `None` if the log is of another version or shape: then it was left as it is.
fn opened<T>(disk: &Arc<Flat>, work: impl FnOnce(&EmbeddedLog) -> T) -> Option<T> {
    match EmbeddedLog::open_on(&options(CHUNK as u64), Arc::new(Stopped), disk.clone()) {
        Ok(log) => {
            let done = work(&log);
            log.close();
            Some(done)
        }
        Err(OpenError::Version(_) | OpenError::Different { .. }) => None,
        Err(error @ (OpenError::Io(_) | OpenError::InUse(_))) => unreachable!("a disk that never fails: {error}"),
    }
}

/// Of each partition: records that were read, and where it ends after one more was appended. Forged
/// offsets may leave no room for another one: then none is.
async fn use_it(log: &EmbeddedLog) -> Vec<(usize, Offset)> {
    let has_room = ends(log).await.iter().all(|end| *end < OFFSET_MAX / 2);
    let mut held = Vec::new();
    for partition in (0..PARTITIONS).map(Partition) {
        let records = read_all(log, partition).await;
        let committed = log.committed(Reader::Archive, partition).await;
        assert!(committed.is_ok(), "{committed:?}");
        let end = if has_room { append(log, partition).await } else { extent(log, partition).await.1 };
        held.push((records, end));
    }
    held
}

async fn read_all(log: &EmbeddedLog, partition: Partition) -> usize {
    let extent = extent(log, partition).await;
    let (mut next, mut records) = (extent.0, 0);
    while next < extent.1 {
        match log.read(partition, next, CHUNK).await {
            Ok(chunk) => {
                assert!(!chunk.records.is_empty() && chunk.end == extent.1, "nothing before the end");
                chunk.records.iter().zip(next..).for_each(|(record, offset)| assert_eq!(record.offset, offset));
                next += chunk.records.len() as u64;
                records += chunk.records.len();
            }
            Err(ReadError::Damaged { offset, .. }) => {
                assert_eq!(offset, next, "damaged elsewhere");
                break;
            }
            Err(error) => unreachable!("offset {next} of {extent:?}: {error}"),
        }
    }
    records
}

async fn extent(log: &EmbeddedLog, partition: Partition) -> (Offset, Offset) {
    let extent = log.extent(partition).await;
    let (start, end) = extent.map_or((1, 0), |extent| (extent.start, extent.end));
    assert!(start <= end, "partition {partition} holds {start}..{end}");
    (start, end)
}

fn record(value: &'static [u8]) -> NewRecord {
    NewRecord {
        key: [1; 9],
        headers: vec![("trace".into(), Bytes::from_static(b"x"))],
        value: Bytes::from_static(value),
    }
}

/// Appends a record and reads it back; answers where the partition ends then.
async fn append(log: &EmbeddedLog, partition: Partition) -> Offset {
    let (_, end) = extent(log, partition).await;
    let appended = log.append(partition, vec![record(b"one more")]).await;
    let Ok([appended]) = appended.as_deref() else { unreachable!("an append on a good disk: {appended:?}") };
    assert_eq!(appended.offset, end);
    let read = log.read(partition, end, CHUNK).await.map(|chunk| chunk.records);
    let stored = StoredRecord { offset: end, stamp: appended.stamp, record: record(b"one more") };
    assert_eq!(read, Ok(vec![stored]), "what was appended is not what is read");
    end + 1
}

async fn ends(log: &EmbeddedLog) -> Vec<Offset> {
    let mut ends = Vec::new();
    for partition in (0..PARTITIONS).map(Partition) {
        ends.push(extent(log, partition).await.1);
    }
    ends
}

thread_local! {
    static RUNTIME: Option<tokio::runtime::Runtime> = tokio::runtime::Builder::new_current_thread().enable_time().build().ok();
}

pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| match runtime {
        Some(runtime) => runtime.block_on(work),
        None => unreachable!("a runtime of one thread needs nothing"),
    })
}

/// Files of a log that took some batches, with the salts (which are random) set to one number.
fn written(segment_bytes: u64) -> Vec<(String, Vec<u8>)> {
    let disk = Flat::new(Vec::new());
    if let Ok(log) = EmbeddedLog::open_on(&options(segment_bytes), Arc::new(Stopped), disk.clone()) {
        block_on(async {
            for n in 0..12u16 {
                let batch = vec![record(b"short"), record(&[b'x'; 300]), record(b"")];
                drop(log.append(Partition(n % PARTITIONS), batch).await);
            }
            drop(log.commit(Reader::Archive, Partition(1), 5).await);
        });
        log.close();
    }
    // A log grows by zeros ahead of what it holds: they would be most of each seed.
    disk.files().into_iter().map(|(name, bytes)| (name, bytes[..=last_byte(&bytes)].to_vec())).collect()
}

fn last_byte(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).unwrap_or_default()
}

pub(crate) fn segments() -> Vec<Vec<u8>> {
    let files = written(1 << 20).into_iter().filter(|(name, _)| name.ends_with(".seg"));
    files.map(|(_, bytes)| unsalted(&bytes)).collect()
}

pub(crate) fn folders() -> Vec<Vec<u8>> {
    let files = written(1_024);
    let pack = |(name, bytes): &(String, Vec<u8>)| {
        let sequence =
            name.split('.').next().and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or_default();
        let kind = if name.ends_with(".seg") { 0 } else { 1 + u8::from(name == "committed") };
        let bytes = if kind == 0 { unsalted(bytes) } else { bytes.clone() };
        let length = u16::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        [&[kind, sequence, length[0], length[1]], &bytes[..]].concat()
    };
    let (kept, segments): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| !name.ends_with(".seg"));
    let first = |most: usize| segments.iter().take(most).copied().map(pack).collect::<Vec<_>>().concat();
    let indexed = [first(2), kept.iter().copied().take(3).map(pack).collect::<Vec<_>>().concat()].concat();
    vec![first(1), first(3), indexed]
}

pub(crate) const WORDS: &[&[u8]] = &[
    b"VOLERYLG\x01\0",
    b"\xf5grp",
    b"\x01\0\x02\0",
    b"\x1f\0\0\0",
    b"\x17\0\0\0",
    b"\0\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x01\0\0\0\0\0\0\0\x01",
];
