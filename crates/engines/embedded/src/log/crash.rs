//! Ten thousand crashes: a seeded life of the core on a simulated disk, again and again, and what must
//! be true of the log that is found afterwards. The same harness must find each mutation.
//!
//! What is true: a record that was acknowledged, or read once, is there for ever at its offset, or
//! its place answers `Damaged` if the medium was damaged; nothing that was refused is ever read; no
//! offset is given out twice; nothing is missing without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use volery_kernel::position::Offset;
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, Chunk, NewRecord, ReadError};

use super::disk::{Disk, DiskFile};
use super::options::{OpenError, Settings};
use super::recover::recover;
use super::segment::file_name;
use super::simdisk::{Faults, SimDisk};
use super::store::Store;
use super::writer::{Batch, Writer};

const PARTITIONS: u16 = 3;
const LIVES: usize = 8;

/// A mistake that the harness must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    None,
    NoDataSync,
    NoDirSync,
    AcknowledgeBeforeSync,
    ChecksumIgnored,
}

/// What goes wrong beside the crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    FailingDisk,
    DamagedMedium,
}

#[test]
fn ten_thousand_crashes_lose_nothing() {
    let mut crashes = 0;
    for seed in 0.. {
        match run(seed, Mutation::None) {
            Ok(count) => crashes += count,
            Err(error) => panic!("seed {seed} ({:?}): {error}", trouble(seed)),
        }
        if crashes >= 10_000 {
            break;
        }
    }
}

#[test]
fn each_mutation_is_found() {
    use Mutation::{AcknowledgeBeforeSync, ChecksumIgnored, NoDataSync, NoDirSync};
    for mutation in [NoDataSync, NoDirSync, AcknowledgeBeforeSync, ChecksumIgnored] {
        let found = (0..300).find(|seed| run(*seed, mutation).is_err());
        assert!(found.is_some(), "{mutation:?} was not found");
    }
}

fn trouble(seed: u64) -> Trouble {
    [Trouble::Nothing, Trouble::FailingDisk, Trouble::DamagedMedium][(seed % 3) as usize]
}

/// What the harness knows.
struct Truth {
    trouble: Trouble,
    mutation: Mutation,
    rng: StdRng,
    next_value: u64,
    /// Acknowledged, or read once.
    sure: BTreeMap<(u16, Offset), NewRecord>,
    /// Appended with an outcome that nobody was told.
    possible: BTreeSet<(u16, Bytes)>,
    released: [Offset; PARTITIONS as usize],
    /// The file of the last group that counts, and where that group begins.
    last: Option<(u64, u64)>,
    damaged: bool,
}

/// Lives through crashes; answers how many there were, or what was wrong.
fn run(seed: u64, mutation: Mutation) -> Result<usize, String> {
    let mut truth = Truth {
        trouble: trouble(seed),
        mutation,
        rng: StdRng::seed_from_u64(seed),
        next_value: 0,
        sure: BTreeMap::new(),
        possible: BTreeSet::new(),
        released: [0; PARTITIONS as usize],
        last: None,
        damaged: false,
    };
    let mut disk = SimDisk::new(seed);
    for _ in 0..LIVES {
        truth.live(&disk)?;
        disk = disk.reboot();
        truth.damage(&disk);
    }
    truth.check(&truth.open(&disk)?.0)?;
    Ok(LIVES)
}

impl Truth {
    fn open(&self, disk: &SimDisk) -> Result<(Arc<Store>, Writer), String> {
        self.try_open(disk).map_err(|error| error.to_string())
    }

    fn try_open(&self, disk: &SimDisk) -> Result<(Arc<Store>, Writer), OpenError> {
        let settings = Settings {
            generation: 1,
            partitions: Partitions::new(PARTITIONS).unwrap(),
            segment_bytes: 3_000,
            cache_bytes: 600,
            max_bytes: u64::MAX,
            blind: self.mutation == Mutation::ChecksumIgnored,
        };
        let disk: Arc<dyn Disk> =
            Arc::new(Mutant { disk: disk.clone(), mutation: self.mutation, late: Arc::default() });
        let recovered = recover(&*disk, &settings)?;
        let store = Arc::new(Store::new(disk, &recovered));
        let mut salts = StdRng::seed_from_u64(self.next_value);
        let writer = Writer::new(store.clone(), settings, Box::new(move || salts.random()), recovered);
        Ok((store, writer))
    }

