//! What a run says: figures as a table, a JSON file for programs, a page for people.

pub mod data;
pub mod html;
pub mod nodes;
pub mod plot;
mod plots;
mod tables;
mod threads;
mod waves;

use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

impl Figure {
    /// A figure.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }
}

/// Prints the table.
pub fn print(figures: &[Figure]) {
    println!("\n{:<42} {:>14}  unit", "figure", "value");
    for figure in figures {
        println!("{:<42} {:>14.2}  {}", figure.name, figure.value, figure.unit);
    }
}

/// Writes a file, and its folder if need be.
///
/// # Errors
/// What the file system says, with the file's name.
pub fn save(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let saved = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, bytes));
    saved.map_err(|error| Failure(format!("{}: {error}", file.display())))
}
