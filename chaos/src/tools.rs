//! Programs that are run to their end: `engines/engines`, `cluster/cluster`, `volery admin`. What they say when they fail is
//! the failure.
//!
//! The trap: they take seconds, and the thread of all clients must not wait for them: see [`Tool::beside`].

use std::path::{Path, PathBuf};
use std::process::Command;

use loadtest::failure::Failure;

/// How the repository's tools end where something is missing that cannot be had.
const MISSING: i32 = 2;

/// A program and what it is told each time.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    /// How it ends where something is missing that cannot be had, if it tells that apart.
    missing: Option<i32>,
}

impl Tool {
    /// A program, by its path.
    #[must_use]
    pub const fn new(program: PathBuf, variables: Vec<(&'static str, String)>) -> Self {
        Self { program, variables, missing: None }
    }

    /// One of this repository, by its place in there.
    #[must_use]
    pub fn of_the_repository(place: &str, variables: Vec<(&'static str, String)>) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(place);
        Self { program, variables, missing: Some(MISSING) }
    }

    /// Runs it; what it printed.
    ///
    /// # Errors
    /// What it said, if it failed.
    pub fn run(&self, words: &[String]) -> Result<String, Failure> {
        let variables = self.variables.iter().map(|(key, value)| (key, value));
        let output = Command::new(&self.program).args(words).envs(variables).output();
        let told = |why: String| Failure(format!("{} {}: {why}", self.program.display(), words.join(" ")));
        let output = output.map_err(|error| told(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            code if code.is_some() && code == self.missing => Err(told(format!("cannot be had here: {said}"))),
            _ => Err(told(said)),
        }
    }

    /// The same while this thread goes on with everything else.
    ///
    /// # Errors
    /// As [`Tool::run`].
    pub async fn beside(&self, words: Vec<String>) -> Result<(), Failure> {
        let tool = self.clone();
        tokio::task::spawn_blocking(move || tool.run(&words)).await?.map(drop)
    }
}

/// Words of a command.
#[must_use]
pub fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
