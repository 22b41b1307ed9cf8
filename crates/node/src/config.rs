//! Configuration: one table of keys makes defaults, checks, flags, environment names and the reference.
//!
//! Layers: defaults ← file ← environment ← flags. [`load`] is a pure function of what they say: it
//! reads no file and no environment itself (that is [`load_process`], its shell), and lists all
//! mistakes at once, each with where it was made. To add a key: one line in `config/table.rs`, then `make generate`.

mod layers;
mod process;
mod reference;
mod table;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use layers::{FILE_VARIABLE, Sources, nearest};
pub use process::load_process;
pub use reference::reference;
pub use table::{Config, keys};
pub use value::{
    Bounds, BusEngine, Filter, LogEngine, LogFormat, Millis, Nodes, PublicUrl, Size, TimelineEngine, Value,
};

/// One key of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it stands in the file, sections separated by dots: `gateway.listen`.
    pub name: &'static str,
    /// What its values look like, for people.
    pub kind: &'static str,
    /// Its value if nobody says anything; empty: not set.
    pub default: &'static str,
    /// Which values are taken.
    pub bounds: Bounds,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

impl Key {
    /// The environment variable: `VOLERY_GATEWAY_LISTEN`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("VOLERY_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The long flag without its dashes: `gateway-listen`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the file.
    File {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// In this environment variable.
    Env(String),
    /// By this flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// Something that was said, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The text.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// What is wrong in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was made.
    pub origin: Origin,
    /// What is wrong and what to do.
    pub text: String,
}

/// All mistakes of a configuration, in the order of the layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} mistake{}:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {}: {}", mistake.origin, mistake.text))
    }
}

/// A configuration that was checked, and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// What was said, by the name of the key; keys that keep their default are not here.
    pub said: BTreeMap<&'static str, Said>,
}

impl Loaded {
    /// Every key with its text and its origin, in the order of the table: for `config show`.
    pub fn effective(&self) -> impl Iterator<Item = (&'static Key, &str, &Origin)> {
        keys().iter().map(|key| match self.said.get(key.name) {
            Some(said) => (key, said.text.as_str(), &said.origin),
            None => (key, key.default, &Origin::Default),
        })
    }
}

/// Puts the layers together and checks everything.
///
/// # Errors
/// All mistakes of all layers: syntax, unknown keys, bad values, and values that contradict each other.
pub fn load(sources: &Sources) -> Result<Loaded, Mistakes> {
    let (said, mut mistakes) = layers::collect(sources);
    match Config::read(&said) {
        Ok(config) => {
            mistakes.extend(table::contradictions(&config, &said));
            if mistakes.is_empty() {
                return Ok(Loaded { config, said });
            }
        }
        Err(more) => mistakes.extend(more),
    }
    Err(Mistakes(mistakes))
}

#[cfg(test)]
mod tests;
