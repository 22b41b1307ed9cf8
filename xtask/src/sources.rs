//! Where code may come from: the registry of crates.io and this tree. No forks by git, no other registry.

use std::path::Path;

use crate::metadata::{Metadata, verdict};
use crate::step::Findings;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn run(root: &Path) -> Result<(), Findings> {
    let metadata = Metadata::load(root)?;
    let members: Vec<_> = metadata.members().map(|package| &package.id).collect();
    let foreign = metadata.packages.iter().filter(|package| match &package.source {
        Some(source) => source != CRATES_IO,
        None => !members.contains(&&package.id),
    });
    verdict(foreign.map(|package| refusal(&package.name, package.source.as_deref())).collect())
}

fn refusal(name: &str, source: Option<&str>) -> String {
    format!(
        "{name} comes from {}: use a published version from crates.io",
        source.unwrap_or("a folder outside the workspace")
    )
}
