//! Everything out of backups, while people chat, and every promise holds.

use std::fs;
use std::path::{Path, PathBuf};

use loadtest::failure::Failure;

use super::kit::backups::{Stored, all_comes_back, cp};

/// The data folder, copied by names.
struct Folder {
    copies: PathBuf,
}

/// Copies what is called like that.
fn copy(from: &Path, to: &Path, name: &str) -> Result<(), Failure> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)) {
            cp(&path, to)?;
        }
    }
    Ok(())
}

impl Stored for Folder {
    fn copy(&self, name: &str, folder: &Path) -> Result<(), Failure> {
        copy(folder, &self.copies, name)
    }

    fn put_back(&self, folder: &Path) -> Result<(), Failure> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        ["timeline", "log", "accounts"].iter().try_for_each(|name| copy(&self.copies, folder, name))
    }
}

#[test]
fn all_out_of_backups_in_their_order_keeps_what_was_said() {
    let copies = tempfile::tempdir().expect("a folder");
    all_comes_back(Vec::new(), Folder { copies: copies.path().to_owned() });
}
