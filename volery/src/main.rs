//! The binary: parse, build, run, exit code.

mod admin;
mod cli;
mod sink;
mod up;

use std::process::ExitCode;

/// What ends the program with a code other than 0: what was wrong, and what to do about it.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(what)) => {
            eprintln!("volery: {what}");
            ExitCode::FAILURE
        }
    }
}
