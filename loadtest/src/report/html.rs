//! The report as one page that needs nothing else: no network, no script. Pure text from the data.

use super::data::Report;
use super::plot::{Plot, escaped, number};
use super::plots::{COLOURS, Plots};
use super::tables::{moves, nodes, storm};
use super::waves::waves;

const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let title = format!("Volery load test: {}", report.scenario);
    let mut out = format!("<p class=\"dim\">{} {}</p>", about(&report.scenario), subtitle(report));
    out += &verdict(report);
    out += &tiles(report);
    let waves = waves(&report.bursts);
    let plots = Plots::of(report, &waves);
    out += &storm(report);
    out += &nodes(report);
    out += &moves(report, &waves);
    out += &if report.moves.is_empty() { String::new() } else { figures_of(&plots.moves()) };
    out += &section("Latency", &plots.latencies());
    out += &section("Throughput", &plots.throughput());
    out += &section("What it costs", &plots.costs());
    out += &errors(report, &plots);
    out += &figures(report);
    out += &environment(report);
    document(&title, &out)
}

/// A page with this heading that needs nothing else.
#[must_use]
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<style>{STYLE}{}</style></head><body>\n\
         <h1>{title}</h1>{body}</body></html>\n",
        colours()
    )
}

/// Plots under a heading; nothing if there is nothing to draw.
fn section(title: &str, plots: &[Plot]) -> String {
    let plots = figures_of(plots);
    if plots.is_empty() { plots } else { format!("<h2>{title}</h2>\n{plots}") }
}

fn figures_of(plots: &[Plot]) -> String {
    plots.iter().map(Plot::html).collect()
}

fn colours() -> String {
    let rule = |at: usize| {
        let colour = at.min(COLOURS - 1);
        format!(
            ".s{at}{{stroke:var(--c{colour})}}.f{at}{{fill:var(--c{colour})}}.k{at}::before{{background:var(--c{colour})}}"
        )
    };
    (0..2 * COLOURS).map(rule).collect()
}

fn about(scenario: &str) -> &'static str {
    match scenario {
        "flood" => {
            "Every pair of users keeps a fixed number of messages unconfirmed: as many go through as the server takes."
        }
        "pairs" => {
            "Pairs of users send at a steady rate, whatever the answers; latencies count from the moment at which \
             a message was meant to be sent, so a stall counts for everything that it held up."
        }
        "day" => "People come, read, answer, chat in bursts with pauses, leave, and come back, some on another device.",
        "storm" => {
            "All connections of a node break at the same moment, again and again, and everybody reconnects as a good \
             client does, while bystanders go on."
        }
        "idle" => "Sessions that have talked and are silent now: what they cost is memory.",
        _ => "",
    }
}

fn subtitle(report: &Report) -> String {
    let devices = number(report.devices as f64);
    match report.seconds {
        0.0 => format!("{devices} devices."),
        seconds => format!("{devices} devices, {} s measured.", number(seconds.round())),
    }
}

fn verdict(report: &Report) -> String {
    let Some(verdict) = &report.verdict else {
        return "<p class=\"verdict none\">This run was not checked.</p>".to_owned();
    };
    let class = if verdict.is_good() { "verdict" } else { "verdict bad" };
    let told = verdict.told.iter().map(|told| format!("<pre>{}</pre>", escaped(told)));
    let file = verdict.history.as_ref();
    let kept =
        file.map(|file| format!("<p>The history is in <code>{}</code>.</p>", escaped(&file.display().to_string())));
    format!(
        "<div class=\"{class}\"><b>Checker: {}.</b> <span class=\"dim\">It read what every device did and saw, and compared: \
         acknowledged messages with the timelines, orders, marks, and what each device showed in the end.</span>\
         <pre>{}</pre>{}{}</div>",
        verdict.sentence(),
        escaped(verdict.summary.trim_end()),
        told.collect::<String>(),
        kept.unwrap_or_default()
    )
}

