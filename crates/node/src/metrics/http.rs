//! What the HTTP edge counts: by the template of the route, never by the path that was asked for.

use prometheus::{HistogramVec, IntCounterVec, Opts, Registry};

use super::MetricsError;
use super::family::{Metric, histogram, registered};

/// Requests by route, method and status.
#[derive(Clone)]
pub struct HttpRequests(IntCounterVec);

/// Seconds to the answer, by route.
#[derive(Clone)]
pub struct HttpSeconds(HistogramVec);

impl HttpRequests {
    /// One more answer. `route` is a template of ours (`/v1/chats/{chat}`), or `other`.
    pub fn answered(&self, route: &str, method: &str, status: u16) {
        self.0.with_label_values(&[route, known_method(method), status.to_string().as_str()]).inc();
    }
}

impl HttpSeconds {
    /// An answer took this long.
    pub fn took(&self, route: &str, seconds: f64) {
        self.0.with_label_values(&[route]).observe(seconds);
    }
}

/// Methods are any text that a client likes; series are not.
fn known_method(method: &str) -> &str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    if KNOWN.contains(&method) { method } else { "other" }
}

impl Metric for HttpRequests {
    const TYPE: &'static str = "counter";

    fn labels() -> Vec<(&'static str, Vec<&'static str>)> {
        vec![("route", vec![]), ("method", vec![]), ("status", vec![])]
    }

    fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError> {
        let metrics = IntCounterVec::new(Opts::new(name, help), &["route", "method", "status"])?;
        registered(registry, metrics).map(Self)
    }
}

impl Metric for HttpSeconds {
    const TYPE: &'static str = "histogram";

    fn labels() -> Vec<(&'static str, Vec<&'static str>)> {
        vec![("route", vec![])]
    }

    fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError> {
        registered(registry, HistogramVec::new(histogram(name, help), &["route"])?).map(Self)
    }
}
