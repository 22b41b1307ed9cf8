//! A value made of files, as they were when they last made sense. Whoever holds it looks when it likes: at
//! each connection, or every few seconds.
//!
//! Trap avoided: files are replaced one after the other, so half a change is no mistake to end for. What was
//! good last stays until the next is whole, and the same bad files are read once, not at each look.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;

/// What a look has shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Look<E> {
    /// The files are those of the last look.
    Same,
    /// They have changed, and what they say now is in force.
    Taken,
    /// They have changed and make no sense: what was good last goes on.
    Refused(E),
}

/// See the module.
pub struct Reloaded<T, E> {
    paths: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<T, E> + Send + Sync>,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    /// The files that were read last, good or bad.
    seen: Vec<Option<Seen>>,
    value: T,
}

/// What tells a file from the one that stood there before.
type Seen = (SystemTime, u64, u64);

impl<T: Clone, E> Reloaded<T, E> {
    /// Reads the value for the first time. `paths` are what `read` reads.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn open(paths: Vec<PathBuf>, read: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Result<Self, E> {
        // Before the value: a file that is written meanwhile is read again.
        let seen = seen(&paths);
        let value = read()?;
        Ok(Self { paths, read: Box::new(read), current: Mutex::new(Current { seen, value }) })
    }

    /// What was good last.
    pub fn get(&self) -> T {
        self.current.lock().value.clone()
    }

    /// Reads the files again if they are not those of the last look.
    pub fn look(&self) -> Look<E> {
        let mut current = self.current.lock();
        let seen = seen(&self.paths);
        if seen == current.seen {
            return Look::Same;
        }
        current.seen = seen;
        match (self.read)() {
            Ok(value) => {
                current.value = value;
                Look::Taken
            }
            Err(error) => Look::Refused(error),
        }
    }
}

fn seen(paths: &[PathBuf]) -> Vec<Option<Seen>> {
    let one = |path: &Path| {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    };
    paths.iter().map(|path| one(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_last_stays_until_the_next_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("number");
        let put = |text: &str| {
            // As it is done where a reader must never see half a file.
            let beside = folder.path().join("beside");
            fs::write(&beside, text).expect("written");
            fs::rename(&beside, &path).expect("renamed");
        };
        let read = {
            let path = path.clone();
            move || fs::read_to_string(&path).map_err(|_| None)?.parse::<u32>().map_err(Some)
        };
        assert!(Reloaded::open(vec![path.clone()], read.clone()).is_err_and(|error| error.is_none()), "no file yet");
        put("1");
        let number = Reloaded::open(vec![path.clone()], read).expect("a number");
        assert_eq!((number.look(), number.get()), (Look::Same, 1));
        put("two");
        assert!(matches!(number.look(), Look::Refused(Some(_))));
        assert_eq!((number.look(), number.get()), (Look::Same, 1), "said once");
        put("2");
        assert_eq!((number.look(), number.get()), (Look::Taken, 2));
        fs::remove_file(&path).expect("removed");
        assert_eq!((number.look(), number.get()), (Look::Refused(None), 2));
    }
}
