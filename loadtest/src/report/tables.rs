//! Tables of the page: the storm, nodes, moves between them. Pure text from the data; nothing where there is
//! nothing to say.

use super::data::Report;
use super::nodes::{MoveRow, NodeRow, millis};
use super::plot::{escaped, number};
use super::waves::Wave;
use crate::latency::Moment;
use crate::scenario::storm::Round;

/// Waves in the table; the file has the rest.
const WAVES_MOST: usize = 200;

/// A table: what its columns are called, which of them are numbers, and its rows.
fn table<const N: usize>(heads: [&str; N], words: usize, rows: impl Iterator<Item = [String; N]>) -> String {
    let class = |at: usize| if at < words { "" } else { " class=\"n\"" };
    let head = heads.iter().enumerate().map(|(at, head)| format!("<th{}>{head}</th>", class(at)));
    let cells = |row: [String; N]| {
        row.iter().enumerate().map(|(at, cell)| format!("<td{}>{}</td>", class(at), escaped(cell))).collect::<String>()
    };
    let rows: String = rows.map(|row| format!("<tr>{}</tr>", cells(row))).collect();
    format!("<table><tr>{}</tr>{rows}</table>\n", head.collect::<String>())
}

pub(super) fn storm(report: &Report) -> String {
    let Some(storm) = &report.storm else { return String::new() };
    let p99 = |of: &Moment| number(millis(of.p99));
    let row = |(at, round): (usize, &Round)| {
        let from = round.syncs.map_or("unknown".to_owned(), |syncs| {
            format!("{}, {}, {}, {}", syncs.tail, syncs.log, syncs.index, syncs.reset)
        });
        [
            format!("{}", at + 1),
            number(round.broken as f64),
            number(round.p50),
            number(round.p99),
            number(round.last),
            number(round.per_second.round()),
            p99(&round.before),
            p99(&round.meanwhile),
            round.cpu.map_or("unknown".to_owned(), number),
            from,
        ]
    };
    let heads = [
        "round",
        "connections broken",
        "half synced, ms",
        "99 in 100, ms",
        "the last, ms",
        "sessions/s",
        "bystanders' delivery before, 99 in 100, ms",
        "meanwhile",
        "server CPU, s",
        "synced from tail, log, index, anew",
    ];
    format!(
        "<h2>The storm</h2><p class=\"dim\">At {}. Each round: all its connections break, and all come back.</p>{}",
        escaped(&storm.node),
        table(heads, 1, storm.rounds.iter().enumerate().map(row))
    )
}

pub(super) fn nodes(report: &Report) -> String {
    if report.nodes.len() < 2 {
        return String::new();
    }
    let row = |row: &NodeRow| {
        let count = |count: u64| number(count as f64);
        let [ack50, ack99] = [row.ack.p50, row.ack.p99].map(|micros| number(millis(micros)));
        let [p50, p99, max] =
            [row.delivery.p50, row.delivery.p99, row.delivery.max].map(|micros| number(millis(micros)));
        let (devices, accepted, delivered) = (count(row.devices as u64), count(row.accepted), count(row.delivered));
        [row.address.clone(), devices, accepted, delivered, ack50, ack99, p50, p99, max]
    };
    let heads = [
        "node",
        "devices at the end",
        "accepted",
        "delivered",
        "acknowledgement, median, ms",
        "99 in 100",
        "delivery, median, ms",
        "99 in 100",
        "slowest",
    ];
    format!("<h2>Nodes</h2>{}", table(heads, 1, report.nodes.iter().map(row)))
}

pub(super) fn moves(report: &Report, waves: &[Wave]) -> String {
    if report.moves.is_empty() {
        return String::new();
    }
    let way = |row: &MoveRow| {
        let back = [row.back.p50, row.back.p99, row.back.max].map(|micros| number(millis(micros).round()));
        let [p50, p99, max] = back;
        [row.from.clone(), row.to.clone(), row.why.clone(), number(row.back.count as f64), p50, p99, max]
    };
    let wave = |(number_of, wave): (usize, &Wave)| {
        let to = wave.to.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let (at, devices, slowest) =
            (format!("{:.1}", wave.at), number(wave.devices as f64), number(wave.slowest.round()));
        [format!("{number_of}"), wave.from.clone(), to, wave.why.clone(), at, devices, slowest]
    };
    let ways = ["from", "to", "why", "devices", "back, median, ms", "99 in 100", "slowest"];
    let times = ["mark", "from", "to", "why", "at, s", "devices", "the last back, ms"];
    format!(
        "<h2>Moves</h2><p class=\"dim\">Every session that was lost, and how long its device took from the loss of its \
         socket until everything was there again.</p>{}<p class=\"dim\">The same by time, as the plots are marked:</p>{}",
        table(ways, 3, report.moves.iter().map(way)),
        table(times, 4, (1..).zip(waves.iter()).take(WAVES_MOST).map(wave))
    )
}
