//! What the timeline costs: CPU and disk a message, and a page of 50, for the embedded engine and for
//! bare puts of rows of the same sizes in fjall and redb.
//!
//! `cargo run --release -p volery-embedded --example timeline_cost [messages]`
//!
//! A direct message is six writes: its row, its send key, an index row and a chat row for each side;
//! every 16 messages bring one read mark with the other side's copy. CPU is that of the whole process,
//! flushes and compactions included, less what making the messages took.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::{Durability, ReadableDatabase, TableDefinition};
use volery_embedded::timeline::{EmbeddedTimeline, Options};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Body, MarkKind, Seen, SendKey};
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{Commit, Entry, Message, Sent, Span, Timeline, Write};

const USERS: u64 = 1_000;
const CHATS_EACH: u64 = 4;
const BODY_BYTES: usize = 256;
const PAGES: u32 = 5_000;
/// Messages between two syncs of redb, whose unsynced commits keep their space until then.
const REDB_SYNC_EVERY: u64 = 8_192;
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("timeline");

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Put = (Vec<u8>, Vec<u8>);

fn main() -> Outcome {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(300_000), |text| text.parse())?;
    println!("engine     apply  messages |   CPU us  caller's  wall us tables+journals | page of 50");
    for an_apply in [1, 16, 256] {
        let messages = if an_apply == 1 { messages / 4 } else { messages };
        embedded(an_apply, messages)?;
        bare_fjall(an_apply, messages)?;
        bare_redb(an_apply, messages)?;
    }
    Ok(())
}

/// CPU of the process (or of this thread alone) since its start.
fn cpu(whose: libc::c_int) -> Duration {
    // SAFETY: an all-zero rusage is a valid value, and getrusage only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .into_iter()
        .map(|time| Duration::new(time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs() as u32 * 1_000))
        .sum()
}

#[expect(clippy::disallowed_methods, reason = "measuring is this program's purpose")]
fn wall() -> std::time::Instant {
    std::time::Instant::now()
}

/// Messages in their order, and what making them cost.
struct Traffic {
    rng: StdRng,
    next: u64,
    made: Duration,
}

impl Traffic {
    fn new() -> Self {
        Self { rng: StdRng::seed_from_u64(1), next: 0, made: Duration::ZERO }
    }

    fn make<T>(&mut self, count: u64, make: impl Fn(&mut StdRng, u64) -> Vec<T>) -> Vec<T> {
        let before = cpu(libc::RUSAGE_THREAD);
        let first = self.next;
        self.next += count;
        let all = (first..self.next).flat_map(|number| make(&mut self.rng, number)).collect();
        self.made += cpu(libc::RUSAGE_THREAD) - before;
        all
    }
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap_or(Id::MAX)
}

fn user(raw: u64) -> UserId {
    UserId(id(raw << 22))
}

fn pair(rng: &mut StdRng) -> (u64, u64) {
    let a = rng.random_range(0..USERS);
    (a, (a + 1 + rng.random_range(0..CHATS_EACH)) % USERS)
}

/// Text as people write it compresses about as well as letters drawn from sixteen.
fn body(rng: &mut StdRng) -> Vec<u8> {
    (0..BODY_BYTES).map(|_| b'a' + rng.random_range(0..16u8)).collect()
}

fn message_id(number: u64) -> Id {
    id(number << 12)
}

