//! Kills and a full disk, with a real process.
//!
//! The test starts its own binary again, as the process that is killed: `child_*` do nothing unless
//! their folder is named in the environment.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use volery_embedded::timeline::{EmbeddedTimeline, Options};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Entry, Message, Sent, Timeline, Write};

const FOLDER: &str = "VOLERY_TEST_TIMELINE_FOLDER";
const PARTITIONS: u16 = 4;
const AN_APPLY: u64 = 200;
const KILLS: usize = 20;
/// Applies before a kill, at least: of two threads, two partitions each.
const APPLIES: usize = 5;

fn options() -> Options {
    Options { memtable_bytes: 512 << 10, ..Options::default() }
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn user(raw: u64) -> UserId {
    UserId(id(raw))
}

/// All partitions write into views of the same user.
fn chat(offset: u64) -> ChatId {
    ChatId::direct(user(1), user(2 + offset % 7))
}

fn message_id(partition: Partition, offset: u64) -> Id {
    id((offset + 1) * u64::from(PARTITIONS) + u64::from(partition.0))
}

fn send_key(partition: Partition, offset: u64) -> SendKey {
    let device = DeviceId(id(u64::from(partition.0)));
    SendKey { device, session: SessionNumber(id(1)), number: offset as u32 }
}

/// What the record at an offset causes.
fn rows(partition: Partition, offset: u64) -> [Write; 4] {
    let (chat, id, key) = (chat(offset), message_id(partition, offset), send_key(partition, offset));
    let source = Source::new(1, offset);
    let body = Body::text(Bytes::from(vec![b'x'; 200]));
    let message = Message { id, sender: user(1), key, source, body, reply_to: None };
    [
        Write::Message { chat, message, resolved: false },
        Write::Sent { key, sent: Sent { id, source: Some(source), fingerprint: offset } },
        Write::Index { recipient: Recipient::User(user(1)), offset, entry: Entry::Message { chat, id } },
        Write::Newest { user: user(1), chat, id, incoming: Some(source) },
    ]
}

fn commit(partition: Partition, offset: u64) -> Commit {
    Commit { source: Source::new(1, offset), id: message_id(partition, offset), stamp: Timestamp(offset) }
}

/// Applies what follows the commit, as archive does; says so first, so that a kill meets it at work.
async fn apply_next(timeline: &EmbeddedTimeline, partition: Partition) {
    let from = next(timeline, partition).await;
    let writes = (from..from + AN_APPLY).flat_map(|offset| rows(partition, offset)).collect();
    println!("applying");
    timeline.apply(partition, writes, Some(commit(partition, from + AN_APPLY - 1))).await.unwrap();
}

async fn next(timeline: &EmbeddedTimeline, partition: Partition) -> u64 {
    timeline.committed(partition).await.unwrap().map_or(0, |commit| commit.source.offset() + 1)
}

/// Every row of everything below the commit is there.
async fn check(timeline: &EmbeddedTimeline, partition: Partition, end: u64) {
    let index = timeline.index(Recipient::User(user(1)), partition, 0, end, usize::MAX).await.unwrap();
    let expected = (0..end).map(|offset| (offset, chat(offset), message_id(partition, offset)));
    let expected = expected.map(|(offset, chat, id)| (offset, Entry::Message { chat, id })).collect::<Vec<_>>();
    assert!(index == expected, "the index of {partition} is not complete below {end}");
    for offset in 0..end {
        let id = message_id(partition, offset);
        assert!(
            timeline.message(chat(offset), id).await.unwrap().into_row().is_some(),
            "message {offset} of {partition}"
        );
        let sent = timeline.sent(send_key(partition, offset)).await.unwrap();
        assert_eq!(sent.map(|sent| sent.id), Some(id), "send {offset} of {partition}");
    }
    for offset in end.saturating_sub(7)..end {
        let row = timeline.chat(user(1), chat(offset)).await.unwrap();
        assert!(row.newest >= message_id(partition, offset), "view of {offset} of {partition}");
    }
}

#[test]
fn child_that_applies_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let timeline = EmbeddedTimeline::open(Path::new(&folder), options()).unwrap();
    let archive = |half: u16| {
        let timeline = timeline.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for turn in 0u16.. {
                let partition = Partition(half * 2 + turn % 2);
                runtime.block_on(apply_next(&timeline, partition));
            }
        }
    };
    let other = std::thread::spawn(archive(1));
    archive(0)();
    other.join().unwrap();
}

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(FOLDER, folder).stdout(Stdio::piped());
    command
}

#[tokio::test]
async fn whatever_is_killed_no_commit_is_there_without_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for kill in 0..KILLS {
        let mut running = child("child_that_applies_until_it_is_killed", folder.path()).spawn().unwrap();
        // The pipe stays open until the child is dead, so that nothing but the kill stops it.
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let said = lines.by_ref().map(Result::unwrap).filter(|line| line.contains("applying"));
        assert_eq!(said.take(APPLIES + kill % 4).count(), APPLIES + kill % 4, "the child came far enough");
        running.kill().unwrap();
        running.wait().unwrap();
        let timeline = EmbeddedTimeline::open(folder.path(), options()).unwrap();
        let mut all = 0;
        for partition in (0..PARTITIONS).map(Partition) {
            let end = next(&timeline, partition).await;
            check(&timeline, partition, end).await;
            all += end;
        }
        assert!(all > before, "kill {kill}: something was kept");
        before = all;
    }
}

#[test]
fn child_on_a_disk_that_is_full_for_a_while() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // One memtable for all, so that it is the journal that meets the limit.
    let options = Options { memtable_bytes: 256 << 20, ..Options::default() };
    let timeline = EmbeddedTimeline::open(Path::new(&folder), options).unwrap();
    limit_files(65 << 20);
    let big = |offset: u64| {
        // Bytes that do not compress, or the journal would not grow.
        let mut state = offset | 1;
        let bytes: Vec<u8> = (0..4 << 20).map(|_| xorshift(&mut state)).collect();
        Write::SetAside { offset, reason: String::new(), bytes: bytes.into() }
    };
    let apply =
        |offset| runtime.block_on(timeline.apply(Partition(0), vec![big(offset)], Some(commit(Partition(0), offset))));
    let full = (0..40).find(|offset| apply(*offset).is_err()).expect("the disk was never full");
    assert!(apply(full).is_err(), "still full");
    let committed = runtime.block_on(next(&timeline, Partition(0)));
    assert_eq!(committed, full, "what was applied is readable");
    limit_files(libc::RLIM_INFINITY);
    apply(full).expect("there is room again");
    assert_eq!(timeline.set_aside(Partition(0), 100).unwrap().len() as u64, full + 1);
    println!("went on");
}

fn xorshift(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as u8
}

/// Writes past this size fail, as on a full disk.
fn limit_files(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: both calls only change this process's own settings, from valid arguments.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}

#[test]
fn a_full_disk_refuses_applies_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("child_on_a_disk_that_is_full_for_a_while", folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("went on"), "{said}");
}
