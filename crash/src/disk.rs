//! A small file system of its own, in memory, mounted for a while; and a file that fills it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tempfile::TempDir;

const FILLER: &str = "filler";
/// What is written to fill it, at once and at the least.
const BLOCK: usize = 1 << 20;
const PAGE: usize = 4_096;

/// See the module. Dropping it takes the file system away with all that is on it.
#[derive(Debug)]
pub struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// Mounts one with so much room.
    ///
    /// # Errors
    /// What the system says: only root may mount.
    pub fn mount(mib: usize) -> io::Result<Self> {
        let at = tempfile::tempdir()?;
        let path = c_path(at.path())?;
        let options = CString::new(format!("size={mib}m"))?;
        // SAFETY: all strings end with 0 and live through the call.
        let mounted = unsafe {
            libc::mount(
                c"volery-crash".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                libc::MS_NODEV | libc::MS_NOSUID,
                options.as_ptr().cast(),
            )
        };
        if mounted == 0 { Ok(Self { at }) } else { Err(io::Error::last_os_error()) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all room that is left, and gives how many bytes that was.
    ///
    /// # Errors
    /// What the system says, but that it is full.
    pub fn fill(&self) -> io::Result<u64> {
        let mut file = File::options().append(true).create(true).open(self.path().join(FILLER))?;
        for block in [BLOCK, PAGE] {
            while !is_full(file.write_all(&vec![0; block]))? {}
        }
        Ok(file.metadata()?.len())
    }

    /// Makes the room again that [`SmallDisk::fill`] took.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_room(&self) -> io::Result<()> {
        fs::remove_file(self.path().join(FILLER))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Ok(path) = c_path(self.path()) {
            // SAFETY: the string ends with 0. Detached, so that it goes even if somebody still looks.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn is_full(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == ErrorKind::StorageFull => Ok(true),
        Err(error) => Err(error),
    }
}
