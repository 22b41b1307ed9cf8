//! A bare program as a process: started, asked where it is, ended.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use loadtest::failure::Failure;

/// A running program; dropping it ends it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    address: String,
}

impl Program {
    /// Starts it and waits for its `ready ws://…`.
    ///
    /// # Errors
    /// It is missing, or ended before it was ready.
    pub fn start(path: &Path, arguments: &[&OsStr]) -> Result<Self, Failure> {
        let child = Command::new(path).args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let program = Self { child, address: line.trim().trim_start_matches("ready ").to_owned() };
        if program.address.is_empty() {
            return Err(Failure(format!("{} did not start", path.display())));
        }
        Ok(program)
    }

    /// `ws://…`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Program {
    /// It keeps nothing that is worth an orderly end.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
