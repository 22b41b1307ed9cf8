//! How far a run is, for who waits: a bar in a terminal, else a line now and then. On stderr, so that
//! the table on stdout stays clean.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock;

/// Lines are no more frequent than this.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One thing that takes a while. It ends when it is dropped.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    of: u64,
    bar: Option<ProgressBar>,
    said: Cell<u64>,
}

impl Progress {
    /// It begins, and is done at `of`.
    #[must_use]
    pub fn new(what: &'static str, of: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(of).with_style(style()).with_message(what));
        if bar.is_none() {
            eprintln!("{what} …");
        }
        Self { what, of, bar, said: Cell::new(clock::nanos()) }
    }

    /// It is so far; `note` says more.
    pub fn at(&self, done: u64, note: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(format!("{} {note}", self.what));
            }
            None if clock::since(self.said.get()) >= LINE_EVERY => {
                self.said.set(clock::nanos());
                eprintln!("{} … {done} of {} {note}", self.what, self.of);
            }
            None => {}
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
