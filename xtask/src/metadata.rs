//! What `cargo metadata` says of the workspace and of everything that it links.

use std::path::Path;

use serde::Deserialize;

use crate::command::cargo;
use crate::step::Findings;

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// None: a folder of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None: normal; else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    pub(crate) fn load(root: &Path) -> Result<Self, Findings> {
        let output = cargo(root)
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()
            .map_err(|error| vec![format!("cargo could not be started: {error}")])?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(vec![
                format!("cargo metadata: {}", text.trim()),
                "is Cargo.lock committed and up to date?".into(),
            ]);
        }
        serde_json::from_slice(&output.stdout).map_err(|error| vec![format!("cargo metadata: {error}")])
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Ok if there is nothing, which is what a check returns.
pub(crate) fn verdict(findings: Findings) -> Result<(), Findings> {
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}
