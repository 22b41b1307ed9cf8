//! What a run says of nodes and of moves between them: as data, and as tables for the terminal.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::latency::Moment;
use crate::scenario::Outcome;
use crate::tally::Tally;

/// One messaging node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeRow {
    /// `ws://…` or `wss://…`.
    pub address: String,
    /// Devices connected there at the end.
    pub devices: usize,
    /// Messages accepted there.
    pub accepted: u64,
    /// Messages delivered from there.
    pub delivered: u64,
    /// Latencies of acknowledgements, in µs.
    pub ack: Moment,
    /// Latencies of deliveries, in µs.
    pub delivery: Moment,
}

/// Devices that went one way for one reason, and how long each took from the loss of its socket to `synced`.
#[derive(Clone, Debug, Serialize)]
pub struct MoveRow {
    /// Where they were.
    pub from: String,
    /// Where they were caught up.
    pub to: String,
    /// Why their sessions were lost.
    pub why: String,
    /// How many, and how long, in µs.
    pub back: Moment,
}

/// Moves of one way at about one time.
#[derive(Clone, Debug, Serialize)]
pub struct BurstRow {
    /// Seconds since the measured time began.
    pub at: f64,
    /// Where devices were.
    pub from: String,
    /// Where they were caught up.
    pub to: String,
    /// Why their sessions were lost.
    pub why: String,
    /// How many.
    pub devices: u64,
    /// The longest of them, in ms.
    pub slowest: f64,
}

/// Nodes in the order in which they were met.
#[must_use]
pub fn nodes(outcome: &Outcome) -> Vec<NodeRow> {
    let row = |(number, node): (usize, &crate::tally::Node)| NodeRow {
        address: node.address.clone(),
        devices: outcome.sessions.get(number).copied().unwrap_or_default(),
        accepted: node.accepted,
        delivered: node.delivered,
        ack: Moment::of(&node.ack),
        delivery: Moment::of(&node.delivery),
    };
    outcome.tally.nodes.iter().enumerate().map(row).collect()
}

/// Moves by way.
#[must_use]
pub fn moves(tally: &Tally) -> Vec<MoveRow> {
    let row = |(way, times): (crate::moves::Way, &Histogram<u64>)| MoveRow {
        from: tally.nodes[way.from].address.clone(),
        to: tally.nodes[way.to].address.clone(),
        why: way.why.to_string(),
        back: Moment::of(times),
    };
    tally.moves.ways().map(row).collect()
}

/// Moves by time.
#[must_use]
pub fn bursts(outcome: &Outcome) -> Vec<BurstRow> {
    let tally = &outcome.tally;
    let row = |(at, way, burst): (u64, crate::moves::Way, crate::moves::Burst)| BurstRow {
        at: at.saturating_sub(outcome.begun) as f64 / 1e9,
        from: tally.nodes[way.from].address.clone(),
        to: tally.nodes[way.to].address.clone(),
        why: way.why.to_string(),
        devices: burst.count,
        slowest: burst.slowest as f64 / 1_000.0,
    };
    tally.moves.bursts().map(row).collect()
}

/// The tables for the terminal: nodes if there are several, and moves if there were any.
#[must_use]
pub fn tables(nodes: &[NodeRow], moves: &[MoveRow]) -> String {
    let mut lines = Vec::new();
    if nodes.len() > 1 {
        lines.push(format!(
            "\n{:<36} {:>8} {:>9} {:>9} {:>17} {:>17}",
            "node", "devices", "accepted", "delivered", "ack p50, p99", "delivery p50, p99"
        ));
        lines.extend(nodes.iter().map(|row| {
            let (ack, delivery) = (quantiles(&row.ack), quantiles(&row.delivery));
            format!(
                "{:<36} {:>8} {:>9} {:>9} {ack:>17} {delivery:>17}",
                row.address, row.devices, row.accepted, row.delivered
            )
        }));
    }
    if !moves.is_empty() {
        lines.push(format!(
            "\n{:<36} {:<36} {:<20} {:>8} {:>27}",
            "moved from", "to", "why", "devices", "back after p50, p99, max"
        ));
        lines.extend(moves.iter().map(|row| {
            let back = format!("{}, {:.0} ms", quantiles(&row.back), millis(row.back.max));
            format!("{:<36} {:<36} {:<20} {:>8} {back:>27}", row.from, row.to, row.why, row.back.count)
        }));
    }
    lines.join("\n")
}

fn quantiles(of: &Moment) -> String {
    format!("{:.1}, {:.1}", millis(of.p50), millis(of.p99))
}

/// Of µs.
pub(super) fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}
