//! How much a history decides. A history without acknowledgements, timelines or syncs breaks no
//! promise and proves nothing: these counts show it.

use std::fmt;

/// Counts of what a history holds and of what was decided from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps.
    pub steps: usize,
    /// Devices.
    pub devices: usize,
    /// Users with a device.
    pub users: usize,
    /// Sends wanted.
    pub wanted: usize,
    /// Sends acknowledged.
    pub acknowledged: usize,
    /// Sends retried at least once.
    pub retried: usize,
    /// Messages known by an id.
    pub messages: usize,
    /// Acknowledged messages and changes that were looked for in a timeline at rest.
    pub durable: usize,
    /// Chats read whole at rest.
    pub timelines: usize,
    /// `synced`s that were decided.
    pub syncs: usize,
    /// Messages and changes that those had to hold, each once a device and reset.
    pub required: usize,
    /// Marks said or told that were decided.
    pub marks: usize,
    /// Lines of chat lists that were decided.
    pub lines: usize,
    /// Devices whose view was compared with the timelines.
    pub views: usize,
    /// What could not be decided.
    pub undecided: Undecided,
}

/// What a history leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    /// Acknowledged sends into chats that nobody read at rest.
    pub durable: usize,
    /// Messages whose source nobody told: marks say nothing about them.
    pub sources: usize,
    /// `synced`s of devices that came back at an older state and were not reset since.
    pub syncs: usize,
    /// Lines of chats that were not read at rest, or with messages whose source nobody told.
    pub lines: usize,
    /// Devices without a view at rest, or not running then.
    pub views: usize,
}

impl Summary {
    /// Whether a history without violations says nothing at all.
    #[must_use]
    pub fn proves_nothing(&self) -> bool {
        self.durable == 0 && self.required == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, devices, users, wanted, acknowledged, retried, messages, undecided, .. } = self;
        writeln!(f, "{steps} steps of {devices} devices of {users} users")?;
        writeln!(f, "{wanted} sends wanted, {acknowledged} acknowledged, {retried} retried; {messages} messages")?;
        let decided = [
            ("acknowledged sends looked for in timelines", self.durable, undecided.durable),
            ("syncs compared with what the stream held", self.syncs, undecided.syncs),
            ("messages and changes that they had to hold", self.required, 0),
            ("marks said or told", self.marks, undecided.sources),
            ("lines of chat lists", self.lines, undecided.lines),
            ("devices compared with the timelines", self.views, undecided.views),
            ("chats read at rest", self.timelines, 0),
        ];
        for (what, decided, open) in decided {
            let open = if open > 0 { format!("  ({open} open)") } else { String::new() };
            writeln!(f, "{decided:>9}  {what}{open}")?;
        }
        Ok(())
    }
}
