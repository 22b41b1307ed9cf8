//! What a run says: figures as a table, a JSON file for programs, a page for people.

pub mod data;
pub mod html;
mod plot;

use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// Which way is good.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Small is good.
    Lower,
    /// Large is good.
    Higher,
}

/// One figure. Those without a target explain the others.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<f64>,
    better: Better,
    ok: bool,
}

impl Figure {
    /// A figure that only says how it is.
    #[must_use]
    pub fn plain(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, target: None, goal: None, better: Better::Lower, ok: true }
    }

    /// A figure with a target to meet and a goal beyond it.
    #[must_use]
    pub fn judged(name: &str, value: f64, unit: &'static str, better: Better, target: f64, goal: f64) -> Self {
        let ok = match better {
            Better::Lower => value <= target,
            Better::Higher => value >= target,
        };
        Self { target: Some(target), goal: Some(goal), better, ok, ..Self::plain(name, value, unit) }
    }
}

/// Prints the table.
pub fn print(figures: &[Figure]) {
    let judged = figures.iter().any(|figure| figure.target.is_some());
    let (target, goal) = if judged { ("target", "goal") } else { ("", "") };
    println!("\n{:<42} {:>12}  {:<10} {target:>10} {goal:>10}", "figure", "value", "unit");
    for figure in figures {
        let bound = |bound: Option<f64>| bound.map_or(String::new(), |bound| format!("{bound}"));
        let missed = if figure.ok { "" } else { "  missed" };
        let (target, goal) = (bound(figure.target), bound(figure.goal));
        let line =
            format!("{:<42} {:>12.2}  {:<10} {target:>10} {goal:>10}{missed}", figure.name, figure.value, figure.unit);
        println!("{}", line.trim_end());
    }
}

/// Writes the file, and its folder if need be.
///
/// # Errors
/// What the file system says.
pub fn write(file: &Path, figures: &[Figure]) -> Result<(), Failure> {
    save(file, &serde_json::to_vec_pretty(figures)?)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

/// Writes a file, and its folder if need be.
///
/// # Errors
/// What the file system says, with the file's name.
pub fn save(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let saved = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, bytes));
    saved.map_err(|error| Failure(format!("{}: {error}", file.display())))
}
