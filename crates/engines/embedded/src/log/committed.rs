//! What the readers have done: one small file, two slots written in turn, each with its checksum.
//!
//! A crash can take the slot that was being written, never the other one, so an older offset comes
//! back but no wrong one. [`Committed::put`] only remembers; the writer's thread writes now and then.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_ports::log::Reader;

use super::disk::{Disk, DiskFile};
use super::format::Fields;

const NAME: &str = "committed";
/// Slots begin at multiples of this, so that they share no sector and no page.
const PAGE: u64 = 4096;

/// The committed offsets of all readers.
pub(crate) struct Committed {
    file: Arc<dyn DiskFile>,
    slot_bytes: u64,
    state: Mutex<State>,
}

struct State {
    /// How often it was written.
    version: u64,
    dirty: bool,
    /// Those of fan-out, then those of archive.
    offsets: Vec<Offset>,
}

impl Committed {
    /// Reads the newer whole slot; all zero if there is none.
    pub(crate) fn open(disk: &dyn Disk, partitions: usize) -> io::Result<Self> {
        let file = if disk.list()?.iter().any(|name| name == NAME) {
            disk.open(NAME)?
        } else {
            let file = disk.create(NAME)?;
            disk.sync_dir()?;
            file
        };
        let slot_bytes = (2 * partitions as u64 * 8 + 12).next_multiple_of(PAGE);
        let slots = [0, 1].map(|slot| read_slot(&*file, slot * slot_bytes, 2 * partitions));
        let newest = slots.into_iter().flatten().max_by_key(|state| state.version);
        let state = newest.unwrap_or(State { version: 0, dirty: false, offsets: vec![0; 2 * partitions] });
        Ok(Self { file, slot_bytes, state: Mutex::new(state) })
    }

    /// 0 if nothing ever was.
    pub(crate) fn get(&self, reader: Reader, partition: Partition) -> Offset {
        let state = self.state.lock();
        state.offsets.get(place(reader, partition, state.offsets.len())).copied().unwrap_or(0)
    }

    /// Remembers, to be written at the next [`Committed::flush`].
    pub(crate) fn put(&self, reader: Reader, partition: Partition, offset: Offset) {
        let mut state = self.state.lock();
        let place = place(reader, partition, state.offsets.len());
        if let Some(old) = state.offsets.get_mut(place)
            && *old != offset
        {
            *old = offset;
            state.dirty = true;
        }
    }

    /// Writes what changed, if anything did. One thread at a time.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let (version, bytes) = {
            let mut state = self.state.lock();
            if !state.dirty {
                return Ok(());
            }
            state.dirty = false;
            state.version += 1;
            (state.version, encode(&state))
        };
        let written = self.file.write_at(version % 2 * self.slot_bytes, &bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // The same slot again: the other one is still whole.
            let mut state = self.state.lock();
            state.dirty = true;
            state.version -= 1;
        }
        written
    }
}

fn place(reader: Reader, partition: Partition, offsets: usize) -> usize {
    usize::from(partition.0)
        + match reader {
            Reader::Fanout => 0,
            Reader::Archive => offsets / 2,
        }
}

fn encode(state: &State) -> Vec<u8> {
    let mut out = state.version.to_le_bytes().to_vec();
    state.offsets.iter().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn read_slot(file: &dyn DiskFile, at: u64, offsets: usize) -> Option<State> {
    let mut bytes = vec![0; 8 * offsets + 12];
    file.read_at(at, &mut bytes).ok()?;
    let (body, crc) = bytes.split_at(8 * offsets + 8);
    let mut fields = Fields(body);
    let version = fields.u64()?;
    let offsets = (0..offsets).map(|_| fields.u64()).collect::<Option<_>>()?;
    (Fields(crc).u32()? == crc32fast::hash(body)).then_some(State { version, dirty: false, offsets })
}
