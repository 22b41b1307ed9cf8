//! Opening: what the files of a folder hold, which part of it counts, and where to go on.
//!
//! Reads everything and changes nothing: whatever is behind the part that counts is disowned by the
//! next segment's header. Only the last segment can be torn, because a segment is begun only after
//! the one before it was synced. Damage is left in place and met by whoever reads there.

use std::io;
use std::sync::Arc;

use volery_kernel::position::Offset;

use super::disk::{Disk, DiskFile};
use super::format::{Check, Head, NoHead, RECORD_BYTES, RawRecord, head_bytes};
use super::index::Index;
use super::options::{OpenError, Settings};
use super::scan::{Found, Scanner, is_whole};
use super::segment::{Segment, file_name, index_name, sequence_of};

/// Where the writer goes on.
pub(crate) struct Recovered {
    /// In order of their sequence numbers.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The offset that each partition's next record gets.
    pub(crate) nexts: Vec<Offset>,
    /// The largest sequence number in use.
    pub(crate) sequence: u64,
    /// How many bytes of that segment count.
    pub(crate) former: u64,
    /// Bytes of all segment files.
    pub(crate) bytes: u64,
}

/// A file that is named like a segment.
struct Candidate {
    sequence: u64,
    file: Arc<dyn DiskFile>,
    size: u64,
    head: Option<Head>,
}

/// Reads the folder and makes what it found durable.
pub(crate) fn recover(disk: &dyn Disk, settings: &Settings) -> Result<Recovered, OpenError> {
    let candidates = candidates(disk, settings)?;
    let mut recovered =
        Recovered { segments: Vec::new(), nexts: vec![0; settings.partitions()], sequence: 0, former: 0, bytes: 0 };
    for (n, candidate) in candidates.iter().enumerate() {
        recovered.bytes += candidate.size;
        recovered.take(disk, settings, candidate, candidates.get(n + 1))?;
    }
    // A process that was killed may have written what it never synced, in file and folder.
    if let Some(last) = candidates.last() {
        last.file.sync_data()?;
        disk.sync_dir()?;
    }
    Ok(recovered)
}

fn candidates(disk: &dyn Disk, settings: &Settings) -> Result<Vec<Candidate>, OpenError> {
    let mut sequences: Vec<u64> = disk.list()?.iter().filter_map(|name| sequence_of(name)).collect();
    sequences.sort_unstable();
    let mut candidates = Vec::with_capacity(sequences.len());
    let mut firsts = vec![0; settings.partitions()];
    for &sequence in &sequences {
        let file = disk.open(&file_name(sequence))?;
        let size = file.len()?;
        // Offsets do not step back: a header that says so is wrong, whatever its checksum says.
        let follows = |head: &Head| head.firsts.iter().zip(&firsts).all(|(first, before)| first >= before);
        let head = read_head(&*file, size, sequence, settings)?.filter(follows);
        if let Some(head) = &head {
            firsts.clone_from(&head.firsts);
        }
        let last = Some(&sequence) == sequences.last();
        // A header is synced before anything is written behind it: a broken one alone was never used.
        if head.is_none() && last && size <= head_bytes(settings.partitions()) {
            continue;
        }
        candidates.push(Candidate { sequence, file, size, head });
    }
    Ok(candidates)
}

fn read_head(file: &dyn DiskFile, size: u64, sequence: u64, settings: &Settings) -> Result<Option<Head>, OpenError> {
    let most = head_bytes(usize::from(volery_kernel::slot::SLOTS));
    let mut bytes = vec![0; size.min(most) as usize];
    file.read_at(0, &mut bytes)?;
    match Head::decode(&bytes) {
        Ok(head) if head.generation != settings.generation || head.firsts.len() != settings.partitions() => {
            Err(OpenError::Different { generation: head.generation, partitions: head.firsts.len() as u16 })
        }
        Ok(head) => Ok((head.sequence == sequence).then_some(head)),
        Err(NoHead::Version(version)) => Err(OpenError::Version(version)),
        Err(NoHead::Broken) => Ok(None),
    }
}