fn writes(rng: &mut StdRng, number: u64) -> Vec<Write> {
    let (a, b) = pair(rng);
    let (sender, recipient, id, source) = (user(a), user(b), message_id(number + 1), Source::new(1, number * 2));
    let chat = ChatId::direct(sender, recipient);
    let key = SendKey { device: DeviceId(sender.0), session: SessionNumber(sender.0), number: number as u32 };
    let body = Body::text(Bytes::from(body(rng)));
    let entry = |of: UserId, offset| Write::Index {
        recipient: Recipient::User(of),
        offset,
        entry: Entry::Message { chat, id },
    };
    let mut writes = vec![
        Write::Message { chat, message: Message { id, sender, key, source, body, reply_to: None }, resolved: false },
        Write::Sent { key, sent: Sent { id, source: Some(source), fingerprint: number } },
        entry(recipient, number * 2),
        entry(sender, number * 2 + 1),
        Write::Newest { user: recipient, chat, id, incoming: Some(source) },
        Write::Newest { user: sender, chat, id, incoming: None },
    ];
    if number.is_multiple_of(16) {
        let seen = Seen { source, id };
        writes.push(Write::Mark { user: recipient, chat, kind: MarkKind::Read, seen });
        writes.push(Write::PeerMark { user: sender, chat, kind: MarkKind::Read, seen });
    }
    writes
}

/// Rows of the sizes that the engine writes for a message.
fn puts(rng: &mut StdRng, number: u64) -> Vec<Put> {
    let (a, b) = pair(rng);
    let key = |table: u8, parts: &[u64], length: usize| {
        let mut key = vec![table];
        key.extend(parts.iter().flat_map(|part| part.to_be_bytes()));
        key.resize(length, 0);
        key
    };
    let row = [vec![1; 42], body(rng)].concat();
    vec![
        (key(1, &[a.min(b), a.max(b), !number], 35), row),
        (key(2, &[a, a, number], 37), vec![1; 9]),
        (key(3, &[b, number * 2], 20), vec![1; 27]),
        (key(3, &[a, number * 2 + 1], 20), vec![1; 27]),
        (key(4, &[b, a.min(b), a.max(b)], 26), vec![1; 34]),
        (key(4, &[a, a.min(b), a.max(b)], 26), vec![1; 34]),
    ]
}

/// The last put of a key counts; a batch of fjall may hold it only once.
fn merged(mut puts: Vec<Put>) -> Vec<Put> {
    puts.sort();
    puts.dedup_by(|later, earlier| later.0 == earlier.0);
    puts
}

fn measured(
    name: &str,
    an_apply: u64,
    messages: u64,
    folder: &Path,
    flood: impl FnOnce(&mut Traffic) -> Outcome,
) -> Outcome {
    let mut traffic = Traffic::new();
    let (before, caller, start) = (cpu(libc::RUSAGE_SELF), cpu(libc::RUSAGE_THREAD), wall());
    flood(&mut traffic)?;
    let caller = (cpu(libc::RUSAGE_THREAD) - caller).saturating_sub(traffic.made).as_secs_f64() * 1e6 / messages as f64;
    let spent = (cpu(libc::RUSAGE_SELF) - before).saturating_sub(traffic.made).as_secs_f64() * 1e6 / messages as f64;
    let took = start.elapsed().saturating_sub(traffic.made).as_secs_f64() * 1e6 / messages as f64;
    let (bytes, rest) = disk(folder)?;
    let per = |bytes: u64| bytes / messages;
    print!(
        "{name:<9} {an_apply:>6} {messages:>9} | {spent:>8.2} {caller:>9.2} {took:>8.2} {:>4}+{:<4} |",
        per(bytes),
        per(rest)
    );
    Ok(())
}

/// Bytes allocated to tables, and to journals.
fn disk(folder: &Path) -> Outcome<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        if metadata.is_dir() {
            let inner = disk(&path)?;
            sum = (sum.0 + inner.0, sum.1 + inner.1);
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            sum.1 += metadata.blocks() * 512;
        } else {
            sum.0 += metadata.blocks() * 512;
        }
    }
    Ok(sum)
}