fn tiles(report: &Report) -> String {
    let wanted = [
        ("messages_per_s", "messages a second"),
        ("delivery_p50", "delivery, median"),
        ("delivery_p99", "delivery, 99 in 100"),
        ("ack_p99", "acknowledgement, 99 in 100"),
        ("page_p99", "page, 99 in 100"),
        ("back_p99", "back and caught up, 99 in 100"),
        ("storm_sessions_per_s", "sessions back a second"),
        ("storm_bystanders_p99", "bystanders' delivery, 99 in 100"),
        ("server_cpu_per_message", "server CPU a message"),
        ("own_cpu_per_message", "load test CPU a message"),
        ("idle_session_kib", "memory of an idle session"),
        ("server_rss", "server memory"),
    ];
    let tile = |(name, about): (&str, &str)| {
        let figure = report.figures.iter().find(|figure| figure.name == name)?;
        let unit = if figure.unit == "1/s" { "" } else { unit(figure.unit) };
        Some(format!("<div class=\"tile\"><b>{} {unit}</b><span>{about}</span></div>", number(figure.value)))
    };
    format!("<div class=\"tiles\">{}</div>\n", wanted.into_iter().filter_map(tile).collect::<String>())
}

fn errors(report: &Report, plots: &Plots<'_>) -> String {
    if report.samples.is_empty() {
        return String::new();
    }
    let row = |(code, count): &(String, u64)| {
        format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>", escaped(code), number(*count as f64))
    };
    let rows: String = report.errors.iter().map(row).collect();
    let table = if rows.is_empty() {
        "<p>None.</p>".to_owned()
    } else {
        format!("<table><tr><th>code</th><th class=\"n\">count</th></tr>{rows}</table>")
    };
    format!(
        "<h2>Errors</h2><p class=\"dim\">Of the whole run: <code>error</code> frames and closes by code, connections that broke or were refused.</p>{table}{}\n",
        figures_of(&plots.errors())
    )
}

/// A unit as people write it.
fn unit(unit: &str) -> &str {
    if unit == "us" { "µs" } else { unit }
}

fn figures(report: &Report) -> String {
    let row = |figure: &super::Figure| {
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escaped(&figure.name),
            number(figure.value),
            figure.unit
        )
    };
    let rows: String = report.figures.iter().map(row).collect();
    format!(
        "<h2>All figures</h2><table><tr><th>figure</th><th class=\"n\">value</th><th>unit</th></tr>{rows}</table>\n"
    )
}

fn environment(report: &Report) -> String {
    let machine = &report.machine;
    let memory = format!("{} MiB", number(machine.memory_mib as f64));
    let rows = [
        ("command", report.command.clone()),
        ("target", report.place.target.clone()),
        ("settings", report.place.settings.join(" ")),
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("memory", memory),
        ("kernel", machine.kernel.clone()),
        ("load at the end", machine.load.clone()),
        ("version", machine.version.clone()),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows: String =
        rows.map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>", escaped(&value))).collect();
    format!("<h2>Where and how</h2><table>{rows}</table>\n")
}

#[cfg(test)]
mod tests {
    use super::super::Figure;
    use super::super::data::Machine;
    use super::*;
    use crate::sample::Sample;
    use crate::target::Place;

    fn report() -> Report {
        Report {
            scenario: "idle".to_owned(),
            command: "loadtest --set a=<b>".to_owned(),
            ended: 0,
            machine: Machine::default(),
            place: Place { target: "here".to_owned(), settings: Vec::new() },
            seconds: 0.0,
            devices: 10,
            figures: vec![Figure::new("idle_session_kib", 2.5, "KiB")],
            samples: Vec::new(),
            distributions: Vec::new(),
            nodes: Vec::new(),
            moves: Vec::new(),
            bursts: Vec::new(),
            storm: None,
            memory: vec![(5, 1_024), (10, 2_048)],
            errors: Vec::new(),
            verdict: None,
        }
    }

    #[test]
    fn a_page_escapes_what_was_typed_and_omits_what_was_not_measured() {
        let page = page(&report());
        assert!(page.contains("a=&lt;b&gt;") && page.contains("2.5 KiB") && page.contains("Memory by sessions"));
        assert!(!page.contains("<h2>Latency") && !page.contains("<h2>Errors") && !page.contains("http"));
        assert_eq!(page.matches("<svg").count(), 1);
    }

    #[test]
    fn errors_are_shown_when_they_happened() {
        let sample = |at, errors| Sample { at, errors, ..Sample::default() };
        let quiet = page(&Report { samples: vec![sample(1.0, 0)], ..report() });
        assert!(quiet.contains("<h2>Errors") && !quiet.contains("Errors over time"));
        assert!(
            page(&Report { samples: vec![sample(1.0, 0), sample(2.0, 3)], ..report() }).contains("Errors over time")
        );
    }
}