impl Recovered {
    fn take(
        &mut self,
        disk: &dyn Disk,
        settings: &Settings,
        candidate: &Candidate,
        next: Option<&Candidate>,
    ) -> io::Result<()> {
        let successor = next.and_then(|next| next.head.as_ref()).filter(|head| head.sequence == candidate.sequence + 1);
        if let Some(head) = &candidate.head {
            self.narrow_holes(&head.firsts);
        }
        let segment = match (&candidate.head, successor) {
            (None, _) => self.take_unreadable(candidate, settings),
            (Some(head), Some(successor)) => self.take_sealed(disk, settings, candidate, head, successor)?,
            (Some(head), None) => self.take_open(settings, candidate, head)?,
        };
        self.sequence = candidate.sequence;
        self.former = segment.len();
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    /// Nothing of it can be read: a hole for every partition, as wide as it could be.
    fn take_unreadable(&mut self, candidate: &Candidate, settings: &Settings) -> Segment {
        let firsts = self.nexts.clone();
        self.nexts.iter_mut().for_each(|next| *next += most_records(candidate.size));
        let head = Head { generation: settings.generation, sequence: candidate.sequence, former: 0, salt: 0, firsts };
        let index = Index::new(settings.partitions());
        Segment::new(head, candidate.file.clone(), settings.check(0), index, 0)
    }

    /// Unreadable segments just before a readable one began no later than it does.
    fn narrow_holes(&mut self, firsts: &[Offset]) {
        for segment in self.segments.iter_mut().rev().take_while(|segment| !segment.is_readable()) {
            if let Some(segment) = Arc::get_mut(segment) {
                segment.head.firsts.iter_mut().zip(firsts).for_each(|(guess, first)| *guess = (*guess).min(*first));
            }
        }
    }

    /// Its successor says how far it counts and with which offsets it ends.
    fn take_sealed(
        &mut self,
        disk: &dyn Disk,
        settings: &Settings,
        candidate: &Candidate,
        head: &Head,
        successor: &Head,
    ) -> io::Result<Segment> {
        let (len, check) = (successor.former.min(candidate.size), settings.check(head.salt));
        let index = match read_index(disk, head, len) {
            Some(index) => index,
            None => survey(&*candidate.file, check, head, len)?.index,
        };
        self.nexts.clone_from(&successor.firsts);
        Ok(Segment::new(head.clone(), candidate.file.clone(), check, index, len))
    }

    /// Nobody says how far it counts: up to where the last group that is not whole begins.
    fn take_open(&mut self, settings: &Settings, candidate: &Candidate, head: &Head) -> io::Result<Segment> {
        let check = settings.check(head.salt);
        let survey = survey(&*candidate.file, check, head, candidate.size)?;
        self.nexts = survey.nexts;
        Ok(Segment::new(head.clone(), candidate.file.clone(), check, survey.index, survey.counts))
    }
}

fn read_index(disk: &dyn Disk, head: &Head, len: u64) -> Option<Index> {
    let file = disk.open(&index_name(head.sequence)).ok()?;
    let mut bytes = vec![0; file.len().ok()? as usize];
    file.read_at(0, &mut bytes).ok()?;
    Index::decode(&bytes, head.salt, len, head.firsts.len())
}

/// More records than fit into so many bytes.
fn most_records(bytes: u64) -> u64 {
    bytes / RECORD_BYTES as u64 + 1
}

/// What a walk over a segment found.
struct Survey {
    index: Index,
    nexts: Vec<Offset>,
    /// What was synced, as far as can be told.
    counts: u64,
    /// Broken bytes before that.
    broken: u64,
    /// `broken` when each partition was met last.
    broken_at: Vec<u64>,
}

/// Walks over `end` bytes of a segment.
///
/// A partition that has no record behind a damaged place may have lost some there: its next offset
/// leaves room for as many as could have been, so that the hole stays visible for ever.
fn survey(file: &dyn DiskFile, check: Check, head: &Head, end: u64) -> io::Result<Survey> {
    let partitions = head.firsts.len();
    let start = head_bytes(partitions);
    let mut survey = Survey {
        index: Index::new(partitions),
        nexts: head.firsts.clone(),
        counts: start,
        broken: 0,
        broken_at: vec![0; partitions],
    };
    let mut scanner = Scanner::new(file, check, start, end);
    loop {
        match scanner.next()? {
            Found::Group(group) => {
                survey.reach(group.at);
                if is_whole(&group, scanner.records(), check) {
                    survey.take(scanner.records(), group.at, group.stamp);
                    survey.counts = group.end();
                }
            }
            Found::Broken { to, followed: true, .. } => survey.reach(to),
            Found::Broken { followed: false, .. } | Found::End => break,
        }
    }
    survey.widen_holes();
    Ok(survey)
}

impl Survey {
    /// A group was begun at `at`, so all before it was synced: what is not whole there is damaged.
    fn reach(&mut self, at: u64) {
        self.broken += at - self.counts;
        self.counts = at;
    }

