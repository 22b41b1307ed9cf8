//! Breaks a server under load, and judges: `crash --help`.

use std::process::ExitCode;

use clap::Parser as _;
use loadtest::failure::Failure;
use volery_crash::cli::{self, Arguments};

fn main() -> ExitCode {
    match cli::run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(what)) => {
            eprintln!("crash: {what}");
            ExitCode::from(2)
        }
    }
}
