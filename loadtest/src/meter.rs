//! What nodes say of themselves at `/metrics`, as far as the load test compares it before and after.

use serde::Serialize;
use volery_client::shell::http_client;
use volery_tls::Trust;

use crate::failure::Failure;

const CPU: &str = "process_cpu_seconds_total";
const SYNCS: &str = "volery_syncs_total";

/// Where metrics are.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    urls: Vec<String>,
    trust: Trust,
}

/// How sessions were synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Syncs {
    /// From what is in memory.
    pub tail: u64,
    /// From the log.
    pub log: u64,
    /// From the index of the timeline.
    pub index: u64,
    /// Their devices read everything anew.
    pub reset: u64,
}

/// What all nodes have counted since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Meter {
    /// Seconds of processor time.
    pub cpu: f64,
    /// Sessions that were synced.
    pub syncs: Syncs,
}

impl Probes {
    /// At these addresses, `http://host:8424` each.
    #[must_use]
    pub fn at(urls: impl Iterator<Item = String>, trust: Trust) -> Self {
        Self { urls: urls.map(|url| url.trim_end_matches('/').to_owned()).collect(), trust }
    }

    /// All of them together; nothing if there are none.
    ///
    /// # Errors
    /// One does not answer.
    pub async fn read(&self) -> Result<Option<Meter>, Failure> {
        let mut all: Option<Meter> = None;
        for url in &self.urls {
            let http = http_client(url, &self.trust)?.build()?;
            let text = http.get(format!("{url}/metrics")).send().await?.error_for_status()?.text().await?;
            all = Some(all.unwrap_or_default().plus(&text));
        }
        Ok(all)
    }
}

impl Meter {
    /// What was counted since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let of = |count: fn(&Syncs) -> u64| count(&self.syncs).saturating_sub(count(&before.syncs));
        let syncs = Syncs {
            tail: of(|syncs| syncs.tail),
            log: of(|syncs| syncs.log),
            index: of(|syncs| syncs.index),
            reset: of(|syncs| syncs.reset),
        };
        Self { cpu: self.cpu - before.cpu, syncs }
    }

    fn plus(self, text: &str) -> Self {
        let value = |series: &str| {
            let of = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
            of.unwrap_or_default()
        };
        let by = |way: &str| value(&format!("{SYNCS}{{by=\"{way}\"}}")) as u64;
        let Syncs { tail, log, index, reset } = self.syncs;
        let (tail, log, index) = (tail + by("tail"), log + by("log"), index + by("index"));
        Self { cpu: self.cpu + value(CPU), syncs: Syncs { tail, log, index, reset: reset + by("reset") } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_added_up_and_what_was_before_is_taken_off() {
        let text = "# HELP x\nprocess_cpu_seconds_total 1.5\nvolery_syncs_total{by=\"tail\"} 3\nvolery_syncs_total{by=\"index\"} 1\n";
        let before = Meter::default().plus(text);
        let both = before.plus(text);
        assert_eq!((both.cpu, both.syncs.tail, both.syncs.index, both.syncs.reset), (3.0, 6, 2, 0));
        assert_eq!(both.since(&before), before);
    }
}
