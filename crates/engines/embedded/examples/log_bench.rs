//! What a durable record costs: our log beside fjall and redb, the same records, the same disk.
//!
//! `cargo run --release -p volery-embedded --example log_bench [FOLDER [GROUPS]]`
//!
//! CPU is that of the whole process, user and system, with making the records and our log's thread
//! and answers; bytes are those that the kernel sent to the disk; each group is synced.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use redb::TableDefinition;
use volery_embedded::log::{EmbeddedLog, Options};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::log::{Log, NewRecord};

const PARTITIONS: u16 = 16;
const VALUE_BYTES: usize = 300;
const TABLE: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("log");

type Outcome = Result<(), Box<dyn Error>>;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }
}

fn main() -> Outcome {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    println!("engine                group  records | CPU us/record  bytes/record  wall us/record");
    let groups: u64 = std::env::args().nth(2).map_or(Ok(4_000), |text| text.parse())?;
    for group in [1, 64, 1_024] {
        let records = groups.min(1_000_000 / group) * group;
        let run = |name: &str, work: &mut dyn FnMut(&Path) -> Outcome| measure(name, &folder, group, records, work);
        run("ours, one append", &mut |dir| runtime.block_on(ours(dir, group, records)))?;
        run("ours, appends of one", &mut |dir| runtime.block_on(ours_apart(dir, group, records)))?;
        run("fjall", &mut |dir| in_fjall(dir, group, records))?;
        run("redb", &mut |dir| in_redb(dir, group, records))?;
    }
    Ok(())
}

fn measure(name: &str, folder: &str, group: u64, records: u64, work: &mut dyn FnMut(&Path) -> Outcome) -> Outcome {
    let dir = tempfile::tempdir_in(folder)?;
    let before = (cpu(), written()?, wall());
    work(dir.path())?;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
    let (cpu, bytes, wall) = (each(cpu() - before.0), (written()? - before.1) / records, each(before.2.elapsed()));
    println!("{name:<21} {group:>5} {records:>8} | {cpu:>13.2} {bytes:>13} {wall:>15.1}");
    Ok(())
}

/// CPU of the process since its start.
fn cpu() -> Duration {
    // SAFETY: an all-zero rusage is a valid value, and getrusage only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let part =
        |time: libc::timeval| Duration::new(time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs() as u32 * 1_000);
    part(usage.ru_utime) + part(usage.ru_stime)
}

/// Bytes that this process had the kernel send to disks.
fn written() -> Result<u64, Box<dyn Error>> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes in /proc/self/io")?.parse()?)
}

#[expect(clippy::disallowed_methods, reason = "measuring is this program's purpose")]
fn wall() -> Instant {
    Instant::now()
}

fn value(n: u64) -> Vec<u8> {
    let mut value = n.to_le_bytes().to_vec();
    value.resize(VALUE_BYTES, n as u8);
    value
}

fn record(n: u64) -> NewRecord {
    NewRecord { key: [n as u8; 9], headers: Vec::new(), value: Bytes::from(value(n)) }
}

fn partition(n: u64) -> u16 {
    (n % u64::from(PARTITIONS)) as u16
}

fn open(dir: &Path) -> Result<EmbeddedLog, Box<dyn Error>> {
    let partitions = Partitions::new(PARTITIONS).ok_or("no partitions")?;
    Ok(EmbeddedLog::open(&Options::new(dir.to_owned(), partitions), Arc::new(Still))?)
}

/// Each group is one append to one partition.
async fn ours(dir: &Path, group: u64, records: u64) -> Outcome {
    let log = open(dir)?;
    for n in 0..records / group {
        log.append(Partition(partition(n)), (0..group).map(|of| record(n * group + of)).collect()).await?;
    }
    Ok(())
}

/// As many callers as a group has records, each appending one at a time.
async fn ours_apart(dir: &Path, group: u64, records: u64) -> Outcome {
    let log = open(dir)?;
    let callers = (0..group).map(|caller| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..records / group {
                log.append(Partition(partition(caller)), vec![record(n)]).await?;
            }
            Ok::<_, volery_ports::log::AppendError>(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    let figures = log.stats();
    println!("{:>27} records a sync", figures.records / figures.syncs.max(1));
    Ok(())
}

fn in_fjall(dir: &Path, group: u64, records: u64) -> Outcome {
    let db = Database::builder(dir).open()?;
    let log = db.keyspace("log", KeyspaceCreateOptions::default)?;
    for n in 0..records / group {
        let mut batch = db.batch().durability(Some(PersistMode::SyncData));
        for n in n * group..(n + 1) * group {
            let mut key = [0; 10];
            key[..2].copy_from_slice(&partition(n).to_be_bytes());
            key[2..].copy_from_slice(&n.to_be_bytes());
            batch.insert(&log, key, value(n));
        }
        batch.commit()?;
    }
    Ok(())
}

fn in_redb(dir: &Path, group: u64, records: u64) -> Outcome {
    let db = redb::Database::create(dir.join("log.redb"))?;
    for n in 0..records / group {
        let write = db.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for n in n * group..(n + 1) * group {
                table.insert((partition(n), n), value(n).as_slice())?;
            }
        }
        write.commit()?;
    }
    Ok(())
}
