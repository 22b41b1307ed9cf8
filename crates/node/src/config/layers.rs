//! What file, environment and flags say, put on top of each other. Only names are judged here, never values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Key, Mistake, Origin, Said, keys};

/// The environment variable that names the file; it is no key.
pub const FILE_VARIABLE: &str = "VOLERY_CONFIG";

/// What the layers say, lowest first, as a binary found it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file's path and text.
    pub file: Option<(PathBuf, String)>,
    /// The whole environment; what does not begin with `VOLERY_` is not looked at.
    pub env: Vec<(String, String)>,
    /// `--gateway-listen X` as `("gateway-listen", X)`, `--set gateway.listen=X` as `("gateway.listen", X)`;
    /// of two for one key the later counts.
    pub flags: Vec<(String, String)>,
}

/// By the name of the key, the highest layer's word.
type AllSaid = BTreeMap<&'static str, Said>;

/// Puts the layers together.
pub(super) fn collect(sources: &Sources) -> (AllSaid, Vec<Mistake>) {
    let mut collector = Collector::default();
    if let Some((path, text)) = &sources.file {
        collector.file(path, text);
    }
    for (name, value) in &sources.env {
        collector.env(name, value);
    }
    for (name, value) in &sources.flags {
        collector.flag(name, value);
    }
    (collector.said, collector.mistakes)
}

#[derive(Default)]
struct Collector {
    said: AllSaid,
    mistakes: Vec<Mistake>,
}

impl Collector {
    fn file(&mut self, path: &Path, text: &str) {
        let breaks: Vec<usize> = text.match_indices('\n').map(|(offset, _)| offset).collect();
        let line = |offset| 1 + breaks.partition_point(|&before| before < offset);
        let at = |offset: usize| Origin::File { path: path.to_owned(), line: line(offset) };
        match DeTable::parse(text) {
            Ok(table) => self.table("", table.get_ref(), &at),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                self.refuse(at(offset), format!("this is not TOML: {}", error.message()));
            }
        }
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>, at: &impl Fn(usize) -> Origin) {
        for (key, value) in table {
            let name =
                if section.is_empty() { key.get_ref().to_string() } else { format!("{section}.{}", key.get_ref()) };
            let origin = at(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) if inner.is_empty() && !is_section(&name) => self.unknown(&name, origin),
                DeValue::Table(inner) => self.table(&name, inner, at),
                other => match scalar(other) {
                    Some(text) => self.say(|key| key.name == name, &name, text, origin),
                    None => self.refuse(origin, format!("{name}: give one value, not a list")),
                },
            }
        }
    }

    fn env(&mut self, name: &str, value: &str) {
        if name.starts_with("VOLERY_") && name != FILE_VARIABLE && !injected_by_kubernetes(name, value) {
            self.say(|key| key.env() == name, name, value.to_owned(), Origin::Env(name.to_owned()));
        }
    }

    fn flag(&mut self, name: &str, value: &str) {
        let origin = Origin::Flag(name.to_owned());
        self.say(|key| key.name == name || key.flag() == name, name, value.to_owned(), origin);
    }

    fn say(&mut self, is: impl Fn(&Key) -> bool, name: &str, text: String, origin: Origin) {
        match keys().iter().find(|key| is(key)) {
            Some(key) => {
                self.said.insert(key.name, Said { text, origin });
            }
            None => self.unknown(name, origin),
        }
    }

    fn unknown(&mut self, name: &str, origin: Origin) {
        let hint = nearest_key(name, &origin).map_or_else(String::new, |known| format!(": did you mean `{known}`?"));
        self.refuse(origin, format!("there is no key `{name}`{hint}"));
    }

    fn refuse(&mut self, origin: Origin, text: String) {
        self.mistakes.push(Mistake { origin, text });
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn is_section(name: &str) -> bool {
    keys().iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// Kubernetes sets variables for every service, in our name space if the service is called `volery-…`.
fn injected_by_kubernetes(name: &str, value: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
}

/// The key that is nearest, written as names are where the mistake was made.
fn nearest_key(name: &str, origin: &Origin) -> Option<String> {
    let spelled = |key: &Key| match origin {
        Origin::Env(_) => key.env(),
        Origin::Flag(_) if !name.contains('.') => key.flag(),
        _ => key.name.to_owned(),
    };
    nearest(name, keys().iter().map(spelled))
}

/// The known name that is nearest to one that is not known; none if none is near. A name that is too long to be near
/// to any is compared with none: it may be as long as whoever wrote it liked.
pub fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let near = |known: &String| 1 + known.len() / 4;
    let known = known.filter(|known| name.len().abs_diff(known.len()) <= near(known));
    let known = known.map(|known| (distance(name, &known), known));
    known.min().filter(|(distance, known)| *distance <= near(known)).map(|(_, known)| known)
}

/// Insertions, deletions and replacements from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
