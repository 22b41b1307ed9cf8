//! The programs that hold the tests, as cargo builds them. Tests in documents are none: `tidy` refuses them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::linting_cargo;

/// Each has a whole cluster on real engines: two of them at once are more than two cores carry.
const CLUSTERS: [&str; 2] = ["volery real_engines", "chaos gate"];

/// A program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its package and target, for people.
    pub(crate) name: String,
    executable: PathBuf,
    /// Where its package is: tests expect to run there.
    folder: PathBuf,
}

impl Program {
    /// Whether it has a whole cluster.
    pub(crate) fn has_cluster(&self) -> bool {
        CLUSTERS.contains(&self.name.as_str())
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        // What a test said of itself is worth more than sixty frames of a runtime.
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder).env("RUST_BACKTRACE", "0");
        command.arg("--show-output");
        command
    }
}

/// Builds all test programs of the packages that `packages` names in cargo's words, and lists them. Nothing if they
/// do not build: cargo has said why.
pub(crate) fn built(root: &Path, packages: &[&str]) -> Option<Vec<Program>> {
    let mut cargo = linting_cargo(root);
    cargo.args(["test", "--no-run", "--locked", "--message-format", "json-render-diagnostics"]).args(packages);
    let output = cargo.stderr(Stdio::inherit()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(program).collect())
}

/// A line of cargo's messages, if it tells of a program of tests.
fn program(line: &str) -> Option<Program> {
    let line: Value = serde_json::from_str(line).ok()?;
    let executable = line["executable"].as_str().filter(|_| line["profile"]["test"] == true)?;
    let folder = Path::new(line["manifest_path"].as_str()?).parent()?;
    let package = folder.file_name()?.to_string_lossy();
    let name = format!("{package} {}", line["target"]["name"].as_str()?);
    Some(Program { name, executable: executable.into(), folder: folder.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_tests_are_run() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/tree/crates/wire/Cargo.toml",
                    "target":{{"name":"codec"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let found = program(&line(true, r#""/target/codec-1""#)).expect("a program");
        assert_eq!((found.name.as_str(), found.folder.as_path()), ("wire codec", Path::new("/tree/crates/wire")));
        assert_eq!(program(&line(false, r#""/target/volery""#)), None, "a binary that tests use");
        assert_eq!(program(&line(true, "null")), None);
        assert_eq!(program("not what cargo says"), None);
    }
}
