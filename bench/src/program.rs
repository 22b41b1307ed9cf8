//! A bare program as a process: started, asked where it is, told what to do where it is no server, ended.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use loadtest::failure::Failure;

/// A running program; dropping it ends it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Program {
    /// Starts it and waits for its `ready`, with an address after it if it is a server.
    ///
    /// # Errors
    /// It is missing, or ended before it was ready.
    pub fn start(path: &Path, arguments: &[&OsStr]) -> Result<Self, Failure> {
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| Failure(format!("{} has no pipes", path.display())))?;
        let mut program = Self { child, input, output: BufReader::new(output), address: String::new() };
        match program.hear()?.strip_prefix("ready") {
            Some(address) => program.address = address.trim().to_owned(),
            None => return Err(Failure(format!("{} did not start", path.display()))),
        }
        Ok(program)
    }

    /// Tells it a line.
    ///
    /// # Errors
    /// It has ended.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// Its next line. Waits for it, and nothing else goes on here meanwhile.
    ///
    /// # Errors
    /// It has ended.
    pub fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(Failure("a bare program has ended; its own words say why".to_owned()));
        }
        Ok(line.trim().to_owned())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said after `ready`: an address, or several.
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
