//! Forty kills: a child process appends until it is killed with `kill -9` in the middle of a write, and
//! everything that it was told was durable must be there when the log is opened again.
//!
//! The child is this test program itself, asked for [`child`] by an environment variable. It prints a
//! line for each acknowledged append; a line that is cut off was not acknowledged to anybody.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use volery_embedded::log::{EmbeddedLog, Options};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{Log, NewRecord};
use volery_testkit::log::record;

const KILLS: u64 = 40;
const DIR: &str = "VOLERY_KILL_TEST_DIR";
const BASE: &str = "VOLERY_KILL_TEST_BASE";

struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "a shell's clock, in a test of the shell")]
    fn now(&self) -> Timestamp {
        Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
    }
}

fn open(dir: &Path) -> EmbeddedLog {
    let options = Options {
        segment_bytes: 200_000,
        cache_bytes: 10_000,
        ..Options::new(dir.to_owned(), Partitions::new(4).unwrap())
    };
    EmbeddedLog::open(&options, Arc::new(Wall)).unwrap()
}

/// Not a test of its own: what the parent kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(dir), Ok(base)) = (std::env::var(DIR), std::env::var(BASE)) else { return };
    let (log, base) = (open(Path::new(&dir)), base.parse::<u64>().unwrap());
    let tasks = (0..4u16).map(|lane| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let number = base + n * 4 + u64::from(lane);
                let answer = log.append(Partition(lane), batch(number)).await.unwrap();
                let line = format!("acked {lane} {} {number}\n", answer[0].offset);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn batch(number: u64) -> Vec<NewRecord> {
    (0..3).map(|n| record(number, 100 + n * 1_000)).collect()
}

fn start(dir: &Path, base: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(BASE, base.to_string()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What was acknowledged: where each batch begins, and its number.
type Acked = BTreeMap<(u16, u64), u64>;

#[tokio::test]
async fn forty_kills_in_mid_write_lose_nothing() {
    if std::env::var(DIR).is_ok() {
        return;
    }
    let dir: PathBuf = tempfile::tempdir().unwrap().keep();
    let mut acked = Acked::new();
    for kill in 0..KILLS {
        let before = acked.len();
        kill_after(start(&dir, kill * 1_000_000), 20 + kill % 7 * 30, &mut acked);
        assert!(acked.len() > before);
        check(&open(&dir), &acked).await;
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Reads acknowledgements, kills the child once there are `count`, and reads those that were on the way.
fn kill_after(mut child: Child, count: u64, acked: &mut Acked) {
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut seen = 0;
    for line in lines.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let mut words = line.rsplit("acked ").next().unwrap_or_default().split(' ').map(str::parse::<u64>);
        if let (true, Some(Ok(lane)), Some(Ok(offset)), Some(Ok(number))) =
            (line.contains("acked "), words.next(), words.next(), words.next())
        {
            assert_eq!(acked.insert((lane as u16, offset), number), None, "an offset was given out twice");
            seen += 1;
        }
        if seen == count {
            // A moment that depends on nothing the child does: somewhere in one of its writes.
            std::thread::sleep(Duration::from_micros(count * 13 % 997));
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= count, "the child ended by itself");
}

async fn check(log: &EmbeddedLog, acked: &Acked) {
    for lane in 0..4 {
        let found = read_all(log, Partition(lane)).await;
        for (&(_, offset), &number) in acked.range((lane, 0)..(lane + 1, 0)) {
            let start = offset as usize;
            assert_eq!(found.get(start..start + 3), Some(&batch(number)[..]), "at {offset} of {lane}");
        }
    }
}

async fn read_all(log: &EmbeddedLog, lane: Partition) -> Vec<NewRecord> {
    let end = log.extent(lane).await.unwrap().end;
    let mut all = Vec::new();
    while (all.len() as u64) < end {
        let next = all.len() as u64;
        for (stored, offset) in log.read(lane, next, 1 << 20).await.unwrap().records.into_iter().zip(next..) {
            assert_eq!(stored.offset, offset);
            all.push(stored.record);
        }
    }
    all
}
