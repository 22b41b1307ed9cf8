//! Texts to values: one kind of value, one reader. The file's numbers and booleans arrive as text too.

use std::net::SocketAddr;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Which values of its kind a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Bounds {
    /// All.
    Any,
    /// Numbers from the first to the second, both included.
    Within(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A kind of value.
pub trait Value: Sized {
    /// How people call it; with its unit.
    const KIND: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    fn read(text: &str, bounds: &Bounds) -> Result<Self, String>;
}

/// A number of bytes: `65536`, `64KiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A number of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The same as a duration.
    #[must_use]
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one object a line.
    Json,
}

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEngine {
    /// Segment files in the data folder.
    Embedded,
    /// A topic.
    Kafka,
}

/// Where the bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusEngine {
    /// In the process.
    Embedded,
    /// A server that nodes share.
    Redis,
}

/// Where the timeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineEngine {
    /// A store in the data folder.
    Embedded,
    /// Cassandra or ScyllaDB.
    Cassandra,
}

fn within(number: u64, bounds: &Bounds, unit: &str) -> Result<u64, String> {
    match bounds {
        Bounds::Within(low, high) if !(low..=high).contains(&&number) => {
            Err(format!("{number} is out of range: give {low} to {high}{unit}"))
        }
        _ => Ok(number),
    }
}

fn number(text: &str, bounds: &Bounds, unit: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let number = digits.parse().map_err(|_| format!("`{text}` is not a whole number{unit}"))?;
    within(number, bounds, unit)
}

impl Value for u32 {
    const KIND: &'static str = "number";

    fn read(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::try_from(number(text, bounds, "")?).map_err(|_| format!("{text} is too large: at most {}", Self::MAX))
    }
}

impl Value for Millis {
    const KIND: &'static str = "milliseconds";

    fn read(text: &str, bounds: &Bounds) -> Result<Self, String> {
        number(text, bounds, " milliseconds").map(Self)
    }
}

impl Value for Size {
    const KIND: &'static str = "bytes, or KiB, MiB, GiB, TiB";

    fn read(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let shift = match unit.trim() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(format!("`{text}` is not a size: write bytes, or a number with KiB, MiB, GiB or TiB")),
        };
        let count = number(digits, &Bounds::Any, " of bytes")?;
        let bytes = count.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large"))?;
        within(bytes, bounds, " bytes").map(Self)
    }
}

impl Value for SocketAddr {
    const KIND: &'static str = "address:port";

    fn read(text: &str, _: &Bounds) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!("`{text}` is not an address with a port: write 127.0.0.1:8400, 0.0.0.0:8400 or [::]:8400")
        })
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";

    fn read(text: &str, _: &Bounds) -> Result<Self, String> {
        if text.is_empty() { Err("a path is needed".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Value for String {
    const KIND: &'static str = "text";

    fn read(text: &str, _: &Bounds) -> Result<Self, String> {
        if text.is_empty() { Err("a text is needed".to_owned()) } else { Ok(text.to_owned()) }
    }
}

macro_rules! one_of_two {
    ($kind:ident: $one:literal => $first:ident, $two:literal => $second:ident) => {
        impl Value for $kind {
            const KIND: &'static str = "word";

            fn read(text: &str, _: &Bounds) -> Result<Self, String> {
                match text {
                    $one => Ok(Self::$first),
                    $two => Ok(Self::$second),
                    _ => Err(format!("`{text}` is neither `{}` nor `{}`", $one, $two)),
                }
            }
        }
    };
}

one_of_two!(LogFormat: "text" => Text, "json" => Json);
one_of_two!(BusEngine: "embedded" => Embedded, "redis" => Redis);
one_of_two!(LogEngine: "embedded" => Embedded, "kafka" => Kafka);
one_of_two!(TimelineEngine: "embedded" => Embedded, "cassandra" => Cassandra);

/// An address that clients use: `ws://`, `wss://`, `http://` or `https://`, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl Value for PublicUrl {
    const KIND: &'static str = "URL";

    fn read(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let Bounds::OneOf(schemes) = bounds else { return Ok(Self(text.to_owned())) };
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"));
        match rest {
            Some(host) if !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(format!("`{text}` is not a URL of {}: write {}://host", schemes.join(" or "), schemes[0])),
        }
    }
}

/// Where a role runs: `http://host:port` by commas, or `https://` for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes(pub Vec<String>);

impl Nodes {
    /// Whether they are asked by TLS.
    #[must_use]
    pub fn are_encrypted(&self) -> bool {
        self.0.iter().any(|node| node.starts_with("https://"))
    }
}

impl Value for Nodes {
    const KIND: &'static str = "URLs by commas";

    fn read(text: &str, _: &Bounds) -> Result<Self, String> {
        let nodes: Vec<_> = text.split(',').map(|node| node.trim().to_owned()).collect();
        if let Some(bad) = nodes.iter().find(|node| !is_endpoint(node)) {
            return Err(format!("`{bad}` is no address of a role: write http://host:port, several by commas"));
        }
        let encrypted = nodes.iter().filter(|node| node.starts_with("https://")).count();
        if encrypted > 0 && encrypted < nodes.len() {
            return Err("some are https:// and some http://: roles ask each other by TLS all or none".to_owned());
        }
        Ok(Self(nodes))
    }
}

fn is_endpoint(node: &str) -> bool {
    let rest = node.strip_prefix("http://").or_else(|| node.strip_prefix("https://"));
    let parts = rest.and_then(|rest| rest.rsplit_once(':'));
    parts.is_some_and(|(host, port)| {
        let plain = !host.is_empty() && !host.contains(['/', '@', '?', '#']) && !host.contains(char::is_whitespace);
        plain && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Which lines the log keeps: a level, or levels by target, `info,volery_messaging=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(pub String);

impl Filter {
    /// As the logger takes it. Values of fields are compared as they are: a regular expression of a few
    /// thousand signs would take minutes and gigabytes to compile.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compiled(&self) -> Result<EnvFilter, ParseError> {
        EnvFilter::builder().with_regex(false).parse(&self.0)
    }
}

impl Value for Filter {
    const KIND: &'static str = "level, or target=level, by commas";

    fn read(text: &str, _: &Bounds) -> Result<Self, String> {
        let filter = Self(text.to_owned());
        filter
            .compiled()
            .map(|_| filter)
            .map_err(|error| format!("`{text}` is not a filter ({error}): write info, or info,volery_messaging=debug"))
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read(text: &str, bounds: &Bounds) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text, bounds).map(Some) }
    }
}
