//! Who used the processors, as layers of a plot: the server's threads by their share, the largest first; what
//! has no colour of its own together; the load test on top. No time is left out.

use std::collections::BTreeSet;

use super::plot::Series;
use super::plots::COLOURS;
use crate::sample::Sample;

/// Threads that use less than this many cores on average are shown together.
const THREAD_LEAST: f64 = 0.01;

/// See the module.
pub(super) fn layers(samples: &[Sample]) -> Vec<Series> {
    let names: BTreeSet<&String> = samples.iter().flat_map(|sample| sample.server.keys()).collect();
    let mut names: Vec<(f64, &String)> = names.into_iter().map(|name| (mean(samples, name), name)).collect();
    names.sort_by(|one, other| other.0.total_cmp(&one.0));
    let large = names.iter().take(COLOURS - 2).take_while(|(mean, _)| *mean >= THREAD_LEAST).count();
    let (large, others) = names.split_at(large);
    let mut layers: Vec<Series> =
        large.iter().map(|(_, name)| layer(samples, stage(name), |sample| used(sample, name))).collect();
    if !layers.is_empty() {
        let rest = |sample: &Sample| others.iter().map(|(_, name)| used(sample, name)).sum();
        layers.push(layer(samples, "others of the server", rest));
    }
    layers.push(layer(samples, "load test", |sample| sample.own));
    layers
}

fn layer(samples: &[Sample], name: &str, of: impl Fn(&Sample) -> f64) -> Series {
    Series { name: name.to_owned(), points: samples.iter().map(|sample| (sample.at, of(sample))).collect() }
}

fn mean(samples: &[Sample], name: &str) -> f64 {
    samples.iter().map(|sample| used(sample, name)).sum::<f64>() / samples.len().max(1) as f64
}

fn used(sample: &Sample, name: &str) -> f64 {
    sample.server.get(name).copied().unwrap_or_default()
}

/// What a thread does, for those who do not know its name.
fn stage(thread: &str) -> &str {
    match thread {
        "actix-rt|system" => "sessions and partitions",
        "volery-log" => "log",
        "fanout" => "fan-out",
        "fjall:worker" => "store",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_shown_and_none_is_left_out() {
        let used = |thread: u32| (format!("thread {thread}"), f64::from(thread) / 10.0);
        let sample = Sample { server: (1..=9).map(used).collect(), own: 0.5, ..Sample::default() };
        let layers = layers(&[sample]);
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names[..2], ["thread 9", "thread 8"]);
        assert_eq!(names[6..], ["others of the server", "load test"]);
        let all: f64 = layers.iter().flat_map(|layer| &layer.points).map(|point| point.1).sum();
        assert!((all - 5.0).abs() < 1e-9, "{layers:?}");
    }
}
