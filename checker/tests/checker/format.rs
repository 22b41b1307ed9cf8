//! The file: what is written is read again, and the lines of docs/checker.md are read.

use volery_checker::history::{History, Step, Unreadable, VERSION};

use crate::scene::scene;

const DOCUMENT: &str = include_str!("../../../docs/checker.md");

#[test]
fn a_history_is_written_and_read_again() {
    let history = scene();
    let mut file = Vec::new();
    history.write(&mut file).expect("memory");
    assert_eq!(History::read(file.as_slice()).expect("a history"), history);
}

#[test]
fn what_is_no_history_is_refused_by_line() {
    let header = format!("{{\"volery_history\":{VERSION},\"of\":\"a test\"}}\n");
    let newer = format!("{{\"volery_history\":{},\"of\":\"a test\"}}\n", VERSION + 1);
    let read = |text: String| History::read(text.as_bytes());
    assert!(matches!(read(header.clone()), Ok(history) if history.steps.is_empty()));
    assert!(matches!(read(newer), Err(Unreadable::Version)));
    assert!(matches!(read(String::new()), Err(Unreadable::Version)));
    assert!(matches!(read(header + "{}\n"), Err(Unreadable::Line { line: 2, .. })));
}

/// The lines of the fenced blocks that are named `history`.
fn examples() -> Vec<&'static str> {
    let blocks = DOCUMENT.split("```history\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines()).collect()
}

#[test]
fn the_lines_of_the_document_are_read_and_written_alike() {
    let lines = examples();
    for line in &lines[1..] {
        let step: Step = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!(serde_json::to_string(&step).expect("json"), *line);
    }
    let whole = History::read(lines.join("\n").as_bytes()).expect("a history");
    assert_eq!(whole.steps.len(), lines.len() - 1);
}

#[test]
fn the_document_shows_every_kind_of_step() {
    let kind = |what: &serde_json::Value| match what {
        serde_json::Value::Object(map) => map.keys().next().cloned().unwrap_or_default(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let steps =
        examples().into_iter().skip(1).map(|line| serde_json::from_str::<serde_json::Value>(line).expect("json"));
    let shown: std::collections::BTreeSet<String> = steps.map(|step| kind(&step["what"])).collect();
    let all = [
        "device",
        "started",
        "stopped",
        "restored",
        "fault",
        "hello",
        "welcome",
        "synced",
        "gap",
        "reset",
        "pages_read",
        "closed",
        "wanted",
        "sent",
        "acked",
        "refused",
        "ended",
        "showed",
        "changed",
        "marked",
        "said_mark",
        "timeline",
        "lines",
        "view",
    ];
    assert_eq!(shown, all.into_iter().map(str::to_owned).collect());
}
