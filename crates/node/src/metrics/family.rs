//! Metrics with labels of known values: all children made at once, found by index.

use std::marker::PhantomData;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::MetricsError;

/// From 50 µs, below which no disk answers, to 26 s, above which nothing waits: doubling.
const BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_8, 0.025_6, 0.051_2, 0.102_4,
    0.204_8, 0.409_6, 0.819_2, 1.638_4, 3.276_8, 6.553_6, 13.107_2, 26.214_4,
];

/// The values of a label, or of several that belong together.
pub trait Label: Copy + 'static {
    /// The labels' names.
    const NAMES: &'static [&'static str];
    /// The values, in the order of [`Self::index`].
    const ALL: &'static [Self];

    /// The value as it stands in a series: a text for each name.
    fn texts(self) -> Vec<&'static str>;

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;
}

/// One metric for each value of a label.
#[derive(Clone)]
pub struct Family<L, M> {
    children: Vec<M>,
    label: PhantomData<L>,
}

impl<L: Label, M> Family<L, M> {
    /// The metric of this value: one bounds check, no look-up.
    pub fn of(&self, label: L) -> &M {
        &self.children[label.index()]
    }
}

/// Something that the table can make and register.
pub(super) trait Metric: Sized {
    /// As Prometheus calls it.
    const TYPE: &'static str;

    /// Names of labels and their values; no values: any of a bounded set.
    fn labels() -> Vec<(&'static str, Vec<&'static str>)>;

    fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError>;
}

pub(super) fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, MetricsError> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn family<L: Label, B: MetricVecBuilder>(
    registry: &Registry,
    metrics: MetricVec<B>,
) -> Result<Family<L, B::M>, MetricsError>
where
    MetricVec<B>: Collector + Clone + 'static,
{
    let metrics = registered(registry, metrics)?;
    let children = L::ALL.iter().map(|label| metrics.get_metric_with_label_values(&label.texts()));
    Ok(Family { children: children.collect::<Result<_, _>>()?, label: PhantomData })
}

/// Each name with its texts, each once.
fn names_and_texts<L: Label>() -> Vec<(&'static str, Vec<&'static str>)> {
    let texts = |at: usize| {
        let mut texts: Vec<_> = L::ALL.iter().filter_map(|label| label.texts().get(at).copied()).collect();
        let mut seen = std::collections::HashSet::new();
        texts.retain(|text| seen.insert(*text));
        texts
    };
    L::NAMES.iter().enumerate().map(|(at, name)| (*name, texts(at))).collect()
}

macro_rules! metric {
    ($single:ty, $many:ty, $type:literal, $options:expr) => {
        impl Metric for $single {
            const TYPE: &'static str = $type;

            fn labels() -> Vec<(&'static str, Vec<&'static str>)> {
                Vec::new()
            }

            fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError> {
                registered(registry, Self::with_opts($options(name, help))?)
            }
        }

        impl<L: Label> Metric for Family<L, $single> {
            const TYPE: &'static str = $type;

            fn labels() -> Vec<(&'static str, Vec<&'static str>)> {
                names_and_texts::<L>()
            }

            fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError> {
                family(registry, <$many>::new($options(name, help), L::NAMES)?)
            }
        }
    };
}

metric!(IntCounter, IntCounterVec, "counter", Opts::new);
metric!(IntGauge, IntGaugeVec, "gauge", Opts::new);
metric!(Gauge, GaugeVec, "gauge", Opts::new);
metric!(Histogram, HistogramVec, "histogram", histogram);

pub(super) fn histogram(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(BUCKETS.to_vec())
}
