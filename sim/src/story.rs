//! What happened: counted always, told in lines when somebody listens.
//!
//! Every line names what it is about (messages, devices, nodes, partitions), so that of a run of
//! thousands of lines only the few remain that matter to a violation.

use std::fmt::Write as _;

macro_rules! happenings {
    ($($name:ident = $text:literal;)*) => {
        /// Something interesting, counted over all seeds. Over enough seeds each must have happened, or
        /// the world is a calm sea in which nothing is proven.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum What {
            $(#[doc = $text] $name,)*
        }

        impl What {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As people read it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

happenings! {
    Sent = "send";
    Retried = "flagged retry sent";
    Acked = "ack";
    RetryFound = "retry resolved to an existing id";
    RetryNew = "retry resolved as new";
    RetriesTogether = "retries looked up together";
    RetryAnswered = "retry answered";
    AnswerSetBy = "answer set by, its target took nothing";
    AppendRefused = "append refused, nothing written";
    AppendLost = "append failed and lost";
    AppendKept = "append failed and kept";
    AppendKeptLate = "append failed and kept very late";
    AppendSlow = "append slow";
    AppendTwice = "append twice";
    LateDropped = "late send dropped";
    Fenced = "fenced record";
    Flagged = "flagged record";
    SessionEnded = "session ended by a failed append";
    Stale = "stale send refused";
    SessionReplaced = "session replaced";
    Joined = "node joined later";
    Drain = "node drained";
    DrainInRetry = "drain in the middle of retries";
    LeaseLost = "lease lost";
    LeaseLostPaused = "lease lost while paused";
    MapLost = "map lost";
    MapOutOfOrder = "map heard out of order";
    MovedTold = "moved told";
    HelloMoved = "hello at another node than the owner";
    HelloNoNode = "hello that nobody serves";
    HelloEarly = "hello before the partition was read";
    ZombieOwner = "zombie owner";
    ZombieSend = "zombie that took a send";
    BothSides = "both sides of a cut took sends";
    TailHit = "tail hit";
    NothingMissed = "nothing missed before the tail";
    TailExtended = "tail extended backwards";
    IndexSync = "index sync";
    IndexJoined = "tail joined to index";
    Loose = "loose delivery";
    Synced = "synced";
    Gap = "gap";
    Reset = "reset";
    OutOfRange = "out-of-range position";
    OtherLog = "position of another log";
    IndexTooOld = "position older than the index";
    LogReleased = "log released below";
    FanoutReplay = "fan-out replay";
    ReadAgain = "log read again for a target that took nothing";
    FanoutTwice = "two fan-outs of one partition";
    ArchiveReplay = "archive replay";
    ArchiveTwice = "two archives of one partition";
    DerivedTwice = "derived event twice";
    WrittenLate = "rows of an archive that has ended, written late";
    ArchiveTorn = "archive killed between its own rows and its commit";
    RowAhead = "row written ahead of its origin";
    OriginAwaited = "origin awaited and written in time";
    OriginMissed = "origin awaited in vain";
    ResolvedLate = "message resolved late";
    Mark = "mark";
    MarkAhead = "mark ahead of a smaller id";
    MarkRepeated = "delivered mark said again";
    ClockStep = "clock stepped";
    ClockDrift = "clock drifting";
    NodeCrash = "node crashed";
    NodePause = "node paused";
    Outage = "timeline away";
    Cut = "connection cut";
    Restarted = "app restarted";
    Restored = "device restored from a backup";
    Replaced = "device replaced by a new one";
    AwayMinutes = "device away for minutes";
    AwayMonths = "device away for months";
    Forged = "forged change";
}

struct Line {
    at: u64,
    tags: Vec<String>,
    text: String,
}

/// How often everything happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; What::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; What::ALL.len()])
    }
}

impl Counts {
    /// How often this happened.
    #[must_use]
    pub fn of(&self, what: What) -> u64 {
        self.0[what as usize]
    }

    /// Takes in what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// What never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        What::ALL.iter().filter(|what| self.of(**what) == 0).map(|what| what.text()).collect()
    }

    /// A line each.
    #[must_use]
    pub fn table(&self) -> String {
        What::ALL.iter().fold(String::new(), |mut out, what| {
            let _ = writeln!(out, "{:>12}  {}", self.of(*what), what.text());
            out
        })
    }
}

/// See the module.
#[derive(Default)]
pub struct Story {
    on: bool,
    lines: Vec<Line>,
    counts: Counts,
}

impl Story {
    /// Tells lines if `on`; counts in any case.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Whether lines are wanted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// A line about `tags`; one about "all" belongs to every story.
    pub fn line(&mut self, at: u64, tags: &[&dyn std::fmt::Display], text: String) {
        self.lines.push(Line { at, tags: tags.iter().map(ToString::to_string).collect(), text });
    }

    /// Something interesting happened.
    pub fn count(&mut self, what: What) {
        self.counts.0[what as usize] += 1;
    }

    /// How often each interesting thing happened.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The lines about one of `tags`, or all lines if there are none.
    #[must_use]
    pub fn tell(&self, tags: &[String]) -> String {
        let mut out = String::new();
        let matters = |line: &&Line| tags.is_empty() || line.tags.iter().any(|tag| tag == "all" || tags.contains(tag));
        for line in self.lines.iter().filter(matters) {
            let _ = writeln!(out, "{:>9.3} s  {}", line.at as f64 / 1_000.0, line.text);
        }
        out
    }
}

/// Tells a line if somebody listens: `tell!(world, [tags], "text {}", …)`.
macro_rules! tell {
    ($world:expr, [$($tag:expr),*], $($text:tt)*) => {
        if $world.story.is_on() {
            let text = format!($($text)*);
            $world.story.line($world.now - $crate::world::START_MS, &[$(&$tag),*], text);
        }
    };
}
pub(crate) use tell;
