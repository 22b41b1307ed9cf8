//! Turns the contracts between nodes into Rust without `protoc`. They share messages with the log,
//! whose types are made anew here: `volery-proto` keeps its own to itself.

use std::error::Error;

const ROOT: &str = "../../proto";
const SHARED: &str = "volery/log/v1/events.proto";
const CONTRACTS: [&str; 4] = [
    "volery/history/v1/history.proto",
    "volery/account/v1/account.proto",
    "volery/idgen/v1/idgen.proto",
    "volery/config/v1/config.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in CONTRACTS.iter().chain([&SHARED]) {
        println!("cargo::rerun-if-changed={ROOT}/{file}");
    }
    let files = protox::compile(CONTRACTS, [ROOT])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
