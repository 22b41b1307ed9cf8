//! Plots as SVG: lines, stacked areas or dots over one axis each, with marks across. Pure text from numbers;
//! colours and fonts are the page's.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// Room for the word of a mark.
const WORD: f64 = 18.0;
/// Ticks of a linear axis, about.
const TICKS: f64 = 5.0;

/// How numbers become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0 on.
    Linear,
    /// Powers of ten.
    Log,
    /// Quantiles: each nine as wide as the one before.
    Nines,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line through them.
    Lines,
    /// Each series on top of those before it, filled.
    Stacked,
    /// Each by itself.
    Dots,
}

/// One line, one layer, or dots of one colour.
#[derive(Clone, Debug)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Along x.
    pub points: Vec<(f64, f64)>,
}

/// Something that lasted for a while, behind the lines.
#[derive(Clone, Debug)]
pub struct Band {
    /// What it was, for who points at it.
    pub told: String,
    /// Along x.
    pub from: f64,
    /// Along x.
    pub to: f64,
    /// Which of the page's colours.
    pub colour: usize,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// What it shows and how to read it.
    pub about: String,
    /// What runs to the right.
    pub x: (&'static str, Scale),
    /// What runs upwards.
    pub y: (&'static str, Scale),
    /// How points are drawn.
    pub style: Style,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Places on the x axis where something happened, with a short word each.
    pub marks: Vec<(f64, String)>,
}

struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| value.is_finite());
        let values: Vec<f64> = values.filter(|value| scale != Scale::Log || *value > 0.0).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (least, most) = if values.is_empty() { (0.1, 1.0) } else { (least, most) };
        let (from, to) = match scale {
            Scale::Linear => (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }),
            Scale::Log => {
                let (from, to) = (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
                (from, if to > from { to } else { from * 10.0 })
            }
            Scale::Nines => (0.0, nines(most).ceil().max(1.0)),
        };
        Self { scale, from, to }
    }

    /// 0 at the beginning, 1 at the end.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value.max(self.from) / self.from).log10() / (self.to / self.from).log10(),
            Scale::Nines => (nines(value) - self.from) / (self.to - self.from),
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = nice((self.to - self.from) / TICKS);
                let count = ((self.to - self.from) / step).floor() as usize;
                (0..=count).map(|tick| self.from + step * tick as f64).map(|at| (at, number(at))).collect()
            }
            Scale::Log => {
                let (from, to) = (self.from.log10().round() as i32, self.to.log10().round() as i32);
                (from..=to).map(|power| 10_f64.powi(power)).map(|at| (at, number(at))).collect()
            }
            Scale::Nines => (0..=self.to as i32).map(|nines| (1.0 - 10_f64.powi(-nines), percent(nines))).collect(),
        }
    }
}

/// How many nines a quantile has: 0.99 has two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

fn percent(nines: i32) -> String {
    match nines {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        nines => format!("99.{}%", "9".repeat(nines as usize - 2)),
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|nice| *nice >= step * 0.999).unwrap_or(step)
}

