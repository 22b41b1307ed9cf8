//! One idempotent producer, and who waits for it: what comes for a partition while its last request is under way waits
//! here and travels with the next, all of it together.
//!
//! The trap: a producer of librdkafka that has a message and may not send it yet, because as many requests are under
//! way as may be, asks its socket without end until one is answered, for a whole core. So it is given nothing before
//! it can send it: one request a partition, and no more partitions than requests that may be under way
//! (`options::PARTITIONS_EACH`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use tokio::sync::oneshot;
use volery_kernel::position::Offset;
use volery_ports::log::{AppendError, Appended, NewRecord};

use crate::offsets::blocking;
use crate::options::{DEADLINE, Options, warm};
use crate::record;

/// The thread that hears what became of records looks this often whether the log is still open.
const LOOKS_EVERY: Duration = Duration::from_millis(200);

pub(crate) struct Producer {
    client: BaseProducer<Heard>,
    topic: String,
    lanes: Vec<Lane>,
}

/// One partition's records on their way.
struct Lane {
    partition: i32,
    traffic: Mutex<Traffic>,
    /// One past the last record that was appended here.
    end: AtomicU64,
}

#[derive(Default)]
struct Traffic {
    under_way: usize,
    waiting: Vec<Handed>,
}

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

struct Handed {
    record: NewRecord,
    answer: Answer,
}

/// What travels with a record and comes back with the word of it.
pub(crate) struct Ticket {
    lane: usize,
    answer: Answer,
}

/// Where the client tells what became of records. It is made before the producer that it tells.
#[derive(Default)]
pub(crate) struct Heard(OnceLock<Weak<Producer>>);

impl ClientContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let told = match result {
            Ok(message) => taken(message),
            Err((error, _)) => Err(AppendError::Unknown(error.to_string())),
        };
        // While the client closes there is nobody left.
        let producer = self.0.get().and_then(Weak::upgrade);
        if let (Some(producer), Ok(appended)) = (&producer, &told) {
            producer.lanes[ticket.lane].end.fetch_max(appended.offset + 1, Ordering::AcqRel);
        }
        // Whoever asked may have given up.
        let _ = ticket.answer.send(told);
        if let Some(producer) = producer {
            producer.landed(ticket.lane, 1);
        }
    }
}

fn taken(message: &impl Message) -> Result<Appended, AppendError> {
    let (offset, stamp) = (u64::try_from(message.offset()).ok(), record::stamp(message.timestamp()));
    let appended = offset.zip(stamp).map(|(offset, stamp)| Appended { offset, stamp });
    appended.ok_or_else(|| AppendError::Unknown("it is durable, but the broker does not say where or when".to_owned()))
}

impl Producer {
    /// Connects. Lanes are named by their place among these partitions.
    pub(crate) async fn open(options: &Options, partitions: impl Iterator<Item = u16>) -> KafkaResult<Arc<Self>> {
        let client: BaseProducer<Heard> = options.producer(Heard::default())?;
        let lane = |partition: u16| Lane {
            partition: i32::from(partition),
            traffic: Mutex::default(),
            end: AtomicU64::new(0),
        };
        let topic = options.topic();
        let producer = Arc::new(Self { client, topic, lanes: partitions.map(lane).collect() });
        // Nobody else sets it.
        let _ = producer.client.context().0.set(Arc::downgrade(&producer));
        let asking = Arc::clone(&producer);
        blocking(move || warm(asking.client.client(), &asking.topic, DEADLINE)).await?;
        let hearing = Arc::downgrade(&producer);
        let thread = std::thread::Builder::new().name("volery-producer".to_owned()).spawn(move || hear(&hearing));
        thread.map_err(|error| KafkaError::ClientCreation(format!("no thread: {error}")))?;
        Ok(producer)
    }

    /// One past the last record that was appended here; 0 before the first.
    pub(crate) fn end(&self, lane: usize) -> Offset {
        self.lanes.get(lane).map_or(0, |lane| lane.end.load(Ordering::Acquire))
    }

    pub(crate) async fn append(&self, lane: usize, record: NewRecord) -> Result<Appended, AppendError> {
        let (answer, told) = oneshot::channel();
        let handed = Handed { record, answer };
        let first = {
            let mut traffic = self.traffic(lane);
            if traffic.under_way > 0 {
                traffic.waiting.push(handed);
                None
            } else {
                traffic.under_way = 1;
                Some(handed)
            }
        };
        if let Some(first) = first {
            self.depart(lane, vec![first]);
        }
        told.await.unwrap_or_else(|_| Err(AppendError::Unknown("the log was closed".to_owned())))
    }

    fn traffic(&self, lane: usize) -> MutexGuard<'_, Traffic> {
        self.lanes[lane].traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them were counted as under way.
    fn depart(&self, lane: usize, records: Vec<Handed>) {
        let refused = records.into_iter().filter_map(|handed| self.send(lane, handed)).count();
        if refused > 0 {
            self.landed(lane, refused);
        }
    }

    /// Something if nothing will be heard of it any more.
    fn send(&self, lane: usize, Handed { record, answer }: Handed) -> Option<()> {
        if answer.is_closed() {
            return Some(());
        }
        let message = BaseRecord::with_opaque_to(&self.topic, Box::new(Ticket { lane, answer }))
            .partition(self.lanes[lane].partition)
            .key(&record.key[..])
            .payload(&record.value[..])
            .headers(record::headers(&record));
        let (error, refused) = self.client.send(message).err()?;
        let _ = refused.delivery_opaque.answer.send(Err(AppendError::Unavailable(error.to_string())));
        Some(())
    }

    /// So many arrived or failed. After the last one those that waited depart.
    fn landed(&self, lane: usize, records: usize) {
        let next = {
            let mut traffic = self.traffic(lane);
            traffic.under_way -= records;
            if traffic.under_way > 0 {
                return;
            }
            let next = std::mem::take(&mut traffic.waiting);
            traffic.under_way = next.len();
            next
        };
        if !next.is_empty() {
            self.depart(lane, next);
        }
    }
}

fn hear(producer: &Weak<Producer>) {
    while let Some(producer) = producer.upgrade() {
        producer.client.poll(LOOKS_EVERY);
    }
}
