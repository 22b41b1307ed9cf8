//! A folder in memory that never fails: what the log is opened on. No sectors, no power cuts: those
//! are the engine's own simulated disk's business; this one costs next to nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use volery_embedded::log::disk::{Disk, DiskFile};

type Content = Arc<Mutex<Vec<u8>>>;

/// See the module.
pub(super) struct Flat(Mutex<BTreeMap<String, Content>>);

struct FlatFile(Content);

impl Flat {
    pub(super) fn new(files: Vec<(String, Vec<u8>)>) -> Arc<Self> {
        let files = files.into_iter().map(|(name, bytes)| (name, Arc::new(Mutex::new(bytes))));
        Arc::new(Self(Mutex::new(files.collect())))
    }

    /// Everything in it.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.0.lock().iter().map(|(name, bytes)| (name.clone(), bytes.lock().clone())).collect()
    }
}

impl Disk for Flat {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let content = Content::default();
        self.0.lock().insert(name.to_owned(), content.clone());
        Ok(Arc::new(FlatFile(content)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.0.lock().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FlatFile(content)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().keys().cloned().collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.0.lock().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for FlatFile {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock();
        let (at, end) = (place(at)?, place(at)? + bytes.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let (content, at) = (self.0.lock(), place(at)?);
        bytes.copy_from_slice(content.get(at..at + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.lock().truncate(place(len)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
}

/// A place that a file in memory can have.
fn place(at: u64) -> io::Result<usize> {
    usize::try_from(at).ok().filter(|at| *at < 1 << 24).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}
