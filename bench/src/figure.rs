//! Figures: what is measured, the target that each has to meet, the table and the file.
//!
//! Trap avoided: a figure that could not be measured is no figure that is met. It stands in the table and
//! in the file without a value, and is not ok.

use serde::Serialize;

use crate::stats::{median, spread};

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Small is good.
    Lower,
    /// Large is good.
    Higher,
}

/// What is measured and what it is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name, for ever: files of different days are compared by it.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// Of its value.
    pub unit: &'static str,
    /// Which way is good.
    pub better: Better,
    /// What it must reach.
    pub target: f64,
    /// What it should reach.
    pub goal: f64,
}

/// A figure as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The figure's name.
    pub name: &'static str,
    /// The median of all rounds; nothing if it could not be measured.
    pub value: Option<f64>,
    /// The smallest round.
    pub min: Option<f64>,
    /// The largest round.
    pub max: Option<f64>,
    /// Of these three.
    pub unit: &'static str,
    /// What it must reach.
    pub target: f64,
    /// What it should reach.
    pub goal: f64,
    /// Which way is good.
    pub better: Better,
    /// Whether the value reaches the target.
    pub ok: bool,
}

/// What explains figures, without a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// `run/what`.
    pub name: String,
    /// The median of all rounds.
    pub value: f64,
    /// Of the value.
    pub unit: &'static str,
}

impl Spec {
    /// Judges the rounds.
    #[must_use]
    pub fn judge(&self, rounds: &[f64]) -> Row {
        let Self { name, unit, better, target, goal, .. } = *self;
        let (value, ends) = (median(rounds), spread(rounds));
        let reaches = |value| match better {
            Better::Lower => value <= target,
            Better::Higher => value >= target,
        };
        let ok = value.is_some_and(reaches);
        Row {
            name,
            value,
            min: ends.map(|(min, _)| min),
            max: ends.map(|(_, max)| max),
            unit,
            target,
            goal,
            better,
            ok,
        }
    }
}

/// The table for people.
#[must_use]
pub fn table(rows: &[Row], shares: &[Share]) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let mut lines = vec![format!(
        "{:<33} {:>10} {:>21}  {:<6} {:>10} {:>10}  ok",
        "figure", "value", "min–max", "unit", "target", "goal"
    )];
    lines.extend(rows.iter().map(|row| {
        let sign = if row.better == Better::Lower { "≤" } else { "≥" };
        let (target, ends) = (format!("{sign} {}", row.target), format!("{}–{}", number(row.min), number(row.max)));
        let (value, ok) = (number(row.value), if row.ok { "yes" } else { "NO" });
        format!("{:<33} {value:>10} {ends:>21}  {:<6} {target:>10} {:>10}  {ok}", row.name, row.unit, row.goal)
    }));
    if !shares.is_empty() {
        lines.push(format!("\n{:<46} {:>10}  unit", "what is behind them", "value"));
    }
    lines.extend(shares.iter().map(|share| format!("{:<46} {:>10.2}  {}", share.name, share.value, share.unit)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Spec =
        Spec { name: "cost", what: "a cost", unit: "us", better: Better::Lower, target: 60.0, goal: 35.0 };
    const SPEED: Spec = Spec { name: "speed", what: "a speed", unit: "1/s", better: Better::Higher, ..COST };

    #[test]
    fn the_target_decides_by_the_median() {
        assert!(COST.judge(&[90.0, 59.0, 60.0]).ok);
        assert!(!COST.judge(&[61.0, 62.0, 1.0]).ok);
        assert!(SPEED.judge(&[90.0, 61.0, 1.0]).ok);
        assert!(!SPEED.judge(&[59.0]).ok);
    }

    #[test]
    fn what_was_not_measured_is_not_ok() {
        let row = SPEED.judge(&[]);
        assert_eq!((row.ok, row.value), (false, None));
        assert!(table(&[row], &[]).ends_with("NO"));
    }

    #[test]
    fn the_file_has_its_promised_fields() {
        let json = serde_json::to_string(&[COST.judge(&[1.5, 2.0, 3.0])]).unwrap();
        let promised = r#"[{"name":"cost","value":2.0,"min":1.5,"max":3.0,"unit":"us","target":60.0,"goal":35.0,"better":"lower","ok":true}]"#;
        assert_eq!(json, promised);
    }
}