    fn take(&mut self, mut body: &[u8], at: u64, stamp: volery_kernel::time::Timestamp) {
        while let Some(raw) = RawRecord::take(&mut body) {
            let lane = usize::from(raw.partition.0);
            let (Some(next), Some(broken_at)) = (self.nexts.get_mut(lane), self.broken_at.get_mut(lane)) else {
                continue;
            };
            *next = (*next).max(raw.offset + 1);
            *broken_at = self.broken;
            self.index.add(raw.partition, raw.offset, at, stamp, raw.len());
        }
    }

    fn widen_holes(&mut self) {
        for (next, seen) in self.nexts.iter_mut().zip(&self.broken_at) {
            if *seen < self.broken {
                *next += most_records(self.broken - seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use bytes::Bytes;
    use volery_kernel::position::OFFSET_MAX;
    use volery_kernel::slot::{Partition, Partitions};
    use volery_kernel::time::Timestamp;
    use volery_ports::log::NewRecord;

    use super::super::format::{Group, encode_record};
    use super::super::options::Options;
    use super::super::simdisk::SimDisk;
    use super::*;

    /// A segment whose checksums are all right, with one record.
    fn segment(sequence: u64, first: Offset, offset: Offset) -> Vec<u8> {
        let head = Head { generation: 1, sequence, former: 0, salt: 7, firsts: vec![first] };
        let mut records = Vec::new();
        let record = NewRecord { key: [1; 9], headers: Vec::new(), value: Bytes::from_static(b"x") };
        encode_record(&mut records, Partition(0), offset, &record, Check::new(7));
        let at = head_bytes(1);
        let group = Group { at, bytes: records.len() as u32, records: 1, stamp: Timestamp(1) };
        [&head.encode()[..], &group.encode(Check::new(7)), &records].concat()
    }

    /// First and next offset of the one partition, as found.
    fn found(segments: &[Vec<u8>]) -> (Offset, Offset) {
        let disk = SimDisk::new(1);
        for (sequence, bytes) in (1..).zip(segments) {
            disk.create(&file_name(sequence)).and_then(|file| file.write_at(0, bytes)).unwrap();
        }
        let options = Options::new(PathBuf::new(), Partitions::new(1).unwrap());
        let recovered = recover(&disk, &options.settings()).unwrap();
        (recovered.segments.first().map_or(0, |first| first.first(Partition(0))), recovered.nexts[0])
    }

    #[test]
    fn offsets_that_no_log_wrote_neither_step_back_nor_run_over() {
        assert_eq!(found(&[segment(1, 5, 5)]), (5, 6));
        let (first, next) = found(&[segment(1, 900, 3)]);
        assert!(first <= next, "a record before its segment's first: {first}..{next}");
        let (first, next) = found(&[segment(1, 900, 900), segment(2, 3, 3)]);
        assert!(first <= next, "a segment before the one before it: {first}..{next}");
        for offset in [OFFSET_MAX + 1, u64::MAX] {
            assert!(found(&[segment(1, 5, offset)]).1 < 100, "a record past the last offset");
            assert!(found(&[segment(1, offset, offset)]).1 < 100, "a segment past the last offset");
        }
    }
}
