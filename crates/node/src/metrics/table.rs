//! The table of metrics.

use std::fmt::Write;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge, Registry};
use volery_kernel::code::{Close, Code};
use volery_kernel::map::NodeKind;

use super::calls::EngineCall;
use super::family::{Family, Metric};
use super::http::{HttpRequests, HttpSeconds};
use super::labels::{AskedRole, HistoryReader, Leg, Queue, Reader, Stage, Statement, SyncBy};
use super::roles::RoleCall;
use super::{MetricsError, process, render};

/// A metric as the reference shows it.
struct Row {
    name: &'static str,
    kind: &'static str,
    labels: Vec<(&'static str, Vec<&'static str>)>,
    unit: &'static str,
    help: &'static str,
}

macro_rules! table {
    ($($field:ident: $type:ty = $name:literal, $unit:literal, $help:literal;)*) => {
        /// The metrics of one node. Clones share them.
        #[derive(Clone)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Metrics {
            /// A registry with everything in it, at zero.
            ///
            /// # Errors
            /// Two rows of the table have one name.
            pub fn new() -> Result<Self, MetricsError> {
                let registry = Registry::new();
                $(let $field = <$type as Metric>::register(&registry, $name, $help)?;)*
                Ok(Self { registry, $($field),* })
            }
        }

        fn rows() -> Vec<Row> {
            vec![$(Row {
                name: $name,
                kind: <$type as Metric>::TYPE,
                labels: <$type as Metric>::labels(),
                unit: $unit,
                help: $help,
            },)*]
        }
    };
}

