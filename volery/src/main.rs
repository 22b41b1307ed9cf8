//! The binary: parse, build, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match volery::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(volery::Failure(what)) => {
            eprintln!("volery: {what}");
            ExitCode::FAILURE
        }
    }
}
