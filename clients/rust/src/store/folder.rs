//! A folder that is this user's alone, used by one process at a time, with files that are replaced
//! whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Where clients keep their state: `$XDG_STATE_HOME/volery`, else `~/.local/state/volery`; `None`
/// if neither variable names an absolute path.
#[must_use]
pub fn state_home(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = path("XDG_STATE_HOME").or_else(|| path("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("volery"))
}

/// See the module. Unlocked when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// The folder `<home>/<gateway>/<user>`, made if need be.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has it; what the file system says.
    pub fn open(home: &Path, gateway: &str, user_name: &str) -> Result<Self, StoreError> {
        let path = home.join(plain(gateway)).join(plain(user_name));
        make(&path)?;
        let lock = private().write(true).create(true).truncate(false).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces a file; durable when it returns.
    ///
    /// # Errors
    /// What the file system says; the file is as it was then.
    pub fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.file(&format!("{name}.new"));
        let mut file = private().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, self.file(name))?;
        File::open(&self.path)?.sync_all()
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.path)?.sync_all(),
        }
    }
}

/// Options of files that only their owner reads.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A name that is no path: scheme dropped, everything unusual replaced.
fn plain(name: &str) -> String {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let plain: String = name.trim_end_matches('/').chars().map(kept).collect();
    if plain.trim_matches('.').is_empty() { "_".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        assert_eq!(plain("http://127.0.0.1:8400/"), "127.0.0.1_8400");
        assert_eq!(plain("../../etc"), ".._.._etc");
        assert_eq!(plain(".."), "_");
    }

    #[test]
    fn the_state_home_follows_xdg() {
        let home = |xdg: Option<&'static str>| {
            state_home(move |name| if name == "HOME" { Some("/h".into()) } else { xdg.map(Into::into) })
        };
        assert_eq!(home(Some("/x")), Some(PathBuf::from("/x/volery")));
        assert_eq!(home(Some("relative")), Some(PathBuf::from("/h/.local/state/volery")));
        assert_eq!(home(None), Some(PathBuf::from("/h/.local/state/volery")));
        assert_eq!(state_home(|_| None), None);
    }
}
