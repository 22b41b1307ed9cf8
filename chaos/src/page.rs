//! The picture: faults as bands behind throughput and latency, over the whole campaign and round by round. One page that needs
//! nothing else; pure text from the data, drawn by the load test's plots.

use std::fmt::Write as _;

use loadtest::report::html::document;
use loadtest::report::plot::{Band, Plot, Scale, Series, Style, escaped, number};
use loadtest::sample::Sample;
use volery_crash::report::Spread;

use crate::fault::Fault;
use crate::report::{findings, lines, sentence, sum};
use crate::state::{Round, State, Struck};

/// The most points of a line.
const POINTS_MOST: usize = 700;
/// What bands are, and their colours on the page.
const LEGEND: [(&str, usize); 5] =
    [("killed", 2), ("held", 4), ("a link is cut", 1), ("an engine is away", 5), ("partitions move", 3)];

/// The page.
#[must_use]
pub fn page(state: &State) -> String {
    let mut body = format!("<p class=\"dim\">{}</p>", escaped(&sum(state)));
    let class = if state.is_good() { "verdict" } else { "verdict bad" };
    let wrong: String =
        state.rounds.iter().flat_map(findings).map(|what| format!("<pre>{}</pre>", escaped(&what))).collect();
    let _ = write!(body, "<div class=\"{class}\"><b>{}.</b>{wrong}</div>", escaped(&sentence(state)));
    let keys = LEGEND.map(|(name, colour)| format!("<span class=\"key k{colour}\">{name}</span>")).concat();
    let _ = write!(body, "<p class=\"legend\">{keys}</p>");
    let samples: Vec<(f64, &Sample)> = state
        .rounds
        .iter()
        .flat_map(|round| round.samples.iter().map(|sample| (round.at + sample.at, sample)))
        .collect();
    let all: Vec<&Struck> = state.struck().collect();
    body += &picture("The whole campaign", &samples, &all, 0.0);
    body += &kinds(state);
    state.rounds.iter().for_each(|round| body += &of_round(round));
    document("Volery chaos", &body)
}

fn of_round(round: &Round) -> String {
    let samples: Vec<_> = round.samples.iter().map(|sample| (sample.at, sample)).collect();
    let struck: Vec<_> = round.struck.iter().collect();
    let row = |struck: &Struck| {
        let cells = [
            number(struck.from - round.at),
            number(struck.to - struck.from),
            struck.under_way.to_string(),
            number(struck.away_ms),
            struck.back_ms.map_or("-".to_owned(), number),
        ];
        let name = escaped(&struck.fault.to_string());
        let counts = if struck.counts { "" } else { " (does not count)" };
        format!("<tr><td>{name}{counts}</td>{}</tr>", cells.map(|cell| format!("<td class=\"n\">{cell}</td>")).concat())
    };
    let rows: String = round.struck.iter().map(row).collect();
    let heads = ["at, s", "lasted, s", "sends under way", "somebody away, ms", "all back after, ms"]
        .map(|head| format!("<th class=\"n\">{head}</th>"));
    let errors: Vec<_> = round.errors.iter().map(|(code, count)| format!("{code} × {count}")).collect();
    format!(
        "<details{}><summary>Round {}</summary>{}<table><tr><th>fault</th>{}</tr>{rows}</table><p class=\"dim\">{}</p></details>\n",
        if round.is_good() { "" } else { " open" },
        round.number,
        picture("", &samples, &struck, round.at),
        heads.concat(),
        escaped(&errors.join(", "))
    )
}

/// Throughput and latency over the same faults; seconds are counted from `from`.
fn picture(title: &str, samples: &[(f64, &Sample)], struck: &[&Struck], from: f64) -> String {
    let bands: Vec<Band> = struck.iter().map(|struck| band(struck, from)).collect();
    let every = samples.len().div_ceil(POINTS_MOST).max(1);
    let over = |name: &str, value: &dyn Fn(&Sample) -> Option<f64>| Series {
        name: name.to_owned(),
        points: samples.chunks(every).filter_map(|chunk| worst(chunk, value)).collect(),
    };
    let millis = |micros: u64| micros as f64 / 1_000.0;
    let delivered =
        |of: fn(&Sample) -> u64| move |sample: &Sample| Some(millis(of(sample))).filter(|_| sample.delivery.count > 0);
    let plot = |what: &str, about: &str, y, series| Plot {
        title: [title, what].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "),
        about: about.to_owned(),
        x: ("seconds", Scale::Linear),
        y,
        style: Style::Lines,
        series,
        marks: Vec::new(),
    };
    let throughput =
        vec![over("acknowledged", &|sample| Some(sample.acked)), over("delivered", &|sample| Some(sample.delivered))];
    let latency = vec![
        over("median", &delivered(|sample| sample.delivery.p50)),
        over("slowest", &delivered(|sample| sample.delivery.max)),
    ];
    let messages = plot(
        "messages",
        "A second. Bands are faults; who points at one is told which.",
        ("messages a second", Scale::Linear),
        throughput,
    );
    let delays = plot(
        "delivery",
        "From the moment at which a message was meant to be sent.",
        ("milliseconds", Scale::Log),
        latency,
    );
    messages.html_over(&bands) + &delays.html_over(&bands)
}

