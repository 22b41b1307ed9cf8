//! The report as one page that needs nothing else: no network, no script. Pure text from the data.

use std::fmt::Write as _;

use super::data::{Distribution, Report};
use super::plot::{Plot, Scale, Series, escaped, number};
use super::threads::layers;
use crate::sample::Sample;
use crate::tally::Moment;

const STYLE: &str = include_str!("page.css");
/// Colours of lines and layers; more series than that share the last one.
pub(super) const COLOURS: usize = 8;

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let title = format!("Volery load test: {}", report.scenario);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<style>{STYLE}{}</style></head><body>\n",
        colours()
    );
    let _ = write!(out, "<h1>{title}</h1><p class=\"dim\">{} {}</p>", about(&report.scenario), subtitle(report));
    out += &verdict(report);
    out += &tiles(report);
    out += &rounds(report);
    out += &section("Latency", &latencies(report));
    out += &section("Throughput", &throughput(report));
    out += &section("What it costs", &costs(report));
    out += &errors(report);
    out += &figures(report);
    out += &environment(report);
    out + "</body></html>\n"
}

/// Plots under a heading; nothing if there is nothing to draw.
fn section(title: &str, plots: &[Plot]) -> String {
    let plots: String = plots.iter().map(Plot::html).collect();
    if plots.is_empty() { plots } else { format!("<h2>{title}</h2>\n{plots}") }
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
            "Every connection breaks at the same moment, again and again, and everybody reconnects as a good client does."
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
        ("synced_p99", "until synced, 99 in 100"),
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

fn rounds(report: &Report) -> String {
    if report.rounds.is_empty() {
        return String::new();
    }
    let row = |(at, round): (usize, &crate::scenario::storm::Round)| {
        let cells = [round.broken as f64, round.p50, round.p99, round.last]
            .map(|cell| format!("<td class=\"n\">{}</td>", number(cell)));
        format!("<tr><td>{}</td>{}</tr>", at + 1, cells.concat())
    };
    let rows: String = report.rounds.iter().enumerate().map(row).collect();
    let heads = ["connections broken", "half are synced after, ms", "99 in 100, ms", "the last one, ms"];
    let heads = heads.map(|head| format!("<th class=\"n\">{head}</th>")).concat();
    format!("<h2>Rounds</h2><table><tr><th>round</th>{heads}</tr>{rows}</table>\n")
}

fn over_time(report: &Report, name: &str, value: impl Fn(&Sample) -> Option<f64>) -> Series {
    let points = report.samples.iter().filter_map(|sample| Some((sample.at, value(sample)?)));
    Series { name: name.to_owned(), points: points.collect() }
}

fn latencies(report: &Report) -> Vec<Plot> {
    let moments = |title: &str, of: fn(&Sample) -> Moment| {
        let part = move |of_moment: fn(Moment) -> u64| {
            move |sample: &Sample| Some(of_moment(of(sample)) as f64 / 1_000.0).filter(|_| of(sample).count > 0)
        };
        Plot {
            title: format!("{title} over time"),
            about: "From sample to sample; the scale is logarithmic.".to_owned(),
            x: ("seconds", Scale::Linear),
            y: ("milliseconds", Scale::Log),
            stacked: false,
            series: vec![
                over_time(report, "median", part(|moment| moment.p50)),
                over_time(report, "99 in 100", part(|moment| moment.p99)),
                over_time(report, "slowest", part(|moment| moment.max)),
            ],
        }
    };
    let series = |distribution: &Distribution| Series {
        name: format!("{} ({})", distribution.name, number(distribution.count as f64)),
        points: distribution.points.iter().filter(|(quantile, _)| *quantile < 1.0).copied().collect(),
    };
    vec![
        moments("Delivery", |sample| sample.delivery),
        moments("Acknowledgement", |sample| sample.ack),
        Plot {
            title: "Distribution".to_owned(),
            about: "How long all but the slowest took: each step to the right leaves a tenth of the rest.".to_owned(),
            x: ("share of all", Scale::Nines),
            y: ("milliseconds", Scale::Log),
            stacked: false,
            series: report.distributions.iter().map(series).collect(),
        },
    ]
}

fn throughput(report: &Report) -> Vec<Plot> {
    let plot = |title: &str, about: &str, y, series| Plot {
        title: title.to_owned(),
        about: about.to_owned(),
        x: ("seconds", Scale::Linear),
        y: (y, Scale::Linear),
        stacked: false,
        series,
    };
    vec![
        plot(
            "Messages",
            "A second: what people wanted sent, what was acknowledged as durable, what arrived.",
            "messages a second",
            vec![
                over_time(report, "wanted", |sample| Some(sample.wanted)),
                over_time(report, "acknowledged", |sample| Some(sample.acked)),
                over_time(report, "delivered", |sample| Some(sample.delivered)),
            ],
        ),
        plot(
            "Devices",
            "Connected, with everything that their streams hold.",
            "devices",
            vec![over_time(report, "synced", |sample| Some(sample.synced as f64))],
        ),
    ]
}

fn costs(report: &Report) -> Vec<Plot> {
    let plot = |title: &str, about: &str, x, y, stacked, series| Plot {
        title: title.to_owned(),
        about: about.to_owned(),
        x: (x, Scale::Linear),
        y: (y, Scale::Linear),
        stacked,
        series,
    };
    let mebi = |kib: u64| kib as f64 / 1_024.0;
    let memory = report.memory.iter().map(|(sessions, kib)| (*sessions as f64, mebi(*kib))).collect();
    vec![
        plot(
            "Processor time",
            "By stage of the server, each on top of those before, and of the load test itself, which shares the machine.",
            "seconds",
            "cores",
            true,
            layers(&report.samples),
        ),
        plot(
            "Memory of the server",
            "Resident.",
            "seconds",
            "MiB",
            false,
            vec![over_time(report, "server", |sample| Some(mebi(sample.rss_kib)).filter(|rss| *rss > 0.0))],
        ),
        plot(
            "Memory by sessions",
            "Resident, of the server, with so many idle sessions.",
            "sessions",
            "MiB",
            false,
            vec![Series { name: "server".to_owned(), points: memory }],
        ),
    ]
}

fn errors(report: &Report) -> String {
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
        errors_over_time(report)
    )
}

/// When they happened; nothing if none did while samples were taken.
fn errors_over_time(report: &Report) -> String {
    if report.samples.iter().all(|sample| sample.errors == 0) {
        return String::new();
    }
    let plot = Plot {
        title: "Errors over time".to_owned(),
        about: "From sample to sample, of any code.".to_owned(),
        x: ("seconds", Scale::Linear),
        y: ("errors", Scale::Linear),
        stacked: false,
        series: vec![over_time(report, "errors", |sample| Some(sample.errors as f64))],
    };
    plot.html()
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
            rounds: Vec::new(),
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
