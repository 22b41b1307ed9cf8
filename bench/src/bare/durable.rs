//! The bare arm of `durable3_over_bare`: what a message causes in Kafka and Cassandra, and nothing else.
//!
//! `bare-durable BROKERS TOPIC NODES KEYSPACE OPEN BYTES CHAT_ROWS [reads]`: keeps OPEN messages under way. Each is a
//! record of BYTES to one partition; once that is acknowledged, an echo to another and the writes of archive into the
//! tables of that keyspace: the message, its send key, two rows of indexes, CHAT_ROWS thousandths of a chat
//! row. With `reads` one consumer reads every record. A line `WARM_UP MEASURED`, in ms, asks for a window; the answer is
//! messages a second, and µs of this process's own processor a message.
//!
//! As fast as it can be: no order, no ids to look up, no one who decodes anything, all writes of a message at once.

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use futures::try_join;
use loadtest::clock;
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::Semaphore;
use volery_bench::stages::process_nanos;

const PARTITIONS: u64 = 16;
/// As long as ours waits for a fetch.
const FETCH_MS: &str = "50";
/// Statements under way at once: as many as archive has in so many partitions.
const AT_ONCE: usize = 16 * 64;
const PAIRS: u64 = 100;
const DAY_MS: u64 = 86_400_000;
/// Bytes of a cell: a message's (its text and what stands before it), a send key's, an index's.
const CELLS: [usize; 3] = [256 + 42, 16, 27];

/// A message, its send key, a row of an index, a chat row.
const STATEMENTS: [&str; 4] = [
    "UPDATE messages USING TIMESTAMP ? SET message = ? WHERE chat = ? AND window = ? AND id = ?",
    "UPDATE sends USING TIMESTAMP 1 SET first = ?, source = ? WHERE device = ? AND session = ? AND number = ?",
    "UPDATE inbox USING TIMESTAMP ? SET entry = ? WHERE recipient = ? AND part = ? AND day = ? AND place = ?",
    "UPDATE chats USING TIMESTAMP 1 SET newest = ?, incoming = ? WHERE user_id = ? AND chat = ?",
];

type Fault = Box<dyn Error + Send + Sync>;

/// Where all of it goes.
struct Engines {
    producer: FutureProducer,
    topic: String,
    record: Vec<u8>,
    session: Session,
    statements: Vec<PreparedStatement>,
    free: Semaphore,
    chat_rows: u64,
    next: AtomicU64,
    over: AtomicBool,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, nodes, keyspace, open, bytes, chat_rows, reads @ ..] = arguments.as_slice() else {
        return Err("bare-durable BROKERS TOPIC NODES KEYSPACE OPEN BYTES CHAT_ROWS [reads]".into());
    };
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    if reads.iter().any(|word| word == "reads") {
        tokio::spawn(read(consumer(&client, topic)?));
    }
    client.set("acks", "all").set("enable.idempotence", "true");
    let profile = ExecutionProfile::builder().consistency(Consistency::Quorum).build();
    let session = SessionBuilder::new().known_nodes(nodes.split(',')).use_keyspace(keyspace, false);
    let session = session.default_execution_profile_handle(profile.into_handle()).build().await?;
    let engines = Arc::new(Engines {
        producer: client.set("linger.ms", "1").create()?,
        topic: topic.clone(),
        record: vec![b'.'; bytes.parse()?],
        statements: try_join_all(STATEMENTS.map(|text| session.prepare(text))).await?,
        session,
        free: Semaphore::new(AT_ONCE),
        chat_rows: chat_rows.parse()?,
        // Beyond what an earlier program has written.
        next: AtomicU64::new(clock::wall().0 << 22),
        over: AtomicBool::new(false),
    });
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (warm_up, measured) = line.split_once(' ').ok_or("WARM_UP MEASURED")?;
        let (rate, cpu) = window(&engines, open.parse()?, warm_up.parse()?, measured.parse()?).await?;
        println!("{rate} {cpu}");
    }
    Ok(())
}

