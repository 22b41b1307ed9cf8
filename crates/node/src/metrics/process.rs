//! What the kernel knows of this process, read from `/proc/self` at each scrape. Where there is no
//! `/proc`, these metrics are not there. Names are those that Prometheus clients share.

use std::fs;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// `/proc/self/stat` counts in hundredths of a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Name, type and help, for the reference.
pub(super) const TABLE: [(&str, &str, &str); 5] = [
    ("process_resident_memory_bytes", "gauge", "Memory that is in RAM."),
    ("process_cpu_seconds_total", "counter", "User and system time spent."),
    ("process_threads", "gauge", "Threads."),
    ("process_open_fds", "gauge", "Open file descriptors, sockets included."),
    ("process_max_fds", "gauge", "Most file descriptors that may be open."),
];

/// All that can be read now.
pub(super) fn gather() -> Vec<MetricFamily> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let values = [
        field(&status, "VmRSS:", 0).map(|kib| kib * 1_024.0),
        cpu_seconds(&stat),
        field(&status, "Threads:", 0),
        open_files(),
        field(&limits, "Max open files", 0),
    ];
    TABLE.iter().zip(values).filter_map(|(row, value)| family(row, value?)).flatten().collect()
}

fn family(&(name, kind, help): &(&str, &str, &str), value: f64) -> Option<Vec<MetricFamily>> {
    if kind == "counter" {
        let counter = Counter::new(name, help).ok()?;
        counter.inc_by(value);
        return Some(counter.collect());
    }
    let gauge = Gauge::new(name, help).ok()?;
    gauge.set(value);
    Some(gauge.collect())
}

/// The number at `index` after `label` at the beginning of a line.
fn field(text: &str, label: &str, index: usize) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().nth(index)?.parse().ok()
}

/// Fields 14 and 15; counted from after the command, which may hold spaces and parentheses.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut ticks = after.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS_PER_SECOND)
}

/// Without the one that this very listing holds open.
#[expect(clippy::cast_precision_loss, reason = "a process has fewer files than 2^52")]
fn open_files() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(field("Name:\tx\nVmRSS:\t   5120 kB\n", "VmRSS:", 0), Some(5_120.0));
        assert_eq!(
            field("Max open files            1024                 20000    files\n", "Max open files", 0),
            Some(1_024.0)
        );
        assert_eq!(field("VmRSS:\tmany kB\n", "VmRSS:", 0), None);
        let stat = "7 (a) b)) S 1 7 7 0 -1 4194560 250 0 0 0 150 50 0 0 20 0 3 0 100";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds(""), None);
    }
}
