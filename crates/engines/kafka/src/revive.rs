//! Gives brokers back to clients that have lost them all.
//!
//! The trap: when a cluster says that it has no broker, as it does for a moment after its only one stood still, a client
//! of librdkafka lets go of every broker that it knows, those that it was configured with included, and may never take
//! one up again (confluentinc/librdkafka#5301). Its questions are refused and its appends time out from then on, while
//! a new client works. So whoever knows of no broker is told again where they are.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafka;
use tokio::task::JoinHandle;

/// An outage of all brokers lasts longer.
const EVERY: Duration = Duration::from_secs(1);

/// What is a client of librdkafka, or holds one.
pub(crate) trait Native: Send + Sync + 'static {
    /// Valid as long as `self`.
    fn native(&self) -> *mut RDKafka;
}

impl Native for BaseConsumer {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

impl Native for StreamConsumer {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

impl Native for AdminClient<DefaultClientContext> {
    fn native(&self) -> *mut RDKafka {
        self.inner().native_ptr()
    }
}

/// A client, as long as it is there.
pub(crate) type Mortal = Weak<dyn Native>;

/// As one of those to look after.
pub(crate) fn mortal<T: Native>(client: &Arc<T>) -> Mortal {
    let client: Weak<T> = Arc::downgrade(client);
    client
}

/// Looks after clients until it is dropped.
pub(crate) struct Reviver(JoinHandle<()>);

impl Reviver {
    pub(crate) fn new(brokers: &str, clients: Vec<Mortal>) -> KafkaResult<Self> {
        let brokers = CString::new(brokers)?;
        let mut clients: Vec<_> = clients.into_iter().map(|client| (client, false)).collect();
        Ok(Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                clients.iter_mut().for_each(|(client, knew)| *knew = look_after(client, *knew, &brokers));
            }
        })))
    }
}

impl Drop for Reviver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether it knows of a broker. One that was never asked for anything knows of none either.
fn look_after(client: &Mortal, knew: bool, brokers: &CStr) -> bool {
    let Some(client) = client.upgrade() else { return false };
    let knows = !knows_none(client.as_ref());
    if knew && !knows {
        tracing::warn!("a client of Kafka knows of no broker any more; it is told where they are");
    }
    if !knows {
        tell(client.as_ref(), brokers);
    }
    knows
}

/// Brokers count that the cluster has told of.
fn knows_none(client: &dyn Native) -> bool {
    let mut count = 0;
    // SAFETY: the client outlives both calls; the ids are the callee's memory, given back to it.
    unsafe {
        let ids = bindings::rd_kafka_brokers_learned_ids(client.native(), &raw mut count);
        bindings::rd_kafka_mem_free(client.native(), ids.cast());
    }
    count == 0
}

fn tell(client: &dyn Native, brokers: &CStr) {
    // SAFETY: the client outlives the call, which copies the text.
    unsafe { bindings::rd_kafka_brokers_add(client.native(), brokers.as_ptr()) };
}
