//! Judges the history of a run, and tells it to a person.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use volery_checker::examine;
use volery_checker::history::History;

use crate::failure::Failure;

/// Violations that are told at most; the rest is counted.
const TOLD_MOST: usize = 20;

/// What the checker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// How many promises were broken; 0 is what one wants.
    pub violations: usize,
    /// The first of them, each told with the steps that show it.
    pub told: Vec<String>,
    /// How much was decided, for people.
    pub summary: String,
    /// Whether the history says nothing at all.
    pub proves_nothing: bool,
    /// Where the history is, if it was kept.
    pub history: Option<PathBuf>,
}

impl Verdict {
    /// Judges.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let report = examine(history);
        Self {
            violations: report.violations.len(),
            told: report.violations.iter().take(TOLD_MOST).map(|violation| violation.tell(history)).collect(),
            summary: report.summary.to_string(),
            proves_nothing: report.summary.proves_nothing(),
            history: None,
        }
    }

    /// Whether every promise held and something was decided.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.violations == 0 && !self.proves_nothing
    }

    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match (self.violations, self.proves_nothing) {
            (0, false) => "every promise held".to_owned(),
            (0, true) => "nothing was broken, and nothing was shown: no message was acknowledged and read".to_owned(),
            (count, _) => format!("{count} promises were broken"),
        }
    }

    /// For the terminal.
    pub fn print(&self) {
        println!("\nchecker: {}\n{}", self.sentence(), self.summary);
        self.told.iter().for_each(|violation| println!("{violation}"));
        if self.violations > self.told.len() {
            println!("and {} more", self.violations - self.told.len());
        }
    }
}

/// Lets the checker decide, and keeps the history: where it was `asked` for; else in `evidence` if a promise
/// was broken.
///
/// # Errors
/// What the file system says.
pub fn judge(history: &History, asked: Option<&Path>, evidence: &Path) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::of(history);
    if let Some(file) = asked.or((!verdict.is_good()).then_some(evidence)) {
        keep(history, file)?;
        eprintln!("the history is in {}", file.display());
        verdict.history = Some(file.to_owned());
    }
    Ok(verdict)
}

/// Keeps a history, in a folder that is made if need be.
///
/// # Errors
/// What the file system says, with the file's name.
pub fn keep(history: &History, file: &Path) -> Result<(), Failure> {
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let kept = folder.and_then(|()| File::create(file)).and_then(|file| history.write(BufWriter::new(file)));
    kept.map_err(|error| Failure(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use volery_checker::history::{Act, What};
    use volery_checker::text::Text;
    use volery_kernel::chat::ChatId;
    use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
    use volery_kernel::position::Source;

    use super::*;

    /// An acknowledged message that is not on its page.
    fn lost() -> History {
        let id = |raw| Id::new(raw).expect("an id");
        let (user, device, session) = (UserId(id(1)), DeviceId(id(3)), SessionNumber(id(4)));
        let chat = ChatId::direct(user, UserId(id(2)));
        let text = Text::of("d0.1 hello").expect("a label");
        let steps = [
            What::Device { user, device },
            What::Started,
            What::Wanted { label: text.label, chat, act: Act::Say(text), after: None },
            What::Hello { resume: false },
            What::Welcome(session),
            What::Synced,
            What::Sent { label: text.label, session, number: 1, retry: false, shown: None },
            What::Acked { session, number: 1, id: id(9), source: Source(5) },
            What::Ended { label: text.label, id: Some(id(9)) },
            What::Timeline { chat, rows: Vec::new() },
        ];
        let mut history = History::new("a test");
        (0..).zip(steps).for_each(|(at, what)| history.push(at, 0, what));
        history
    }

    #[test]
    fn an_acknowledged_message_that_is_nowhere_is_told() {
        let mut history = lost();
        let verdict = Verdict::of(&history);
        assert!(!verdict.is_good());
        assert!(verdict.told.iter().any(|told| told.starts_with("G1") && told.contains("d0.1")), "{verdict:?}");
        history.steps.truncate(2);
        assert!(Verdict::of(&history).proves_nothing && !Verdict::of(&history).is_good());
    }

    #[test]
    fn what_breaks_a_promise_is_kept_though_nobody_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let (asked, evidence) = (folder.path().join("asked"), folder.path().join("new/evidence"));
        let read =
            |file: &Path| History::read(std::io::BufReader::new(File::open(file).expect("a file"))).expect("a history");
        let verdict = judge(&lost(), None, &evidence).map_err(|failure| failure.0).expect("kept");
        assert_eq!((verdict.history.as_deref(), read(&evidence)), (Some(evidence.as_path()), lost()));
        let verdict = judge(&lost(), Some(&asked), &folder.path().join("other")).map_err(|failure| failure.0);
        assert_eq!((verdict.expect("kept").history.as_deref(), read(&asked)), (Some(asked.as_path()), lost()));
        assert!(!folder.path().join("other").exists());
    }
}