/// Of some samples the one with the largest value: what is thinned out must not hide a peak.
fn worst(chunk: &[(f64, &Sample)], value: &dyn Fn(&Sample) -> Option<f64>) -> Option<(f64, f64)> {
    let values = chunk.iter().filter_map(|(at, sample)| Some((*at, value(sample)?)));
    values.max_by(|one, other| one.1.total_cmp(&other.1))
}

fn band(struck: &Struck, from: f64) -> Band {
    let colour = match struck.fault {
        Fault::Kill(process) | Fault::Hold(process) | Fault::Stop(process) if process.service.is_engine() => {
            LEGEND[3].1
        }
        Fault::Outage | Fault::Stop(_) => LEGEND[3].1,
        Fault::Kill(_) => LEGEND[0].1,
        Fault::Hold(_) => LEGEND[1].1,
        Fault::Cut(..) => LEGEND[2].1,
        Fault::Drain(_) | Fault::Join => LEGEND[4].1,
    };
    Band { told: struck.fault.to_string(), from: struck.from - from, to: struck.to - from, colour }
}

fn kinds(state: &State) -> String {
    let cells = |spread: Option<Spread>| {
        let cell = |of: fn(Spread) -> f64| spread.map_or("-".to_owned(), |spread| number(of(spread)));
        format!(
            "<td class=\"n\">{}</td><td class=\"n\">{}</td>",
            cell(|spread| spread.median),
            cell(|spread| spread.max)
        )
    };
    let row = |line: crate::report::Line| {
        let (name, counted) = (escaped(&line.kind), line.counted);
        format!("<tr><td>{name}</td><td class=\"n\">{counted}</td>{}{}</tr>", cells(line.away_ms), cells(line.back_ms))
    };
    let rows: String = lines(state).into_iter().map(row).collect();
    let heads = ["faults", "somebody away, ms: median", "most", "all back after, ms: median", "most"]
        .map(|head| format!("<th class=\"n\">{head}</th>"));
    format!(
        "<h2>By kind</h2><p class=\"dim\">Times are of faults that met no other. Away: from the strike to the last moment at \
         which somebody who is always there was not synced. Back: from the healing until everybody was.</p>\
         <table><tr><th>kind</th>{}</tr>{rows}</table>\n",
        heads.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Shape;
    use crate::state::Identity;

    #[test]
    fn a_page_shows_each_fault_over_its_round_and_over_all() {
        let sample = |at, acked| Sample { at, acked, ..Sample::default() };
        let struck = Struck {
            fault: Fault::Drain(2),
            from: 101.0,
            to: 103.0,
            under_way: 7,
            met: false,
            counts: true,
            away_ms: 12.0,
            back_ms: Some(34.0),
        };
        let samples = vec![sample(1.0, 10.0), sample(2.0, 20.0)];
        let round = Round { number: 4, at: 100.0, samples, struck: vec![struck], ..Round::default() };
        let mut state = State::new(Identity { seed: 1, shape: Shape { nodes: 2, copies: 1 }, kinds: Vec::new() });
        state.rounds.push(round);
        let page = page(&state);
        assert_eq!(page.matches("<title>drain messaging-2</title>").count(), 2, "{page}");
        assert!(page.contains("<summary>Round 4</summary>") && page.contains("<td class=\"n\">34</td>"), "{page}");
        assert!(!page.contains("http"), "{page}");
    }

    #[test]
    fn thinning_keeps_the_worst() {
        let samples: Vec<Sample> = (0..10).map(|at| Sample { acked: f64::from(at % 7), ..Sample::default() }).collect();
        let chunk: Vec<_> = samples.iter().map(|sample| (0.5, sample)).collect();
        assert_eq!(worst(&chunk, &|sample| Some(sample.acked)), Some((0.5, 6.0)));
    }
}
