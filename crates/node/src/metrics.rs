//! What a node counts. One table makes the registration, the handles and `docs/reference/metrics.md`.
//!
//! Every node has its own registry: nothing is global. Counters of known labels are resolved once, so a
//! hot path pays one atomic addition and no look-up. Labels are enums, never texts from outside: what a
//! client says cannot make a new series. To add a metric: one line in `metrics/table.rs`, then
//! `make generate`.

mod calls;
mod family;
mod http;
mod labels;
mod process;
mod roles;
mod table;

use prometheus::{Registry, TextEncoder};

pub use calls::EngineCall;
pub use family::{Family, Label};
pub use http::{HttpRequests, HttpSeconds};
pub use labels::{AskedRole, CallOutcome, HistoryReader, Leg, Queue, Reader, Stage, Statement, SyncBy};
pub use roles::RoleCall;
pub use table::{Metrics, reference};

/// Two metrics of one name, or a name that Prometheus does not take: a fault in the table.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

fn render(registry: &Registry) -> Result<String, MetricsError> {
    let mut families = registry.gather();
    families.extend(process::gather());
    Ok(TextEncoder::new().encode_to_string(&families)?)
}

#[cfg(test)]
mod tests;
