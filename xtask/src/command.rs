//! Cargo's own checks, and starting cargo. The cargo that started this program is the one that is started.

use std::path::Path;
use std::process::Command;

use crate::step::Findings;

pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

pub(crate) fn fmt(root: &Path) -> Result<(), Findings> {
    run(root, &["fmt", "--all", "--", "--check", "-l"], "these files are not formatted: run `make fmt`")
}

pub(crate) fn clippy(root: &Path) -> Result<(), Findings> {
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run(root, &arguments, "mend what clippy says above; a lint is set aside only by `#[expect(…, reason = …)]`")
}

fn run(root: &Path, arguments: &[&str], advice: &str) -> Result<(), Findings> {
    match cargo(root).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(vec![advice.to_owned()]),
        Err(error) => Err(vec![format!("cargo could not be started: {error}")]),
    }
}
