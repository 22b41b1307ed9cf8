//! Where the account node's events go: the log, under the recipient's key.

use std::sync::Arc;

use async_trait::async_trait;
use volery_account::{EventSink, NotAppended};
use volery_kernel::event::Event;
use volery_ports::log::Log;

/// Appends to this log.
pub(crate) struct LogSink(pub(crate) Arc<dyn Log>);

#[async_trait]
impl EventSink for LogSink {
    async fn append(&self, event: Event) -> Result<(), NotAppended> {
        let partition = self.0.partitions().of(event.stream());
        let appended = self.0.append(partition, volery_reader::to_batch(&[event])).await;
        appended.map(|_| ()).map_err(|error| NotAppended(error.to_string()))
    }
}
