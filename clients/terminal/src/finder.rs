//! Finding somebody to write to: a name that is typed, people that were found for it.

use volery_client::shell::{ApiError, Person};
use volery_kernel::limits;

use crate::editor::Editor;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finder {
    pub(crate) editor: Editor,
    pub(crate) people: Vec<Person>,
    pub(crate) at: usize,
    pub(crate) says: Option<String>,
}

impl Finder {
    /// The part of a name to search for, once it is long enough.
    pub(crate) fn asks(&mut self) -> Option<String> {
        let part = self.editor.text().trim().trim_start_matches('@').to_owned();
        let least = limits::USER_SEARCH_CHARS_LEAST.value;
        if part.chars().count() < least {
            self.people.clear();
            self.says = Some(format!("at least {least} characters"));
            return None;
        }
        self.says = Some("searching…".to_owned());
        Some(part)
    }

    /// What was found for a part; ignored if something else was typed since.
    pub(crate) fn found(&mut self, part: &str, found: Result<Vec<Person>, ApiError>) {
        if part != self.editor.text().trim().trim_start_matches('@') {
            return;
        }
        self.at = 0;
        match found {
            Ok(people) => {
                self.says = people.is_empty().then(|| "nobody".to_owned());
                self.people = people;
            }
            Err(error) => {
                self.says = Some(error.to_string());
                self.people.clear();
            }
        }
    }

    pub(crate) fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.people.len().saturating_sub(1));
    }

    pub(crate) fn chosen(&self) -> Option<&Person> {
        self.people.get(self.at)
    }
}
