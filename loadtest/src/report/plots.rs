//! Which plots a report has. Pure: from the data. What happened to whole nodes is marked in all that go by time.

use std::collections::BTreeMap;

use super::data::{Distribution, Report};
use super::plot::{Plot, Scale, Series, Style, number};
use super::threads::layers;
use super::waves::Wave;
use crate::latency::Moment;
use crate::sample::Sample;

/// Colours of lines and layers; more series than that share the last one.
pub(super) const COLOURS: usize = 8;

/// All plots of a report.
pub(super) struct Plots<'r> {
    report: &'r Report,
    marks: Vec<(f64, String)>,
}

impl<'r> Plots<'r> {
    pub(super) fn of(report: &'r Report, waves: &[Wave]) -> Self {
        Self { report, marks: (1..).zip(waves).map(|(number, wave)| (wave.at, format!("{number}"))).collect() }
    }

    fn over_time(&self, name: &str, value: impl Fn(&Sample) -> Option<f64>) -> Series {
        let points = self.report.samples.iter().filter_map(|sample| Some((sample.at, value(sample)?)));
        Series { name: name.to_owned(), points: points.collect() }
    }

    /// A plot whose x axis is time.
    fn timed(&self, title: &str, about: &str, y: (&'static str, Scale), style: Style, series: Vec<Series>) -> Plot {
        let (title, about, marks) = (title.to_owned(), about.to_owned(), self.marks.clone());
        Plot { title, about, x: ("seconds", Scale::Linear), y, style, series, marks }
    }

    /// How long devices were away, and where they are.
    pub(super) fn moves(&self) -> Vec<Plot> {
        let mut away: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for burst in &self.report.bursts {
            away.entry(&burst.why).or_default().push((burst.at, burst.slowest));
        }
        let series = |(why, points): (&str, _)| Series { name: why.to_owned(), points };
        let mut plots = vec![self.timed(
            "Back and caught up",
            "From the loss of a device's socket to everything being there again; a dot is the slowest of those who \
             lost theirs within a tenth of a second.",
            ("milliseconds", Scale::Log),
            Style::Dots,
            away.into_iter().map(series).collect(),
        )];
        if self.report.nodes.len() > 1 {
            let of = |at: usize, value: fn(&Sample, usize) -> Option<f64>| {
                self.over_time(&self.report.nodes[at].address, move |sample| {
                    Some(value(sample, at).unwrap_or_default())
                })
            };
            let by_node = |value| (0..self.report.nodes.len()).map(|at| of(at, value)).collect();
            plots.push(self.timed(
                "Devices by node",
                "Where sessions are, each node on top of those before it.",
                ("devices", Scale::Linear),
                Style::Stacked,
                by_node(|sample, at| sample.sessions.get(at).map(|count| *count as f64)),
            ));
            plots.push(self.timed(
                "Messages by node",
                "Accepted a second, each node on top of those before it.",
                ("messages a second", Scale::Linear),
                Style::Stacked,
                by_node(|sample, at| sample.accepted.get(at).copied()),
            ));
        }
        plots
    }

    pub(super) fn latencies(&self) -> Vec<Plot> {
        let moments = |title: &str, of: fn(&Sample) -> Moment| {
            let part = move |of_moment: fn(Moment) -> u64| {
                move |sample: &Sample| Some(of_moment(of(sample)) as f64 / 1_000.0).filter(|_| of(sample).count > 0)
            };
            let series = vec![
                self.over_time("median", part(|moment| moment.p50)),
                self.over_time("99 in 100", part(|moment| moment.p99)),
                self.over_time("slowest", part(|moment| moment.max)),
            ];
            let about = "From sample to sample; the scale is logarithmic.";
            self.timed(&format!("{title} over time"), about, ("milliseconds", Scale::Log), Style::Lines, series)
        };
        let series = |distribution: &Distribution| Series {
            name: format!("{} ({})", distribution.name, number(distribution.count as f64)),
            points: distribution.points.iter().filter(|(quantile, _)| *quantile < 1.0).copied().collect(),
        };
        vec![
            moments("Delivery", |sample| sample.delivery),
            moments("Delivery among bystanders", |sample| sample.bystanders),
            moments("Acknowledgement", |sample| sample.ack),
            Plot {
                title: "Distribution".to_owned(),
                about: "How long all but the slowest took: each step to the right leaves a tenth of the rest."
                    .to_owned(),
                x: ("share of all", Scale::Nines),
                y: ("milliseconds", Scale::Log),
                style: Style::Lines,
                series: self.report.distributions.iter().map(series).collect(),
                marks: Vec::new(),
            },
        ]
    }

    pub(super) fn throughput(&self) -> Vec<Plot> {
        vec![
            self.timed(
                "Messages",
                "A second: what people wanted sent, what was acknowledged as durable, what arrived.",
                ("messages a second", Scale::Linear),
                Style::Lines,
                vec![
                    self.over_time("wanted", |sample| Some(sample.wanted)),
                    self.over_time("acknowledged", |sample| Some(sample.acked)),
                    self.over_time("delivered", |sample| Some(sample.delivered)),
                ],
            ),
            self.timed(
                "Devices",
                "Connected, with everything that their streams hold.",
                ("devices", Scale::Linear),
                Style::Lines,
                vec![self.over_time("synced", |sample| Some(sample.synced as f64))],
            ),
        ]
    }

    /// When something went wrong; no plot if nothing did while samples were taken.
    pub(super) fn errors(&self) -> Vec<Plot> {
        if self.report.samples.iter().all(|sample| sample.errors == 0) {
            return Vec::new();
        }
        vec![self.timed(
            "Errors over time",
            "From sample to sample, of any code.",
            ("errors", Scale::Linear),
            Style::Lines,
            vec![self.over_time("errors", |sample| Some(sample.errors as f64))],
        )]
    }

    pub(super) fn costs(&self) -> Vec<Plot> {
        let mebi = |kib: u64| kib as f64 / 1_024.0;
        let memory = self.report.memory.iter().map(|(sessions, kib)| (*sessions as f64, mebi(*kib))).collect();
        vec![
            self.timed(
                "Processor time",
                "By stage of the server, each on top of those before, and of the load test itself, which shares the machine.",
                ("cores", Scale::Linear),
                Style::Stacked,
                layers(&self.report.samples),
            ),
            self.timed(
                "Memory of the server",
                "Resident.",
                ("MiB", Scale::Linear),
                Style::Lines,
                vec![self.over_time("server", |sample| Some(mebi(sample.rss_kib)).filter(|rss| *rss > 0.0))],
            ),
            Plot {
                title: "Memory by sessions".to_owned(),
                about: "Resident, of the server, with so many idle sessions.".to_owned(),
                x: ("sessions", Scale::Linear),
                y: ("MiB", Scale::Linear),
                style: Style::Lines,
                series: vec![Series { name: "server".to_owned(), points: memory }],
                marks: Vec::new(),
            },
        ]
    }
}
