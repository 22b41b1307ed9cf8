//! The binary: parse, build, run, exit code; and the allocator, which is a program's to choose.

use std::process::ExitCode;

/// Sessions allocate and free on several threads all day; measured in `docs/research/2026-11-21-idle-memory.md`.
/// Its background thread gives pages back when nobody allocates, too: a quiet server is a small one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match volery::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(volery::Failure(what)) => {
            eprintln!("volery: {what}");
            ExitCode::FAILURE
        }
    }
}
