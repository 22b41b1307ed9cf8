//! Turns the `.proto` into Rust without `protoc`. Bodies become `bytes::Bytes`, so that decoding
//! slices its input and copies no text.

use std::error::Error;

const EVENTS: &str = "volery/log/v1/events.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={EVENTS}");
    let files = protox::compile([EVENTS], ["."])?;
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
