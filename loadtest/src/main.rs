//! Load through the public protocol, and what it costs the server: `loadtest --help`.

use std::process::ExitCode;

use clap::Parser as _;
use loadtest::cli::{self, Arguments};
use loadtest::failure::Failure;

fn main() -> ExitCode {
    match cli::run(&Arguments::parse(), std::env::args().collect::<Vec<_>>().join(" ")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure(what)) => {
            eprintln!("loadtest: {what}");
            ExitCode::from(2)
        }
    }
}
