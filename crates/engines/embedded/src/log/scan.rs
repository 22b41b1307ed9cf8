//! Walking over the groups of a segment file, finding the way again behind damage.
//!
//! Owns one read buffer and no opinion: whether what is broken was torn by a crash or damaged later
//! is for the caller to say. A group is written only after the one before it was synced, so a valid
//! group behind a broken place proves damage; nothing valid behind it looks like a torn write.

use std::io;
use std::ops::Range;

use super::disk::DiskFile;
use super::format::{Check, GROUP_BYTES, Group, RawRecord};

/// Bytes that one read brings at least.
const BLOCK: usize = 128 * 1024;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A group; its records are in [`Scanner::records`].
    Group(Group),
    /// From here on nothing makes sense until the next group, if there is one.
    Broken {
        /// The first byte.
        from: u64,
        /// One past the last: where a valid group begins, or the end.
        to: u64,
        /// Whether a valid group begins there.
        followed: bool,
    },
    /// Nothing more.
    End,
}

/// Reads the groups of `at..end` of a file.
pub(crate) struct Scanner<'a> {
    file: &'a dyn DiskFile,
    check: Check,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    body: Range<usize>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile, check: Check, at: u64, end: u64) -> Self {
        Self { file, check, at, end, window: Vec::new(), window_at: at, body: 0..0 }
    }

    /// Moves on.
    pub(crate) fn next(&mut self) -> io::Result<Found> {
        if self.at >= self.end {
            return Ok(Found::End);
        }
        let Some(group) = self.group_at(self.at)? else {
            return self.resync();
        };
        if group.end() > self.end {
            return self.resync();
        }
        self.body = self.load(group.body(), group.bytes as usize)?;
        self.at = group.end();
        Ok(Found::Group(group))
    }

    /// The bytes of the records of the group that was found last.
    pub(crate) fn records(&self) -> &[u8] {
        &self.window[self.body.clone()]
    }

    fn group_at(&mut self, at: u64) -> io::Result<Option<Group>> {
        if at + GROUP_BYTES as u64 > self.end {
            return Ok(None);
        }
        let range = self.load(at, GROUP_BYTES)?;
        Ok(Group::decode(&self.window[range], at, self.check))
    }

    /// Looks for the next group, byte by byte.
    fn resync(&mut self) -> io::Result<Found> {
        let from = self.at;
        let mut at = from + 1;
        while at + (GROUP_BYTES as u64) <= self.end {
            let range = self.load_some(at)?;
            let len = range.len();
            match Group::find(&self.window[range.clone()], 0) {
                Some(skip) if self.group_at(at + skip as u64)?.is_some() => {
                    self.at = at + skip as u64;
                    return Ok(Found::Broken { from, to: self.at, followed: true });
                }
                Some(skip) => at += skip as u64 + 1,
                None => at += (len - GROUP_BYTES / 2).max(1) as u64,
            }
        }
        self.at = self.end;
        Ok(Found::Broken { from, to: self.end, followed: false })
    }

    /// Makes a group's head available at `at`, and what is at hand behind it: a place full of marks would
    /// otherwise be read anew for each of them.
    fn load_some(&mut self, at: u64) -> io::Result<Range<usize>> {
        let held = (self.window_at + self.window.len() as u64).min(self.end);
        let at_hand = if at < self.window_at { 0 } else { held.saturating_sub(at) as usize };
        let len = if at_hand < GROUP_BYTES { BLOCK.min((self.end - at) as usize) } else { at_hand };
        self.load(at, len)
    }

    /// Makes `at..at + len` available and says where in the window it is.
    fn load(&mut self, at: u64, len: usize) -> io::Result<Range<usize>> {
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if at < held.start || at + len as u64 > held.end {
            let size = len.max(BLOCK.min((self.end - at) as usize));
            self.window.resize(size, 0);
            self.window_at = at;
            if let Err(error) = self.file.read_at(at, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        let start = (at - self.window_at) as usize;
        Ok(start..start + len)
    }
}

/// Whether every record of a group is there and as it was written.
pub(crate) fn is_whole(group: &Group, mut body: &[u8], check: Check) -> bool {
    let whole = (0..group.records).all(|_| RawRecord::take(&mut body).is_some_and(|record| record.is_whole(check)));
    whole && body.is_empty()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A file that counts the bytes that are read of it.
    struct Counted(Vec<u8>, AtomicUsize);

    impl DiskFile for Counted {
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.1.fetch_add(bytes.len(), Ordering::Relaxed);
            bytes.copy_from_slice(&self.0[at as usize..at as usize + bytes.len()]);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn truncate(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }
    }

    #[test]
    fn a_place_full_of_marks_is_read_about_once() {
        let check = Check::new(7);
        let mut bytes = b"\xf5grp".repeat(64 * 1_024);
        let group = Group { at: bytes.len() as u64, bytes: 0, records: 0, stamp: volery_kernel::time::Timestamp(1) };
        bytes.extend_from_slice(&group.encode(check));
        let (size, end) = (bytes.len(), bytes.len() as u64);
        let file = Counted(bytes, AtomicUsize::new(0));
        let mut scanner = Scanner::new(&file, check, 0, end);
        let broken = Found::Broken { from: 0, to: group.at, followed: true };
        assert_eq!(scanner.next().unwrap(), broken);
        assert_eq!(scanner.next().unwrap(), Found::Group(group));
        let read = file.1.load(Ordering::Relaxed);
        assert!(read < 4 * size, "{read} bytes were read of {size}");
    }
}
