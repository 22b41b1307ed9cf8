//! Breaks a cluster under load, and judges: `chaos --help`.

use std::process::ExitCode;

use clap::Parser as _;
use loadtest::failure::Failure;
use volery_chaos::cli::{self, Arguments};

fn main() -> ExitCode {
    match cli::run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(what)) => {
            eprintln!("chaos: {what}");
            ExitCode::from(2)
        }
    }
}