table! {
    sessions: IntGauge = "volery_sessions", "sessions", "Live sessions that have said hello.";
    sockets: IntGauge = "volery_sockets", "sockets", "Open sockets of the door, those before their hello included.";
    handshakes: IntCounter = "volery_handshakes_total", "sockets", "Sockets that became WebSockets.";
    messages: Family<Stage, IntCounter> = "volery_messages_total", "messages", "Messages that reached a stage.";
    stage_seconds: Family<Leg, Histogram> = "volery_stage_seconds", "seconds", "From a message's id to its reaching a stage.";
    syncs: Family<SyncBy, IntCounter> = "volery_syncs_total", "syncs", "Sessions synced, by what they were synced from.";
    sync_seconds: Histogram = "volery_sync_seconds", "seconds", "From a session's hello to its synced.";
    partitions: IntGauge = "volery_partitions", "partitions", "Partitions that the messaging node reads: its own, and lost ones until their sessions have left.";
    gaps: IntCounter = "volery_gaps_total", "gaps", "Sessions whose window was full and that must sync again.";
    stalled_sessions: IntGauge = "volery_stalled_sessions", "sessions", "Live sessions whose window is full: live delivery to them has stopped.";
    errors: Family<Code, IntCounter> = "volery_errors_total", "answers", "Errors answered on any door, by code.";
    closes: Family<Close, IntCounter> = "volery_closes_total", "sockets", "Sockets that the node closed, by reason.";
    queue_bytes: Family<Queue, IntGauge> = "volery_queue_bytes", "bytes", "Bytes in a queue, all its instances together; append is the embedded log's.";
    log_appends: IntCounter = "volery_log_appends_total", "records", "Records appended to the log.";
    log_append_bytes: IntCounter = "volery_log_append_bytes_total", "bytes", "Bytes appended to the log, framing included.";
    log_refused: IntCounter = "volery_log_refused_total", "records", "Appends that the log refused or failed.";
    log_syncs: IntCounter = "volery_log_syncs_total", "syncs", "Times that the embedded log made a group of records durable.";
    log_sync_seconds: Histogram = "volery_log_sync_seconds", "seconds", "How long making a group durable took; elsewhere than in the embedded log, an append.";
    log_bytes: IntGauge = "volery_log_bytes", "bytes", "Bytes that the embedded log occupies on its disk.";
    reader_lag_seconds: Family<Reader, Histogram> = "volery_reader_lag_seconds", "seconds", "From a record's stamp to a reader's being done with it: for fan-out once what it causes is appended; above 1 s there raises an alarm.";
    reader_waits_seconds: Family<HistoryReader, Gauge> = "volery_reader_waits_seconds", "seconds", "How long the partition that waits longest has waited, because something that the reader needs is away, or a partition to which it appends takes nothing; 0 while none waits; above 1 s for fan-out raises an alarm.";
    readers_stopped: Family<HistoryReader, IntGauge> = "volery_readers_stopped", "partitions", "Partitions whose reader has stopped, because the log is not the one that it knew; any raises an alarm.";
    reader_partitions: Family<HistoryReader, IntGauge> = "volery_reader_partitions", "partitions", "Partitions whose reader runs here: those that the map gives to the history node; 0 while its lease is refused.";
    log_replaced: IntGauge = "volery_log_replaced_partitions", "partitions", "Partitions whose log is not the one that was read or archived before: it is neither read nor appended to; any raises an alarm.";
    set_aside: IntCounter = "volery_set_aside_total", "records", "Records that archive could not apply and set aside durably; any raises an alarm.";
    lease_held: Family<NodeKind, IntGauge> = "volery_lease_held", "leases", "1 while a config-node says, each second, that the node of this kind here is part of the cluster; 0 while one says no, or none can be asked; 0 too where there is none here, or it is the only one and needs no lease.";
    certificate_ends: IntGauge = "volery_certificate_ends_timestamp_seconds", "seconds since 1970", "When the certificate ends that clients are shown at the doors; 0 without one.";
    engine_seconds: Family<EngineCall, Histogram> = "volery_engine_seconds", "seconds", "What a call of an engine took, failed or not. The embedded log counts its syncs instead.";
    engine_errors: Family<EngineCall, IntCounter> = "volery_engine_errors_total", "calls", "Calls of an engine that failed.";
    engine_in_flight: Family<EngineCall, IntGauge> = "volery_engine_in_flight", "calls", "Calls of an engine that are under way.";
    role_seconds: Family<AskedRole, Histogram> = "volery_role_seconds", "seconds", "What a call of a role that runs elsewhere took, retries included, however it ended. Waiting for news is not measured.";
    role_calls: Family<RoleCall, IntCounter> = "volery_role_calls_total", "calls", "Calls of a role that runs elsewhere, by how they ended after their last attempt: not_sent, lost and late brought no answer.";
    timeline_statements: Family<Statement, IntCounter> = "volery_timeline_statements_total", "statements", "Statements sent to a timeline that is reached over a network.";
    timeline_chat_rows: IntCounter = "volery_timeline_chat_rows_total", "statements", "Statements among those written that write a chat row: one may stand for several messages and marks.";
    bus_published: IntCounter = "volery_bus_published_total", "messages", "Typing and presence said to the bus.";
    bus_dropped: IntCounter = "volery_bus_dropped_total", "messages", "Typing and presence that were not said, because the bus is slow or away, or not heard, because a thread is.";
    bus_heard: IntCounter = "volery_bus_heard_total", "messages", "Typing and presence heard from the bus.";
    reserved_seconds: Gauge = "volery_reserved_seconds", "seconds", "How long ids can still be issued if no reservation is renewed: of the generator whose number ends first.";
    http_requests: HttpRequests = "volery_http_requests_total", "requests", "Answers of the HTTP edge, by route template, method and status.";
    http_request_seconds: HttpSeconds = "volery_http_request_seconds", "seconds", "From a request's head to its answer.";
}

impl Metrics {
    /// Everything in the text form that Prometheus scrapes; [`super::CONTENT_TYPE`] goes with it.
    ///
    /// # Errors
    /// A metric has no name: a fault in the table.
    pub fn render(&self) -> Result<String, MetricsError> {
        render(&self.registry)
    }
}

/// `docs/reference/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = "# Metrics\n\n\
        At `/metrics` of every node, in the text form that Prometheus scrapes. Counters begin at zero and all\n\
        series of known labels exist from the start, so a rate over them never misses the first event.\n\n\
        | metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n"
        .to_owned();
    for row in rows() {
        let labels: Vec<_> = row.labels.iter().map(label).collect();
        let _ =
            writeln!(page, "| `{}` | {} | {} | {} | {} |", row.name, row.kind, row.unit, labels.join("; "), row.help);
    }
    page.push_str("\n## The process\n\n| metric | type | what it says |\n|---|---|---|\n");
    for (name, kind, help) in process::TABLE {
        let _ = writeln!(page, "| `{name}` | {kind} | {help} |");
    }
    page
}

fn label((name, values): &(&'static str, Vec<&'static str>)) -> String {
    match values.as_slice() {
        [] => format!("`{name}`"),
        _ if ["code", "reason"].contains(name) => format!("`{name}`: see [errors](errors.md)"),
        values => format!("`{name}`: {}", values.join(", ")),
    }
}
