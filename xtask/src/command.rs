//! Cargo's own checks, and starting cargo. The cargo that started this program is the one that is started.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::step::Findings;

pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // What cargo told this program of its own package: build scripts look at it, and all above them would be built anew.
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

/// Cargo with clippy's compiler for this workspace. What it builds is its own: other commands build theirs.
pub(crate) fn linting_cargo(root: &Path) -> Command {
    let mut command = cargo(root);
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    command
}

pub(crate) fn fmt(root: &Path) -> Result<(), Findings> {
    run(root, &["fmt", "--all", "--", "--check", "-l"], "these files are not formatted: run `make fmt`")
}

/// Lints while it builds the tests, which then run from what was built: one compilation instead of two.
pub(crate) fn clippy(root: &Path) -> Result<(), Findings> {
    let build = ["test", "--no-run", "--workspace", "--all-targets", "--locked", "--message-format", "json"];
    let output = linting_cargo(root).args(build).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| vec![format!("cargo could not be started: {error}")])?;
    let complaints = complaints(&String::from_utf8_lossy(&output.stdout));
    for complaint in &complaints {
        println!("{complaint}");
    }
    if output.status.success() && complaints.is_empty() {
        return Ok(());
    }
    Err(vec!["mend what clippy says above; a lint is set aside only by `#[expect(…, reason = …)]`".to_owned()])
}

/// Warnings and errors, each once: what a library is told, its tests are told again.
fn complaints(messages: &str) -> BTreeSet<String> {
    let message = |line| serde_json::from_str::<Value>(line).ok().map(|mut line| line["message"].take());
    let told = messages.lines().filter_map(message).filter(|message| message["level"] != "note");
    told.filter_map(|message| message["rendered"].as_str().map(str::to_owned)).collect()
}

fn run(root: &Path, arguments: &[&str], advice: &str) -> Result<(), Findings> {
    match cargo(root).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(vec![advice.to_owned()]),
        Err(error) => Err(vec![format!("cargo could not be started: {error}")]),
    }
}
