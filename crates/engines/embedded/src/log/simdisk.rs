//! A disk in memory that fails and crashes by a seed, for tests below `kill -9`.
//!
//! It keeps two states: what programs see, and what is sure to survive. A crash mixes them: any subset
//! of the 512-byte sectors written since the last sync, any size between the synced one and those
//! seen since, any subset of the directory entries changed since the directory was synced. After it
//! every operation fails until [`SimDisk::reboot`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};

/// What a disk keeps or loses as a whole.
const SECTOR: usize = 512;

/// Handles share one disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What goes wrong, by itself, until it is set otherwise. All 0 at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// One sync in so many fails.
    pub sync_fails: u64,
    /// One write in so many finds no room, part of it done.
    pub write_full: u64,
    /// Operations that change something, until the power goes; 0 for never.
    pub power: u64,
}

struct State {
    seed: u64,
    faults: Faults,
    off: bool,
    files: Vec<Content>,
    seen: BTreeMap<String, usize>,
    sure: BTreeMap<String, usize>,
}

#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    sure: Vec<u8>,
    /// Sectors that the next sync makes sure.
    dirty: BTreeSet<usize>,
    /// Smallest and largest size since the last sync.
    sizes: (usize, usize),
}

impl SimDisk {
    /// An empty disk; the same seed and the same calls bring the same failures.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (seen, sure) = (BTreeMap::new(), BTreeMap::new());
        let state = State { seed, faults: Faults::default(), off: false, files: Vec::new(), seen, sure };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Whether the power has gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// Crashes if that has not happened yet, and answers the disk as it is found afterwards.
    #[must_use]
    pub fn reboot(&self) -> Self {
        let mut state = self.state.lock();
        state.off = true;
        let mut next = State {
            seed: state.random(),
            faults: Faults::default(),
            off: false,
            files: Vec::new(),
            seen: BTreeMap::new(),
            sure: BTreeMap::new(),
        };
        let names: BTreeSet<_> = state.seen.keys().chain(state.sure.keys()).cloned().collect();
        for name in names {
            let which = if state.one_in(2) { &state.seen } else { &state.sure };
            if let Some(file) = which.get(&name).copied() {
                let survived = state.survivor(file);
                next.sure.insert(name, next.files.len());
                next.files.push(Content::found(survived));
            }
        }
        next.seen.clone_from(&next.sure);
        Self { state: Arc::new(Mutex::new(next)) }
    }

    /// Flips bits of one byte of a file, as a failing medium would.
    pub fn damage(&self, name: &str, at: usize, bits: u8) {
        let mut state = self.state.lock();
        let Some(file) = state.seen.get(name).copied() else { return };
        let content = &mut state.files[file];
        [&mut content.seen, &mut content.sure]
            .into_iter()
            .filter_map(|bytes| bytes.get_mut(at))
            .for_each(|byte| *byte ^= bits);
    }
}

impl State {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, many: u64) -> bool {
        many > 0 && self.random().is_multiple_of(many)
    }

    fn up_to(&mut self, most: usize) -> usize {
        (self.random() % (most as u64 + 1)) as usize
    }

    fn survivor(&mut self, file: usize) -> Vec<u8> {
        let content = std::mem::take(&mut self.files[file]);
        let (least, most) = content.sizes;
        let size = match self.random() % 4 {
            0 => least,
            1 => most,
            2 => content.seen.len(),
            _ => least + self.up_to(most - least),
        };
        let mut bytes = vec![0; size];
        let style = self.random() % 4;
        for (n, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let newer = match style {
                0 => true,
                1 => self.one_in(8),
                2 => !self.one_in(8),
                _ => self.one_in(2),
            };
            let from = if newer { &content.seen } else { &content.sure };
            let from = from.get(n * SECTOR..).unwrap_or_default();
            let len = from.len().min(sector.len());
            sector[..len].copy_from_slice(&from[..len]);
        }
        self.files[file] = content;
        bytes
    }

    /// Counts an operation that changes something; `Ok(false)`: the power goes in its middle.
    fn power(&mut self) -> io::Result<bool> {
        self.powered()?;
        if self.faults.power == 1 {
            self.off = true;
            return Ok(false);
        }
        self.faults.power = self.faults.power.saturating_sub(1);
        Ok(true)
    }

    fn powered(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.power()? {
            return Err(io::Error::other("the power went"));
        }
        if self.one_in(self.faults.sync_fails) { Err(io::Error::other("a sync failed")) } else { Ok(()) }
    }
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        let done = state.power()?;
        if let Some(&file) = state.seen.get(name) {
            state.files[file].resize(0);
        } else {
            let file = state.files.len();
            state.files.push(Content::default());
            state.seen.insert(name.to_owned(), file);
        }
        if !done {
            return Err(io::Error::other("the power went"));
        }
        let file = state.seen[name];
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state.lock();
        state.powered()?;
        let file = *state.seen.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.seen.keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let done = state.power()?;
        state.seen.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if done { Ok(()) } else { Err(io::Error::other("the power went")) }
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.sync()?;
        state.sure = state.seen.clone();
        Ok(())
    }
}

impl Content {
    fn found(bytes: Vec<u8>) -> Self {
        let sizes = (bytes.len(), bytes.len());
        Self { seen: bytes.clone(), sure: bytes, dirty: BTreeSet::new(), sizes }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.resize(self.seen.len().max(at + bytes.len()));
        self.seen[at..at + bytes.len()].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..(at + bytes.len()).div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.sure.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let start = (sector * SECTOR).min(self.seen.len());
            let end = (start + SECTOR).min(self.seen.len());
            self.sure[start..end].copy_from_slice(&self.seen[start..end]);
        }
        self.sizes = (self.seen.len(), self.seen.len());
    }

    fn resize(&mut self, size: usize) {
        self.dirty.insert(size / SECTOR);
        self.seen.resize(size, 0);
        self.sizes = (self.sizes.0.min(size), self.sizes.1.max(size));
    }
}

/// An open file of a [`SimDisk`].
struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for SimFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let error = match (state.power()?, state.faults.write_full) {
            (false, _) => Some(io::Error::other("the power went")),
            (true, often) if state.one_in(often) => Some(io::ErrorKind::StorageFull.into()),
            (true, _) => None,
        };
        let len = if error.is_some() { state.up_to(bytes.len().saturating_sub(1)) } else { bytes.len() };
        state.files[self.file].write(at as usize, &bytes[..len]);
        error.map_or(Ok(()), Err)
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state.lock();
        state.powered()?;
        let from = state.files[self.file].seen.get(at as usize..at as usize + bytes.len());
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// A sync that fails has forgotten what was to be written: a later one does not write it.
    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let outcome = state.sync();
        let content = &mut state.files[self.file];
        match outcome {
            Ok(()) => content.sync(),
            Err(_) => content.dirty.clear(),
        }
        outcome
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let done = state.power()?;
        state.files[self.file].resize(len as usize);
        if done { Ok(()) } else { Err(io::Error::other("the power went")) }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state.lock();
        state.powered()?;
        Ok(state.files[self.file].seen.len() as u64)
    }
}