/// A number as people write it.
#[must_use]
pub fn number(value: f64) -> String {
    let text = match value.abs() {
        0.0 => return "0".to_owned(),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    thousands(&text)
}

fn thousands(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (at, digit) in whole.char_indices() {
        let left = whole.len() - at;
        if at > 0 && left % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// Text that is safe between tags.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Plot {
    /// The plot with its title and legend; nothing if there is nothing to draw.
    #[must_use]
    pub fn html(&self) -> String {
        self.html_over(&[])
    }

    /// The same over bands.
    #[must_use]
    pub fn html_over(&self, bands: &[Band]) -> String {
        if self.series.iter().all(|series| series.points.is_empty()) {
            return String::new();
        }
        let mut out = format!("<figure><figcaption><h3>{}</h3>", escaped(&self.title));
        let legend = self.series.iter().enumerate();
        let legend = legend.map(|(at, series)| format!("<span class=\"key k{at}\">{}</span>", escaped(&series.name)));
        let _ = write!(
            out,
            "<p>{}</p><p class=\"legend\">{}</p></figcaption>",
            escaped(&self.about),
            legend.collect::<String>()
        );
        out + &self.svg(bands) + "</figure>\n"
    }

    fn svg(&self, bands: &[Band]) -> String {
        let stacked = self.style == Style::Stacked;
        let layers = if stacked { stack(&self.series) } else { self.series.clone() };
        let x = Axis::over(self.x.1, layers.iter().flat_map(|series| series.points.iter().map(|point| point.0)));
        let y = Axis::over(self.y.1, layers.iter().flat_map(|series| series.points.iter().map(|point| point.1)));
        let mut out =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(&self.title));
        bands.iter().for_each(|band| band.draw(&mut out, &x));
        self.grid(&mut out, &x, &y);
        let order: Vec<usize> = if stacked { (0..layers.len()).rev().collect() } else { (0..layers.len()).collect() };
        for at in order {
            match self.style {
                Style::Dots => dots(&mut out, at, &layers[at], &x, &y),
                Style::Lines | Style::Stacked => draw(&mut out, at, &layers[at], &x, &y, stacked),
            }
        }
        self.mark(&mut out, &x);
        out + "</svg>"
    }

    /// Lines across where something happened. Words that would lie on each other are left out.
    fn mark(&self, out: &mut String, x: &Axis) {
        let mut free = LEFT;
        for (at, word) in &self.marks {
            let place = across_x(x, *at);
            let bottom = HEIGHT - BOTTOM;
            let _ =
                write!(out, "<line class=\"mark\" x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
            if place >= free {
                let _ = write!(
                    out,
                    "<text class=\"mark\" x=\"{:.1}\" y=\"{}\">{}</text>",
                    place + 2.0,
                    TOP + 9.0,
                    escaped(word)
                );
                free = place + WORD;
            }
        }
    }

    fn grid(&self, out: &mut String, x: &Axis, y: &Axis) {
        let bottom = HEIGHT - BOTTOM;
        for (at, label) in y.ticks() {
            let place = across_y(y, at);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{place:.1}\" y2=\"{place:.1}\"/>",
                WIDTH - RIGHT
            );
            let _ =
                write!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 6.0, place + 4.0);
        }
        for (at, label) in x.ticks() {
            let place = across_x(x, at);
            let _ =
                write!(out, "<line class=\"grid\" x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
            let _ = write!(out, "<text x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 16.0);
        }
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        let _ = write!(
            out,
            "<text class=\"axis\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 6.0,
            self.x.0
        );
        let middle = TOP + (bottom - TOP) / 2.0;
        let turned = format!("transform=\"rotate(-90 14 {middle})\"");
        let _ = write!(
            out,
            "<text class=\"axis\" x=\"14\" y=\"{middle}\" text-anchor=\"middle\" {turned}>{}</text>",
            self.y.0
        );
    }
}

impl Band {
    /// At least a line wide, however short it was.
    fn draw(&self, out: &mut String, x: &Axis) {
        let (from, to) = (across_x(x, self.from), across_x(x, self.to));
        let _ = write!(
            out,
            "<rect class=\"band f{}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
            self.colour,
            (to - from).max(1.0),
            HEIGHT - BOTTOM - TOP,
            escaped(&self.told)
        );
    }
}

fn across_x(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
}

fn across_y(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - BOTTOM - TOP)
}

fn draw(out: &mut String, at: usize, series: &Series, x: &Axis, y: &Axis, filled: bool) {
    let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else { return };
    let place = |point: &(f64, f64)| format!("{:.1},{:.1}", across_x(x, point.0), across_y(y, point.1));
    let line: Vec<String> = series.points.iter().map(place).collect();
    if filled {
        let floor = HEIGHT - BOTTOM;
        let (begin, end) = (across_x(x, first.0), across_x(x, last.0));
        let _ =
            write!(out, "<polygon class=\"f{at}\" points=\"{begin:.1},{floor} {} {end:.1},{floor}\"/>", line.join(" "));
    }
    let _ = write!(out, "<polyline class=\"s{at}\" points=\"{}\"/>", line.join(" "));
    if series.points.len() == 1 {
        dots(out, at, series, x, y);
    }
}

fn dots(out: &mut String, at: usize, series: &Series, x: &Axis, y: &Axis) {
    for point in &series.points {
        let (cx, cy) = (across_x(x, point.0), across_y(y, point.1));
        let _ = write!(out, "<circle class=\"f{at}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\"/>");
    }
}

/// Each on top of those before it.
fn stack(series: &[Series]) -> Vec<Series> {
    let mut below: Vec<f64> = Vec::new();
    let lift = |series: &Series| {
        below.resize(below.len().max(series.points.len()), 0.0);
        let points = series.points.iter().zip(&mut below).map(|(&(x, y), below)| {
            *below += y;
            (x, *below)
        });
        Series { name: series.name.clone(), points: points.collect() }
    };
    series.iter().map(lift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let written = [0.0, 0.0123, 1.5, 12.34, 1_234_567.0, 99.96].map(number);
        assert_eq!(written, ["0", "0.012", "1.5", "12.3", "1,234,567", "100"]);
    }

    #[test]
    fn axes_hold_their_values() {
        let log = Axis::over(Scale::Log, [0.0, 0.3, 42.0].into_iter());
        assert_eq!(log.ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>(), ["0.1", "1", "10", "100"]);
        assert!((log.place(1.0) - 1.0 / 3.0).abs() < 1e-9);
        let nines = Axis::over(Scale::Nines, [0.5, 0.999].into_iter());
        assert_eq!(nines.ticks().last().map(|(_, label)| label.clone()), Some("99.9%".to_owned()));
        assert!((nines.place(0.9) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn layers_lie_on_each_other() {
        let series = |y| Series { name: String::new(), points: vec![(0.0, y), (1.0, y)] };
        let stacked = stack(&[series(1.0), series(2.0)]);
        assert_eq!(stacked[1].points, [(0.0, 3.0), (1.0, 3.0)]);
    }

    #[test]
    fn bands_lie_behind_lines() {
        let plot = Plot {
            title: "t".to_owned(),
            about: String::new(),
            x: ("s", Scale::Linear),
            y: ("ms", Scale::Linear),
            style: Style::Lines,
            series: vec![Series { name: "a".to_owned(), points: vec![(0.0, 1.0), (10.0, 2.0)] }],
            marks: Vec::new(),
        };
        let band = Band { told: "a <fault>".to_owned(), from: 2.0, to: 2.0, colour: 3 };
        let html = plot.html_over(&[band]);
        assert!(html.contains("width=\"1.0\"") && html.contains("<title>a &lt;fault&gt;</title>"), "{html}");
        assert!(html.find("class=\"band f3\"") < html.find("<polyline"), "{html}");
    }

    #[test]
    fn a_plot_of_nothing_is_nothing() {
        let plot = Plot {
            title: "t".to_owned(),
            about: String::new(),
            x: ("s", Scale::Linear),
            y: ("ms", Scale::Log),
            style: Style::Lines,
            series: vec![Series { name: "a".to_owned(), points: Vec::new() }],
            marks: vec![(1.0, "1".to_owned())],
        };
        assert_eq!(plot.html(), "");
    }

    #[test]
    fn marks_are_drawn_and_their_words_do_not_lie_on_each_other() {
        let plot = Plot {
            title: "t".to_owned(),
            about: String::new(),
            x: ("s", Scale::Linear),
            y: ("ms", Scale::Linear),
            style: Style::Dots,
            series: vec![Series { name: "a".to_owned(), points: vec![(0.0, 1.0), (10.0, 2.0)] }],
            marks: vec![(1.0, "<1>".to_owned()), (1.01, "2".to_owned()), (9.0, "3".to_owned())],
        };
        let html = plot.html();
        let count = |what| html.matches(what).count();
        assert_eq!((count("<circle"), count("<line class=\"mark\""), count("<text class=\"mark\"")), (2, 3, 2));
        assert!(html.contains("&lt;1&gt;") && html.contains(">3<"));
    }
}
