//! Crates that must not be linked, each with what to do instead.
//!
//! The lock file lists more than is linked (optional dependencies of dependencies), so a name that is
//! found there is asked for by `cargo tree`, whose answer also says who brings it.

use std::path::Path;

use crate::command::cargo;
use crate::metadata::{Metadata, verdict};
use crate::step::Findings;

const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls with ring: take the crate's rustls feature"),
    ("openssl", "TLS is rustls with ring: take the crate's rustls feature"),
    ("native-tls", "TLS is rustls with ring: take the crate's rustls feature"),
    ("aws-lc-rs", "two crypto providers panic at run time: name `ring` in the crate's features"),
    ("aws-lc-sys", "two crypto providers panic at run time: name `ring` in the crate's features"),
    ("actix-governor", "it is GPL: use governor"),
    ("rusqlite", "it does not resolve beside sqlx: use sqlx"),
    ("actix-web-actors", "deprecated upstream: the door is messaging-node's own (docs/adr/0001)"),
    ("opentelemetry-jaeger", "deprecated upstream: export OTLP (docs/adr/0001)"),
    ("libgit2-sys", "a C library that nothing needs"),
];

pub(crate) fn run(root: &Path) -> Result<(), Findings> {
    let metadata = Metadata::load(root)?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let banned = BANNED.iter().find(|(name, _)| *name == package.name);
        if let Some((name, instead)) = banned
            && let Some(who) = linked_by(root, &format!("{name}@{}", package.version))?
        {
            findings.push(format!("{name} is banned, {instead}. It is brought by:\n{who}"));
        }
    }
    verdict(findings)
}

fn linked_by(root: &Path, package: &str) -> Result<Option<String>, Findings> {
    let arguments = ["tree", "--locked", "--workspace", "--target", "all", "--depth", "6", "--invert", package];
    let output =
        cargo(root).args(arguments).output().map_err(|error| vec![format!("cargo could not be started: {error}")])?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((!text.is_empty()).then_some(text))
}
