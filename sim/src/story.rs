//! What happened: counted always, told in lines when somebody listens.
//!
//! Every line names what it is about (messages, devices, nodes, partitions), so that of a run of
//! thousands of lines only the few remain that matter to a violation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

struct Line {
    at: u64,
    tags: Vec<String>,
    text: String,
}

/// See the module.
#[derive(Default)]
pub struct Story {
    on: bool,
    lines: Vec<Line>,
    counts: BTreeMap<&'static str, u64>,
}

impl Story {
    /// Tells lines if `on`; counts in any case.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Whether lines are wanted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// A line about `tags`; one about "all" belongs to every story.
    pub fn line(&mut self, at: u64, tags: &[&dyn std::fmt::Display], text: String) {
        self.lines.push(Line { at, tags: tags.iter().map(ToString::to_string).collect(), text });
    }

    /// Something interesting happened.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// How often each interesting thing happened.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The lines about one of `tags`, or all lines if there are none.
    #[must_use]
    pub fn tell(&self, tags: &[String]) -> String {
        let mut out = String::new();
        let matters = |line: &&Line| tags.is_empty() || line.tags.iter().any(|tag| tag == "all" || tags.contains(tag));
        for line in self.lines.iter().filter(matters) {
            let _ = writeln!(out, "{:>9.3} s  {}", line.at as f64 / 1_000.0, line.text);
        }
        out
    }
}

/// Tells a line if somebody listens: `tell!(world, [tags], "text {}", …)`.
macro_rules! tell {
    ($world:expr, [$($tag:expr),*], $($text:tt)*) => {
        if $world.story.is_on() {
            let text = format!($($text)*);
            $world.story.line($world.now - $crate::world::START_MS, &[$(&$tag),*], text);
        }
    };
}
pub(crate) use tell;
