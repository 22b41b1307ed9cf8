//! The references under `docs/` that are made from code: `make generate` writes them, a test here fails if one is stale.
//!
//! To add one: a function from nothing to text, and a line in [`FILES`].
//!
//! Trap avoided: this links a role, for its OpenAPI. In `xtask` that would be compiled before the gate's first check.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use volery_kernel::code::{Close, Code, Reconnect};
use volery_kernel::limits;
use volery_wire::op::{ClientOp, ServerOp};

/// What makes a file's text.
type Make = fn() -> String;

/// Each file and what makes it.
const FILES: &[(&str, Make)] = &[
    ("docs/reference/configuration.md", volery_node::config::reference),
    ("docs/reference/metrics.md", volery_node::metrics::reference),
    ("docs/reference/openapi.json", volery_gateway::openapi),
    ("docs/reference/errors.md", errors),
    ("docs/reference/operations.md", operations),
    ("docs/reference/limits.md", limits),
];

fn main() -> io::Result<()> {
    write(&root())
}

/// The folder of the workspace: this crate's parent.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

fn write(root: &Path) -> io::Result<()> {
    for (path, make) in FILES {
        let target = root.join(path);
        fs::create_dir_all(target.parent().unwrap_or(root))?;
        fs::write(target, content(path, *make))?;
    }
    Ok(())
}

/// Pages say that they are made; other formats cannot.
fn content(path: &str, make: Make) -> String {
    let text = make();
    if path.ends_with(".md") {
        return format!("<!-- Made by `make generate`; do not edit. -->\n\n{text}");
    }
    text
}

fn errors() -> String {
    let mut page = "# Errors and closes\n\n\
        ## Errors\n\n\
        A code stands in an `error` frame as `code`, and in `application/problem+json` as `code`, with this HTTP\n\
        status. Retryable: the same request may succeed later. Codes are never renamed or reused.\n\n\
        | code | HTTP | retryable | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let retryable = if code.retryable() { "yes" } else { "no" };
        let _ = writeln!(page, "| `{code}` | {} | {retryable} | {} |", code.http(), code.meaning());
    }
    page.push_str(
        "\n## Closes\n\n\
         The number and the reason of a WebSocket close frame. 1000 to 1015 are RFC 6455's, 4000 to 4999 are\n\
         Volery's. Numbers are never changed or reused.\n\n\
         | number | reason | reconnect | meaning |\n|---|---|---|---|\n",
    );
    for close in Close::ALL {
        let then = reconnect(close.reconnect());
        let _ = writeln!(page, "| {} | `{}` | {then} | {} |", close.number(), close.text(), close.meaning());
    }
    page
}

fn operations() -> String {
    const HEAD: &str = "| MessagePack | JSON | meaning |\n|---|---|---|\n";
    let mut page = format!(
        "# Operations\n\n\
        What stands first in a frame of the live protocol: the number in MessagePack, the name in JSON. Neither\n\
        is ever changed or reused. The fields of their bodies are described in [the protocol](../protocol.md).\n\n\
        ## From client to node\n\n{HEAD}"
    );
    for op in ClientOp::ALL {
        let _ = writeln!(page, "| {} | `{}` | {} |", op.number(), op.name(), op.meaning());
    }
    let _ = write!(page, "\n## From node to client\n\n{HEAD}");
    for op in ServerOp::ALL {
        let _ = writeln!(page, "| {} | `{}` | {} |", op.number(), op.name(), op.meaning());
    }
    page
}

fn reconnect(reconnect: Reconnect) -> &'static str {
    match reconnect {
        Reconnect::Now => "at once, with back-off from its first step",
        Reconnect::Later => "with back-off",
        Reconnect::WithNewToken => "with a new access token",
        Reconnect::No => "not by itself",
    }
}

fn limits() -> String {
    let mut page = "# Limits\n\n\
        Every number that bounds something, as `volery_kernel::limits` holds it. A few have a configuration key\n\
        of their own; then this is its default.\n\n\
        | limit | value | unit | why |\n|---|---|---|---|\n"
        .to_owned();
    for (name, value, unit, reason) in limits::all() {
        let _ = writeln!(page, "| `{name}` | {} | {unit} | {reason} |", grouped(value));
    }
    page
}

/// 65536 as `65,536`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_every_close_is_in_the_reference() {
        let page = errors();
        assert!(Code::ALL.iter().all(|code| page.contains(&format!("| `{code}` | {} |", code.http()))));
        assert!(Close::ALL.iter().all(|close| page.contains(&format!("| {} | `{}` |", close.number(), close.text()))));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 604_800_000].map(grouped), ["0", "999", "1,000", "604,800,000"]);
    }

    #[test]
    fn tables_are_not_broken_by_their_cells() {
        for (path, make) in FILES.iter().filter(|(path, _)| path.ends_with(".md")) {
            let mut columns = 0;
            for line in make().lines() {
                let bars = line.matches('|').count();
                assert!(columns == 0 || bars == 0 || bars == columns, "{path}: {line}");
                columns = bars;
            }
        }
    }

    /// Those that are missing, or not what would be written.
    fn stale(root: &Path) -> Vec<&'static str> {
        let is_stale =
            |(path, make): &&(&str, Make)| fs::read_to_string(root.join(path)).ok() != Some(content(path, *make));
        FILES.iter().filter(is_stale).map(|(path, _)| *path).collect()
    }

    #[test]
    fn references_are_up_to_date() {
        assert_eq!(stale(&root()), [""; 0], "stale: run `make generate`, and commit what it wrote");
    }

    #[test]
    fn stale_and_missing_references_are_found_and_written() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(stale(folder.path()).len(), FILES.len());
        write(folder.path()).expect("written");
        assert_eq!(stale(folder.path()), [""; 0]);
        let (first, _) = FILES[0];
        fs::write(folder.path().join(first), "edited by hand").expect("it is ours");
        assert_eq!(stale(folder.path()), [first]);
    }
}