    /// Opens, checks, appends until the power goes.
    fn live(&mut self, disk: &SimDisk) -> Result<(), String> {
        let failing = u64::from(self.trouble == Trouble::FailingDisk);
        let power = self.rng.random_range(1..60);
        disk.set_faults(Faults { sync_fails: failing * 12, write_full: failing * 12, power });
        let (store, mut writer) = match self.try_open(disk) {
            Ok(opened) => opened,
            Err(OpenError::Io(_)) if failing > 0 || disk.is_off() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        self.check(&store)?;
        while !disk.is_off() {
            self.append(&store, &mut writer)?;
            if self.rng.random_ratio(1, 12) {
                self.release(&store);
            }
        }
        Ok(())
    }

    fn append(&mut self, store: &Store, writer: &mut Writer) -> Result<(), String> {
        let batches: Vec<_> = (0..self.rng.random_range(1..4)).map(|_| self.batch()).collect();
        let given = batches.iter().map(|(partition, records)| Batch::new(*partition, records.clone())).collect();
        let place = writer.place();
        match writer.append(given, Timestamp(self.next_value)) {
            Ok(answers) => {
                self.last = writer.place().map(|(sequence, _)| {
                    let same = place.filter(|(old, _)| *old == sequence);
                    same.unwrap_or((sequence, 40 + 8 * u64::from(PARTITIONS)))
                });
                let answers = batches.into_iter().zip(answers);
                for ((partition, records), answer) in answers {
                    for (record, appended) in records.into_iter().zip(answer) {
                        self.learn(partition, appended.offset, record)?;
                        self.check_new(store, partition, appended.offset)?;
                    }
                }
                Ok(())
            }
            Err(AppendError::Full | AppendError::Unavailable(_)) => Ok(()),
            Err(_) => {
                let records = batches.into_iter().flat_map(|(partition, records)| {
                    records.into_iter().map(move |record| (partition.0, record.value))
                });
                self.possible.extend(records);
                Ok(())
            }
        }
    }

    fn batch(&mut self) -> (Partition, Vec<NewRecord>) {
        let partition = Partition(self.rng.random_range(0..PARTITIONS));
        let records = (0..self.rng.random_range(1..4)).map(|_| self.record()).collect();
        (partition, records)
    }

    fn record(&mut self) -> NewRecord {
        self.next_value += 1;
        let mut value = self.next_value.to_le_bytes().to_vec();
        let size = if self.rng.random_ratio(1, 8) { 900 } else { 40 };
        value.resize(8 + self.rng.random_range(0..size), self.next_value as u8);
        let headers =
            if self.rng.random_ratio(1, 4) { vec![("h".to_owned(), Bytes::from_static(b"v"))] } else { vec![] };
        NewRecord { key: [self.next_value as u8; 9], headers, value: value.into() }
    }

    fn learn(&mut self, partition: Partition, offset: Offset, record: NewRecord) -> Result<(), String> {
        match self.sure.insert((partition.0, offset), record) {
            None => Ok(()),
            Some(_) => Err(format!("offset {offset} of {partition} was given out twice")),
        }
    }

    fn release(&mut self, store: &Store) {
        for partition in 0..PARTITIONS {
            let end = store.extent(Partition(partition)).map_or(0, |extent| extent.end);
            let below = self.rng.random_range(0..=end);
            let released = &mut self.released[usize::from(partition)];
            *released = below.max(*released);
            // It may fail when the power goes; then it has released less.
            let _ = store.release(Partition(partition), below, Timestamp(u64::MAX));
        }
    }

    /// What was appended is read at once, from memory or disk.
    fn check_new(&self, store: &Store, partition: Partition, offset: Offset) -> Result<(), String> {
        let chunk = read(store, partition, offset).map_err(|error| error.to_string())?;
        if chunk.records.first().map(|read| &read.record) == self.sure.get(&(partition.0, offset)) {
            Ok(())
        } else {
            Err(format!("offset {offset} of {partition} is not what was appended"))
        }
    }

    /// Reads everything that there is.
    fn check(&mut self, store: &Store) -> Result<(), String> {
        for partition in (0..PARTITIONS).map(Partition) {
            let extent = store.extent(partition).map_err(|error| error.to_string())?;
            let released = self.released[usize::from(partition.0)];
            if extent.start > released {
                return Err(format!("{partition} starts at {} but only {released} was released", extent.start));
            }
            let last = self.sure.range(..(partition.0 + 1, 0)).next_back().filter(|((of, _), _)| *of == partition.0);
            if last.is_some_and(|((_, offset), _)| *offset >= extent.end) {
                return Err(format!("{partition} ends at {} before {last:?}", extent.end));
            }
            self.check_partition(store, partition, extent.start, extent.end)?;
        }
        Ok(())
    }

    fn check_partition(
        &mut self,
        store: &Store,
        partition: Partition,
        start: Offset,
        end: Offset,
    ) -> Result<(), String> {
        let mut next = start;
        while next < end {
            match read(store, partition, next) {
                Ok(chunk) if chunk.records.is_empty() => return Err(format!("nothing at {next} of {partition}")),
                Ok(chunk) => {
                    for stored in chunk.records {
                        self.compare(partition, next, stored.offset, stored.record)?;
                        next += 1;
                    }
                }
                Err(ReadError::Damaged { offset, .. }) if self.damaged && offset == next => next += 1,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn compare(&mut self, partition: Partition, next: Offset, offset: Offset, read: NewRecord) -> Result<(), String> {
        if offset != next {
            return Err(format!("{partition} skips from {next} to {offset}"));
        }
        if let Some(sure) = self.sure.get(&(partition.0, offset)) {
            return if *sure == read { Ok(()) } else { Err(format!("{partition} at {offset} has changed")) };
        }
        if !self.possible.contains(&(partition.0, read.value.clone())) {
            return Err(format!("{partition} at {offset} was never appended, or was refused"));
        }
        self.learn(partition, offset, read)
    }

    /// Damages one byte of what was synced, but nothing of the last group, which could be a torn one.
    fn damage(&mut self, disk: &SimDisk) {
        let Some((last, at)) = self.last.filter(|_| self.trouble == Trouble::DamagedMedium) else { return };
        if self.rng.random_ratio(1, 3) {
            let sequence = self.rng.random_range(1..=last);
            let most = if sequence == last { at } else { 3_000 };
            self.damaged = true;
            disk.damage(
                &file_name(sequence),
                self.rng.random_range(0..most) as usize,
                1 << self.rng.random_range(0..8),
            );
        }
    }
}

fn read(store: &Store, partition: Partition, from: Offset) -> Result<Chunk, ReadError> {
    match store.read_tail(partition, from, 500)? {
        Some(chunk) => Ok(chunk),
        None => store.read_disk(partition, from, 500),
    }
}

/// A disk that does not do what the log asks for.
struct Mutant {
    disk: SimDisk,
    mutation: Mutation,
    late: Late,
}

/// Files whose sync was answered and not done.
type Late = Arc<Mutex<Vec<Arc<dyn DiskFile>>>>;

struct MutantFile {
    file: Arc<dyn DiskFile>,
    mutation: Mutation,
    late: Late,
}

fn catch_up(late: &Late) -> io::Result<()> {
    late.lock().drain(..).try_for_each(|file| file.sync_data())
}

impl Mutant {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MutantFile { file, mutation: self.mutation, late: self.late.clone() })
    }
}

impl Disk for Mutant {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        catch_up(&self.late)?;
        Ok(self.wrap(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.disk.open(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.disk.delete(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.mutation == Mutation::NoDirSync { Ok(()) } else { self.disk.sync_dir() }
    }
}

impl DiskFile for MutantFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        catch_up(&self.late)?;
        self.file.write_at(at, bytes)
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_at(at, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.mutation {
            Mutation::NoDataSync => Ok(()),
            Mutation::AcknowledgeBeforeSync => {
                self.late.lock().push(self.file.clone());
                Ok(())
            }
            _ => self.file.sync_data(),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
