//! What no compiler checks: headers, unfinished work, paths of somebody's machine, files that grew too long.

use std::fs;
use std::path::Path;

use crate::metadata::verdict;
use crate::step::Findings;

/// A file is read at one sitting; what is longer is two things.
const LINES_MOST: usize = 450;

/// Longer files, each with the reason why it is one thing.
const LONG: &[(&str, &str)] = &[(
    "examples/python-client/volery_client.py",
    "one file to copy: whoever writes a client reads it from top to bottom",
)];

/// Folders that hold nothing of ours.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "volery-data"];

/// Written in pieces, so that this file does not find itself.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
const MACHINE: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("C:", "\\")];

const SOURCES: &[&str] = &["rs", "proto", "sh", "ts", "py"];
const TEXTS: &[&str] = &["md", "toml", "yml", "yaml", "json", "html", "svg"];

pub(crate) fn run(root: &Path) -> Result<(), Findings> {
    let mut findings = Vec::new();
    visit(root, root, &mut findings);
    for (path, _) in LONG {
        let lines = fs::read_to_string(root.join(path)).map_or(0, |text| text.lines().count());
        if lines <= LINES_MOST {
            findings.push(format!("{path}: is not long any more: take it off the list in xtask/src/tidy.rs"));
        }
    }
    verdict(findings)
}

fn visit(root: &Path, folder: &Path, findings: &mut Findings) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !path.is_symlink() && !NOT_OURS.contains(&name.as_ref()) {
            visit(root, &path, findings);
        } else if let (Ok(text), Ok(relative)) = (read(&path), path.strip_prefix(root)) {
            findings.extend(look(&relative.to_string_lossy(), &text));
        }
    }
}

/// The text of a file of a kind that we look at.
fn read(path: &Path) -> std::io::Result<String> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let ours = SOURCES.contains(&extension.as_ref()) || TEXTS.contains(&extension.as_ref());
    if ours && path.is_file() { fs::read_to_string(path) } else { Err(std::io::ErrorKind::Unsupported.into()) }
}

/// Everything wrong with one file.
fn look(path: &str, text: &str) -> Findings {
    let source = SOURCES.iter().any(|extension| path.ends_with(&format!(".{extension}")));
    let mut findings = Vec::new();
    if path.ends_with(".rs") && !has_header(path, text) {
        findings
            .push(format!("{path}:1: begin with `//!`: what the file owns, what it may touch, which trap it avoids"));
    }
    if path.ends_with(".rs") {
        let tested = tested_documents(text);
        findings.extend(tested.map(|number| {
            format!("{path}:{number}: a test in a document builds everything anew: put it into a test, or say ```text")
        }));
    }
    let long = LONG.iter().any(|(known, _)| *known == path);
    let lines = text.lines().count();
    if source && lines > LINES_MOST && !long {
        findings.push(format!(
            "{path}: {lines} lines, at most {LINES_MOST}: split it, or list it with a reason in xtask/src/tidy.rs"
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let found = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if source && found(UNFINISHED) {
            findings.push(format!("{path}:{number}: unfinished: do it, or write an issue"));
        }
        if found(MACHINE) {
            findings.push(format!("{path}:{number}: a path of somebody's machine: use a relative one"));
        }
    }
    findings
}

/// The lines that open a block which `rustdoc` would compile: those that do not say what else they hold.
fn tested_documents(text: &str) -> impl Iterator<Item = usize> {
    let mut open = false;
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let line = line.trim_start();
        let document = line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).map(str::trim);
        let words = document.and_then(|text| text.strip_prefix("```"))?;
        open = !open;
        (open && !["text", "json"].contains(&words)).then_some(number)
    })
}

/// `tests.rs` is the other half of the module beside it, whose header speaks for both.
fn has_header(path: &str, text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    path.ends_with("/tests.rs") || first.is_some_and(|line| line.starts_with("//!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        let place = |finding: String| finding.split(": ").next().unwrap_or_default().to_owned();
        look(path, text).into_iter().map(place).collect()
    }

    #[test]
    fn a_good_file_has_nothing_to_say() {
        assert_eq!(places("a/src/b.rs", "//! Owns b.\n\nfn b() {}\n"), [""; 0]);
        assert_eq!(places("a/src/main.rs", "#![no_std]\n//! Owns all.\n"), [""; 0]);
        assert_eq!(places("a/src/b/tests.rs", "use super::*;\n"), [""; 0]);
    }

    #[test]
    fn headers_are_asked_of_sources_in_rust() {
        assert_eq!(places("a/src/b.rs", "use c;\n"), ["a/src/b.rs:1"]);
        assert_eq!(places("a/src/empty.rs", ""), ["a/src/empty.rs:1"]);
        assert_eq!(places("a/b.md", "text\n"), [""; 0]);
    }

    #[test]
    fn tests_in_documents_are_found() {
        for words in ["", "rust", "no_run"] {
            assert_eq!(places("b.rs", &format!("//! B.\n\n/// ```{words}\n/// b();\n/// ```\n")), ["b.rs:3"]);
        }
        assert_eq!(places("b.rs", "//! B.\n//! ```text\n//! b\n//! ```\n"), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_found_where_it_stands() {
        for word in UNFINISHED {
            assert_eq!(places("b.rs", &format!("//! B.\n\n    // {word} later\n")), ["b.rs:3"], "{word}");
        }
        assert_eq!(places("b.md", &format!("{}\n", UNFINISHED[0])), [""; 0]);
    }

    #[test]
    fn paths_of_machines_are_found_in_texts_too() {
        for path in MACHINE {
            assert_eq!(places("b.md", &format!("see {path}me/x\n")), ["b.md:1"], "{path}");
        }
        assert_eq!(places("b.md", "GET /v1/users/me\n"), [""; 0]);
    }

    #[test]
    fn long_sources_are_found_and_long_documents_are_not() {
        let text = |lines: usize| format!("//! B.\n{}", "x();\n".repeat(lines - 1));
        assert_eq!(places("b.rs", &text(LINES_MOST)), [""; 0]);
        assert_eq!(places("b.rs", &text(LINES_MOST + 1)), ["b.rs"]);
        assert_eq!(places("b.md", &text(LINES_MOST + 1)), [""; 0]);
    }
}
