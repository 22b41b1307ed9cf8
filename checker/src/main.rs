//! `volery-checker FILE…`: reads histories, says what they decide and what was broken.
//!
//! Exit code 0: every promise held. 1: one was broken. 2: a file is no history, or proves nothing.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use volery_checker::history::{History, Unreadable};
use volery_checker::violation::Violation;
use volery_checker::{Report, examine};

/// Violations that are told of one file, unless all are asked for.
const TOLD_MOST: usize = 10;

#[derive(Parser)]
#[command(about = "Decides from histories of what clients did and saw whether Volery kept its promises.")]
struct Arguments {
    /// Histories: JSON lines, as docs/checker.md describes them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Tell every violation, not only the first few.
    #[arg(long)]
    all: bool,
}

/// In order of how bad: the worst of all files is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Kept,
    Undecided,
    Broken,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let verdicts = arguments.files.iter().map(|file| judge(file, arguments.all));
    match verdicts.collect::<io::Result<Vec<_>>>().map(|verdicts| verdicts.into_iter().max()) {
        Ok(None | Some(Verdict::Kept)) => ExitCode::SUCCESS,
        Ok(Some(Verdict::Broken)) => ExitCode::from(1),
        Ok(Some(Verdict::Undecided)) | Err(_) => ExitCode::from(2),
    }
}

fn judge(file: &Path, all: bool) -> io::Result<Verdict> {
    let mut out = io::stdout().lock();
    match read(file) {
        Err(error) => {
            writeln!(out, "{}: {error}", file.display())?;
            Ok(Verdict::Undecided)
        }
        Ok(history) => tell(&mut out, file, &history, all),
    }
}

fn read(file: &Path) -> Result<History, Unreadable> {
    History::read(BufReader::new(File::open(file)?))
}

fn tell(out: &mut impl Write, file: &Path, history: &History, all: bool) -> io::Result<Verdict> {
    let Report { violations, summary } = examine(history);
    write!(out, "{}: {}\n{summary}", file.display(), history.of)?;
    let most = if all { violations.len() } else { TOLD_MOST };
    for violation in violations.iter().take(most) {
        write!(out, "\n{}", Violation::tell(violation, history))?;
    }
    if violations.len() > most {
        writeln!(out, "\n{} more; --all tells them", violations.len() - most)?;
    }
    let verdict = match () {
        () if !violations.is_empty() => Verdict::Broken,
        () if summary.proves_nothing() => Verdict::Undecided,
        () => Verdict::Kept,
    };
    writeln!(out, "\n{}", sentence(verdict, violations.len()))?;
    Ok(verdict)
}

fn sentence(verdict: Verdict, violations: usize) -> String {
    match verdict {
        Verdict::Kept => "Every promise held.".to_owned(),
        Verdict::Undecided => "This history proves nothing: no acknowledged send was looked for.".to_owned(),
        Verdict::Broken => format!("Broken promises: {violations}."),
    }
}