/// CPU of this thread per page, over pages of random chats.
fn pages(mut read: impl FnMut(u64, u64) -> Outcome<usize>) -> Outcome<String> {
    let mut rng = StdRng::seed_from_u64(2);
    let (mut rows, before) = (0, cpu(libc::RUSAGE_THREAD));
    for _ in 0..PAGES {
        let (a, b) = pair(&mut rng);
        rows += read(a, b)?;
    }
    let spent = (cpu(libc::RUSAGE_THREAD) - before).as_secs_f64() * 1e6;
    Ok(format!(" {:.1} us ({} rows)", spent / f64::from(PAGES), rows / PAGES as usize))
}

fn embedded(an_apply: u64, messages: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let timeline = EmbeddedTimeline::open(folder.path(), Options::default())?;
    measured("embedded", an_apply, messages, folder.path(), |traffic| {
        while traffic.next < messages {
            let writes = traffic.make(an_apply, writes);
            let last = traffic.next - 1;
            let commit = Commit { source: Source::new(1, last * 2), id: message_id(last), stamp: Timestamp(last) };
            runtime.block_on(timeline.apply(Partition(0), writes, Some(commit)))?;
        }
        Ok(())
    })?;
    let page = |timeline: &EmbeddedTimeline| {
        pages(|a, b| {
            let chat = ChatId::direct(user(a), user(b));
            Ok(runtime.block_on(timeline.messages(chat, Span::Before(Id::MAX), 50))?.len())
        })
    };
    page(&timeline)?;
    print!(" warm{}", page(&timeline)?);
    drop(timeline);
    let timeline = EmbeddedTimeline::open(folder.path(), Options::default())?;
    println!(", reopened{}", page(&timeline)?);
    Ok(())
}

fn page_prefix(a: u64, b: u64) -> Vec<u8> {
    [&[1], &a.min(b).to_be_bytes()[..], &a.max(b).to_be_bytes()[..]].concat()
}

fn bare_fjall(an_apply: u64, messages: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let options = Options::default();
    let builder = Database::builder(folder.path()).cache_size(options.cache_bytes).worker_threads(2);
    let db = builder.max_journaling_size(options.journal_bytes).open()?;
    let rows = db.keyspace("rows", || KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes))?;
    measured("fjall", an_apply, messages, folder.path(), |traffic| {
        while traffic.next < messages {
            let mut batch = db.batch();
            for (key, value) in merged(traffic.make(an_apply, puts)) {
                batch.insert(&rows, key, value);
            }
            batch.commit()?;
        }
        Ok(())
    })?;
    let page = || {
        pages(|a, b| {
            let page =
                rows.prefix(page_prefix(a, b)).take(50).map(|row| row.into_inner().map(|(_, value)| value.len()));
            Ok(page.collect::<Result<Vec<_>, _>>()?.len())
        })
    };
    page()?;
    println!(" warm{}", page()?);
    Ok(())
}

fn bare_redb(an_apply: u64, messages: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = Options::default().cache_bytes as usize;
    let db = redb::Builder::new().set_cache_size(cache).create(folder.path().join("rows.redb"))?;
    measured("redb", an_apply, messages, folder.path(), |traffic| {
        while traffic.next < messages {
            let all = merged(traffic.make(an_apply, puts));
            let mut transaction = db.begin_write()?;
            if !traffic.next.is_multiple_of(REDB_SYNC_EVERY) {
                transaction.set_durability(Durability::None)?;
            }
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in &all {
                table.insert(key.as_slice(), value.as_slice())?;
            }
            drop(table);
            transaction.commit()?;
        }
        Ok(())
    })?;
    let page = || {
        pages(|a, b| {
            let (from, to) = (page_prefix(a, b), [page_prefix(a, b), vec![u8::MAX; 19]].concat());
            let table = db.begin_read()?.open_table(TABLE)?;
            let page = table.range(from.as_slice()..to.as_slice())?.take(50);
            let page = page.map(|row| row.map(|(_, value)| value.value().to_vec()));
            Ok(page.collect::<Result<Vec<_>, _>>()?.len())
        })
    };
    page()?;
    println!(" warm{}", page()?);
    Ok(())
}
