//! What was found once: one file an input under `corpus/<target>/`, run before anything else, for ever.

use std::fs;
use std::io;
use std::path::PathBuf;

/// The folder of a target's findings.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The inputs that are kept, with their files; none if there is no folder.
///
/// # Errors
/// What the file system says.
pub fn load(target: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let entries = match fs::read_dir(folder(target)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(|path| fs::read(&path).map(|bytes| (path, bytes))).collect()
}

/// Keeps an input; the same one has the same file.
///
/// # Errors
/// What the file system says.
pub fn keep(target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(input);
    let path = folder(target).join(format!("{:08x}", hasher.finalize()));
    fs::create_dir_all(folder(target))?;
    fs::write(&path, input)?;
    Ok(path)
}
