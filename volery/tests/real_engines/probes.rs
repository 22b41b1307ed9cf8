//! What a process says of itself: health and metrics.

use super::kit::{http, wait_for};
use super::role::Role;

/// Where a process says how it is.
pub(super) struct Probes(String);

impl Probes {
    pub(super) fn at(url: &str) -> Self {
        Self(url.trim_start_matches("http://").to_owned())
    }

    pub(super) fn of(role: &Role) -> Self {
        Self::at(role.url("probes"))
    }

    fn get(&self, path: &str) -> http::Answer {
        http::request(&self.0, "GET", path, None, None).expect("it answers")
    }

    /// Waits until a part is as wanted; nobody is sent elsewhere for it.
    pub(super) fn until(&self, part: &str, wanted: &str) {
        wait_for(&format!("{part} is {wanted}"), || {
            let answer = self.get("/healthz");
            assert_eq!(answer.status, 200, "it goes on: {}", answer.body);
            (answer.json()["parts"][part]["state"] == wanted).then_some(())
        });
    }

    /// A series with its labels as they stand there.
    pub(super) fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{series} is not measured")).parse().expect("a number")
    }

    /// How many calls of a role nobody answered.
    pub(super) fn unanswered(&self, role: &str) -> f64 {
        let of = |outcome| self.metric(&format!("volery_role_calls_total{{outcome=\"{outcome}\",role=\"{role}\"}}"));
        ["not_sent", "lost", "late"].map(of).iter().sum()
    }

    /// Whether a messaging node holds its lease: 1, or 0.
    pub(super) fn lease(&self) -> f64 {
        self.metric("volery_lease_held{kind=\"messaging\"}")
    }

    pub(super) fn has_its_lease(&self) {
        wait_for("a lease", || (self.lease() == 1.0).then_some(()));
    }
}

/// Among whom partitions are divided, by the series that says how many one has.
pub(super) const MESSAGING: &str = "volery_partitions";
pub(super) const HISTORY: &str = "volery_reader_partitions{reader=\"archive\"}";

/// Waits until one of two has all partitions.
pub(super) fn has_everything(node: &Probes, series: &str, partitions: f64) {
    wait_for("the other has everything", || (node.metric(series) == partitions).then_some(()));
}

/// Waits until two share all that there is.
pub(super) fn share(nodes: &[Probes; 2], series: &str, partitions: f64) {
    wait_for("both have some", || {
        let [left, right] = [nodes[0].metric(series), nodes[1].metric(series)];
        (left > 0.0 && right > 0.0 && left + right == partitions).then_some(())
    });
}
