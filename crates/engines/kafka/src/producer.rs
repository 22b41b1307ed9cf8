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
use rdkafka::types::RDKafka;
use tokio::sync::oneshot;
use volery_kernel::position::Offset;
use volery_ports::log::{AppendError, Appended, NewRecord};

use crate::offsets::blocking;
use crate::options::{DEADLINE, Options, RECORD_MOST, warm};
use crate::record;
use crate::revive::Native;

/// The thread that hears what became of records looks this often whether the log is still open.
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// Bytes of one partition's records that wait; what comes beyond them is refused at once. A broker that stands still for
/// the four seconds of an append is outwaited at some thousand messages a second.
const WAITING_MOST: usize = 2 * RECORD_MOST;

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

/// What was handed over and not heard of, and what waits for it.
#[derive(Default)]
struct Traffic {
    under_way: usize,
    waiting: Vec<Handed>,
    bytes: usize,
}

/// What becomes of a record that comes.
enum Came {
    Goes(Handed),
    Waits,
    /// Nothing is known of it, nor will be.
    Full,
}

impl Traffic {
    fn come(&mut self, handed: Handed) -> Came {
        if self.under_way == 0 {
            self.under_way = 1;
            return Came::Goes(handed);
        }
        let bytes = self.bytes + record::size(&handed.record);
        if bytes > WAITING_MOST {
            return Came::Full;
        }
        self.bytes = bytes;
        self.waiting.push(handed);
        Came::Waits
    }

    /// So many of those under way arrived or failed. After the last one, those that waited are.
    fn landed(&mut self, records: usize) -> Vec<Handed> {
        self.under_way -= records;
        if self.under_way > 0 {
            return Vec::new();
        }
        let next = std::mem::take(&mut self.waiting);
        (self.under_way, self.bytes) = (next.len(), 0);
        next
    }
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
        let came = self.traffic(lane).come(Handed { record, answer });
        match came {
            Came::Goes(first) => self.depart(lane, vec![first]),
            Came::Waits => {}
            Came::Full => return Err(AppendError::Unavailable(format!("{WAITING_MOST} bytes wait for it already"))),
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
        let next = self.traffic(lane).landed(records);
        if !next.is_empty() {
            self.depart(lane, next);
        }
    }
}

impl Native for Producer {
    fn native(&self) -> *mut RDKafka {
        self.client.client().native_ptr()
    }
}

fn hear(producer: &Weak<Producer>) {
    while let Some(producer) = producer.upgrade() {
        producer.client.poll(LOOKS_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(bytes: usize) -> Handed {
        let record = NewRecord { key: [0; 9], headers: Vec::new(), value: vec![0; bytes].into() };
        Handed { record, answer: oneshot::channel().0 }
    }

    fn waits(traffic: &mut Traffic, bytes: usize) -> bool {
        matches!(traffic.come(handed(bytes)), Came::Waits)
    }

    #[test]
    fn what_comes_meanwhile_goes_together_once_all_has_landed() {
        let mut traffic = Traffic::default();
        assert!(matches!(traffic.come(handed(1)), Came::Goes(_)));
        assert!((0..3).all(|_| waits(&mut traffic, 1)));
        assert_eq!(traffic.landed(1).len(), 3);
        assert!(waits(&mut traffic, 1));
        assert_eq!((traffic.landed(2).len(), traffic.landed(1).len()), (0, 1), "one request at a time");
        assert!(traffic.landed(1).is_empty());
        assert!(matches!(traffic.come(handed(1)), Came::Goes(_)));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut traffic = Traffic::default();
        assert!(matches!(traffic.come(handed(RECORD_MOST)), Came::Goes(_)), "the first waits for nobody");
        let fit = (0..100).take_while(|_| waits(&mut traffic, WAITING_MOST / 10)).count();
        assert_eq!(fit, 10);
        assert!(waits(&mut traffic, 1), "a smaller one still fits");
        assert_eq!(traffic.landed(1).len(), 11);
        assert!(waits(&mut traffic, WAITING_MOST / 2), "room again");
    }
}
