//! The embedded timeline against the conformance suite, and what only a store in a folder can meet:
//! being opened twice, being closed, and journals that a power cut has torn.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use volery_embedded::timeline::{Aside, EmbeddedTimeline, OpenError, Options};
use volery_kernel::id::Id;
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Timeline, Unavailable, Write};
use volery_testkit::timeline::{Subject, conformance};

fn small() -> Options {
    Options { hot_bytes: 4_096, memtable_bytes: 64 << 10, ..Options::default() }
}

struct InFolder {
    folder: TempDir,
    timeline: Option<EmbeddedTimeline>,
}

impl InFolder {
    fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let timeline = EmbeddedTimeline::open(folder.path(), small()).unwrap();
        Self { folder, timeline: Some(timeline) }
    }
}

impl Subject for InFolder {
    fn timeline(&self) -> Arc<dyn Timeline> {
        Arc::new(self.timeline.clone().unwrap())
    }

    fn reopen(&mut self) -> Result<(), Unavailable> {
        self.timeline = None;
        self.timeline = Some(EmbeddedTimeline::open(self.folder.path(), small()).unwrap());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    conformance(InFolder::fresh, 12).await.unwrap();
}

const P: Partition = Partition(1);

fn aside(offset: u64) -> Write {
    Write::SetAside { offset, reason: format!("reason {offset}"), bytes: Bytes::from(vec![offset as u8; 2_000]) }
}

fn commit(offset: u64) -> Commit {
    Commit { source: Source::new(1, offset), id: Id::new(offset).unwrap(), stamp: Timestamp(offset) }
}

#[tokio::test]
async fn records_set_aside_are_kept_with_reason_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = EmbeddedTimeline::open(folder.path(), small()).unwrap();
    timeline.apply(P, vec![aside(9), aside(4)], Some(commit(9))).await.unwrap();
    let of =
        |offset: u64| Aside { offset, reason: format!("reason {offset}"), bytes: vec![offset as u8; 2_000].into() };
    assert_eq!(timeline.set_aside(P, 10), Ok(vec![of(4), of(9)]));
    assert_eq!(timeline.set_aside(P, 1), Ok(vec![of(4)]));
    assert_eq!(timeline.set_aside(Partition(2), 10), Ok(Vec::new()));
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let first = EmbeddedTimeline::open(folder.path(), small()).unwrap();
    first.apply(P, Vec::new(), Some(commit(1))).await.unwrap();
    assert!(matches!(EmbeddedTimeline::open(folder.path(), small()), Err(OpenError::Locked)));
    first.close().unwrap();
    assert!(first.committed(P).await.is_err());
    assert!(first.apply(P, Vec::new(), Some(commit(2))).await.is_err());
    let second = EmbeddedTimeline::open(folder.path(), small()).unwrap();
    assert_eq!(second.committed(P).await, Ok(Some(commit(1))));
}

/// Ten applies of ten records each, closed in good order.
async fn written(folder: &Path) {
    let timeline = EmbeddedTimeline::open(folder, Options::default()).unwrap();
    for last in (9..100).step_by(10) {
        timeline.apply(P, (last - 9..=last).map(aside).collect(), Some(commit(last))).await.unwrap();
    }
    timeline.close().unwrap();
}

fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect()
}

#[tokio::test]
async fn a_torn_journal_costs_applies_from_its_end_and_never_half_of_one() {
    let (mut shorter, mut set_aside) = (0, 0);
    for tenth in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path()).await;
        let file = fs::File::options().write(true).open(&files(folder.path(), "jnl")[0]).unwrap();
        // About 200 KB were written: a sector that did not reach the disk, anywhere in it.
        file.write_all_at(&[0; 512], tenth * 20_000 + 2_560).unwrap();
        let timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
        let committed = timeline.committed(P).await.unwrap();
        let kept = committed.map_or(0, |commit| commit.source.offset() + 1);
        let rows = timeline.set_aside(P, 1_000).unwrap();
        assert_eq!(rows.into_iter().map(|row| row.offset).collect::<Vec<_>>(), (0..kept).collect::<Vec<_>>());
        shorter += u32::from(kept < 100);
        set_aside += files(folder.path(), "jnl-damaged").len();
        timeline.apply(P, (kept..100).map(aside).collect(), Some(commit(99))).await.unwrap();
        drop(timeline);
        let timeline = EmbeddedTimeline::open(folder.path(), Options::default()).unwrap();
        assert_eq!(timeline.set_aside(P, 1_000).map(|rows| rows.len()), Ok(100), "what was replayed stays");
    }
    assert_eq!(shorter, 10, "each sector mattered");
    assert!((1..10).contains(&set_aside), "tears at a seam and tears inside of a row were met: {set_aside} of these");
}
