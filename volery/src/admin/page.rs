//! What a page of `/metrics` says of the readers of a process. No I/O.
//!
//! Lag is a histogram since the process began; what it was of late is the difference of two pages. Trap avoided: a
//! reader that has stopped measures nothing, so silence is told from standing well only by what else it says:
//! how long it has waited, and how many of its partitions have stopped.

use volery_node::metrics::{Label as _, Reader};

/// The share of measurements that the bound is above, in hundredths.
const MOST: u64 = 99;

/// What one page says of one reader.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    count: u64,
    sum: f64,
    /// Upper bounds in seconds, each with how many are at most that.
    buckets: Vec<(f64, u64)>,
    waits: Option<f64>,
    stopped: Option<u64>,
}

/// How far behind a reader was of late.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lag {
    pub(super) reader: &'static str,
    /// How often it was measured.
    pub(super) measured: u64,
    /// Seconds; `None` if it was not measured.
    pub(super) mean: Option<f64>,
    /// Seconds that 99 of 100 were below, as finely as the page tells; infinite above its last bound.
    pub(super) p99: Option<f64>,
    /// Seconds that the partition that waits longest has waited; `None` if the process does not say.
    pub(super) waits: Option<f64>,
    /// Partitions whose reader has stopped; `None` if the process does not say.
    pub(super) stopped: Option<u64>,
}

/// The readers that run in a process, by two of its pages.
pub(super) fn lags(before: &str, now: &str) -> Vec<Lag> {
    Reader::ALL.iter().flat_map(|reader| reader.texts()).filter_map(|reader| lag(reader, before, now)).collect()
}

/// `None` for a reader that never measured, nor waits, nor has stopped: it runs elsewhere, or had nothing to read.
fn lag(reader: &'static str, before: &str, now: &str) -> Option<Lag> {
    let (before, now) = (said(before, reader), said(now, reader));
    let ails = now.waits.is_some_and(|waits| waits > 0.0) || now.stopped.is_some_and(|stopped| stopped > 0);
    if now.count == 0 && !ails {
        return None;
    }
    // A process that began anew counts from zero.
    let before = if before.count > now.count { Said::default() } else { before };
    let measured = now.count - before.count;
    let some = measured > 0;
    Some(Lag {
        reader,
        measured,
        mean: some.then(|| (now.sum - before.sum).max(0.0) / measured as f64),
        p99: some.then(|| bound(&before, &now, measured)),
        waits: now.waits,
        stopped: now.stopped,
    })
}

/// The first bound below which enough of the measurements are.
fn bound(before: &Said, now: &Said, measured: u64) -> f64 {
    let enough = measured.saturating_mul(MOST).div_ceil(100);
    let earlier = |le: f64| before.buckets.iter().find(|(bound, _)| *bound == le).map_or(0, |(_, count)| *count);
    let reached = now.buckets.iter().find(|(le, count)| count.saturating_sub(earlier(*le)) >= enough);
    reached.map_or(f64::INFINITY, |(le, _)| *le)
}

fn said(page: &str, reader: &str) -> Said {
    let mut said = Said::default();
    for (name, labels, value) in page.lines().filter_map(sample) {
        if label(labels, "reader") != Some(reader) {
            continue;
        }
        match name {
            "volery_reader_lag_seconds_count" => said.count = value as u64,
            "volery_reader_lag_seconds_sum" => said.sum = value,
            "volery_reader_lag_seconds_bucket" => {
                let le = label(labels, "le").and_then(|le| le.parse().ok());
                said.buckets.extend(le.map(|le| (le, value as u64)));
            }
            "volery_reader_waits_seconds" => said.waits = Some(value),
            "volery_readers_stopped" => said.stopped = Some(value as u64),
            _ => {}
        }
    }
    said
}

/// `name{labels} value`.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{')?;
    Some((name, labels.strip_suffix('}')?, value.parse().ok()?))
}

/// Of `a="x",b="y"`; none of ours holds a comma or a quote.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use volery_node::metrics::Metrics;

    use super::*;

    fn page(metrics: &Metrics) -> String {
        metrics.render().expect("a page")
    }

    #[test]
    fn lag_is_what_was_measured_between_two_pages() {
        let metrics = Metrics::new().expect("metrics");
        let archive = metrics.reader_lag_seconds.of(Reader::Archive);
        (0..1_000).for_each(|_| archive.observe(20.0));
        let before = page(&metrics);
        (0..99).for_each(|_| archive.observe(0.001));
        archive.observe(0.3);
        let all = lags(&before, &page(&metrics));
        let [lag] = all.as_slice() else { panic!("one reader: {all:?}") };
        assert_eq!((lag.reader, lag.measured, lag.p99), ("archive", 100, Some(0.001_6)));
        assert!(lag.mean.is_some_and(|mean| (0.003..0.005).contains(&mean)), "{lag:?}");
        archive.observe(100.0);
        assert_eq!(lags(&before, &page(&metrics))[0].p99, Some(0.409_6), "one of 101 may be above");
        assert_eq!(lags(&page(&metrics), &page(&metrics))[0].p99, None, "nothing was measured");
        archive.observe(100.0);
        assert_eq!(lags(&before, &page(&metrics))[0].p99, Some(f64::INFINITY));
    }

    #[test]
    fn a_process_that_began_anew_counts_from_zero() {
        let (old, new) = (Metrics::new().expect("metrics"), Metrics::new().expect("metrics"));
        (0..9).for_each(|_| old.reader_lag_seconds.of(Reader::Owner).observe(9.0));
        new.reader_lag_seconds.of(Reader::Owner).observe(0.001);
        let all = lags(&page(&old), &page(&new));
        assert_eq!(all.iter().map(|lag| (lag.reader, lag.measured)).collect::<Vec<_>>(), [("owner", 1)]);
    }

    #[test]
    fn a_reader_that_measures_nothing_and_waits_is_shown() {
        let said =
            "volery_reader_waits_seconds{reader=\"archive\"} 12.5\nvolery_readers_stopped{reader=\"archive\"} 0\n";
        let all = lags("", said);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].measured, all[0].waits, all[0].stopped), (0, Some(12.5), Some(0)));
        assert_eq!(lags("", "volery_reader_waits_seconds{reader=\"archive\"} 0\n"), []);
    }

    proptest! {
        #[test]
        fn nothing_panics(before in "\\PC*", now in "(volery_reader_lag_seconds_(count|sum|bucket)\\{reader=\"owner\"(,le=\"\\PC{0,3}\")?\\} [0-9.eE+-]{0,8}\n){0,6}") {
            lags(&before, &now);
            lags(&now, &before);
        }
    }
}