/// All partitions, from their ends on.
fn consumer(client: &ClientConfig, topic: &str) -> Result<StreamConsumer, Fault> {
    let mut config = client.clone();
    config.set("group.id", "bare-durable").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.set("fetch.wait.max.ms", FETCH_MS).create()?;
    let mut places = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        places.add_partition_offset(topic, partition, Offset::End)?;
    }
    consumer.assign(&places)?;
    Ok(consumer)
}

/// Errors of connections are passed over: librdkafka mends them.
async fn read(consumer: StreamConsumer) {
    loop {
        let _ = black_box(consumer.recv().await);
    }
}

/// Messages begun a second, as many as end, since as many are under way all the time; and µs of processor of each.
async fn window(engines: &Arc<Engines>, open: usize, warm_up: u64, measured: u64) -> Result<(f64, f64), Fault> {
    engines.over.store(false, Ordering::Relaxed);
    let slots: Vec<_> = (0..open).map(|_| tokio::spawn(Arc::clone(engines).fill())).collect();
    tokio::time::sleep(Duration::from_millis(warm_up)).await;
    let used = || process_nanos(std::process::id()).map_err(|failure| failure.0);
    let (before, begun, cpu) = (engines.next.load(Ordering::Relaxed), clock::nanos(), used()?);
    tokio::time::sleep(Duration::from_millis(measured)).await;
    let messages = (engines.next.load(Ordering::Relaxed) - before) as f64;
    let (rate, cpu) = (messages / clock::since(begun).as_secs_f64(), (used()? - cpu) as f64 / 1_000.0 / messages);
    engines.over.store(true, Ordering::Relaxed);
    try_join_all(slots).await?.into_iter().collect::<Result<(), Fault>>()?;
    Ok((rate, cpu))
}

impl Engines {
    /// One message after the other.
    async fn fill(self: Arc<Self>) -> Result<(), Fault> {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.produce(number).await?;
            try_join!(self.produce(number + 1), self.archive(number))?;
        }
        Ok(())
    }

    async fn produce(&self, number: u64) -> Result<(), Fault> {
        let key = number.to_be_bytes();
        let record = FutureRecord::to(&self.topic).key(&key).payload(&self.record);
        let sent = self.producer.send_result(record.partition((number % PARTITIONS) as i32));
        sent.map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
        Ok(())
    }

    async fn archive(&self, number: u64) -> Result<(), Fault> {
        let [message, sent, index, view] = [0, 1, 2, 3].map(|at| &self.statements[at]);
        let [message_bytes, first_bytes, entry_bytes] = CELLS;
        let (id, now, pair) = (number as i64, clock::wall().0, number % PAIRS);
        let (day, register) = (now / DAY_MS, number.to_be_bytes().to_vec());
        let chat = [&[1_u8][..], &pair.to_be_bytes(), &(pair + PAIRS).to_be_bytes()].concat();
        let of_message = ((now * 1_000) as i64, vec![b'.'; message_bytes], chat.clone(), (number >> 53) as i32, id);
        let of_sent = (vec![1_u8; first_bytes], register.clone(), pair as i64, 1_i64, id);
        let indexes = [pair, pair + PAIRS].map(|user| {
            let (stamp, recipient) = ((day * DAY_MS * 1_000) as i64, [&[1_u8][..], &user.to_be_bytes()].concat());
            self.write(index, (stamp, vec![1_u8; entry_bytes], recipient, (user % PARTITIONS) as i32, day as i32, id))
        });
        let chat_rows = (self.chat_rows + number % 1_000) / 1_000;
        let views = (0..chat_rows).map(|side| {
            let user = (pair + side * PAIRS) as i64;
            self.write(view, (register.clone(), register.clone(), user, chat.clone()))
        });
        let (first, second) = (self.write(message, of_message), self.write(sent, of_sent));
        try_join!(first, second, try_join_all(indexes), try_join_all(views))?;
        Ok(())
    }

    async fn write(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<(), Fault> {
        let _free = self.free.acquire().await?;
        self.session.execute_unpaged(statement, values).await?;
        Ok(())
    }
}
