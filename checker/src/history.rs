//! What clients did and saw, step by step, in the order in which one observer saw it happen.
//!
//! A history is a file of JSON lines: a [`Header`], then a [`Step`] a line. Recorders push steps into
//! memory and write them when the run is over. The observer is one process with one clock: "before"
//! means an earlier line. A frame counts as sent when it was handed to the socket, and as seen when
//! the client has worked it in.
//!
//! The trap: a step recorded later than it happened can make an honest server look guilty (an `ack`
//! recorded after another device's `hello`) or hide a fault. Record in the event loop, at once.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_wire::client::Shown;
use volery_wire::field;
use volery_wire::server::{MarkKind, Reaction};

use crate::text::{Label, Text};

/// Version of the format.
pub const VERSION: u32 = 2;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub volery_history: u32,
    /// Who recorded it: a command line, a seed.
    pub of: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Microseconds since the history began, by the observer's clock.
    pub at: u64,
    /// Which device, as [`What::Device`] introduced it; [`WORLD`] for what is about no device.
    pub device: u32,
    /// What.
    pub what: What,
}

/// Not a device: the servers, the network.
pub const WORLD: u32 = u32::MAX;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    // ----- lives -----
    /// The first step of a device: numbers count from 0. A replaced device is a new one.
    Device {
        /// Whose.
        #[serde(with = "field::user")]
        user: UserId,
        /// Its id.
        #[serde(with = "field::device")]
        device: DeviceId,
    },
    /// The app starts with what its disk holds.
    Started,
    /// The app ends. What it had not stored is lost to it; what its user had seen was seen.
    Stopped,
    /// The app's disk is back at an older state: it may show again and know less, its view is empty.
    Restored,
    /// Something broke that is about no device: a kill, a pause, a full disk.
    Fault(String),

    // ----- connections -----
    /// `hello` was sent.
    Hello {
        /// Whether it named a position.
        resume: bool,
    },
    /// `welcome` came: the number of the new session.
    Welcome(#[serde(with = "field::session")] SessionNumber),
    /// `synced` came: everything that the stream held at the `hello` must be held now.
    Synced,
    /// `gap` came.
    Gap,
    /// `reset` came: the device forgets what it shows and reads its pages.
    Reset,
    /// Pages were read after a `reset`: the device holds what they showed.
    PagesRead,
    /// The connection is gone, whoever ended it.
    Closed,

    // ----- sends -----
    /// The user wants something said or changed: from here on the device owes an answer.
    Wanted {
        /// Its name; equal to its text's label if it has a text.
        label: Label,
        /// Where.
        #[serde(with = "field::chat")]
        chat: ChatId,
        /// What.
        act: Act,
        /// The largest id that this start of the app had shown in the chat: it must stand after it.
        #[serde(with = "field::id_or_none", default, skip_serializing_if = "Option::is_none")]
        after: Option<Id>,
    },
    /// A send was handed to the socket.
    Sent {
        /// What for.
        label: Label,
        /// Session of its first attempt.
        #[serde(with = "field::session")]
        session: SessionNumber,
        /// Its number there.
        number: u32,
        /// Whether it is flagged as a retry.
        retry: bool,
        /// How far it says that its device had shown the chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<Shown>,
    },
    /// `ack` or a good `answer` came.
    Acked {
        /// Session of the first attempt.
        #[serde(with = "field::session")]
        session: SessionNumber,
        /// Its number there.
        number: u32,
        /// The id.
        #[serde(with = "field::id")]
        id: Id,
        /// Where it was accepted.
        #[serde(with = "field::source")]
        source: Source,
    },
    /// An `answer` came that says that nothing was written, or a refusal before the append.
    Refused {
        /// Session of the first attempt.
        #[serde(with = "field::session")]
        session: SessionNumber,
        /// Its number there.
        number: u32,
        /// The code.
        code: String,
    },
    /// The client tells its user that it is done: the id, or `None` if it is given up for good.
    Ended {
        /// What.
        label: Label,
        /// As what it stands.
        #[serde(with = "field::id_or_none")]
        id: Option<Id>,
    },

    // ----- what is seen -----
    /// A message was shown.
    Showed {
        /// How it came.
        via: Via,
        /// What was shown.
        row: Row,
    },
    /// A change of a message was worked in.
    Changed {
        /// Where.
        #[serde(with = "field::chat")]
        chat: ChatId,
        /// The message.
        #[serde(with = "field::id")]
        id: Id,
        /// The change's own id.
        #[serde(with = "field::id")]
        change: Id,
        /// Who made it.
        #[serde(with = "field::user")]
        by: UserId,
    },
    /// The device was told of a mark.
    Marked {
        /// Where.
        #[serde(with = "field::chat")]
        chat: ChatId,
        /// Whose.
        #[serde(with = "field::user")]
        reader: UserId,
        /// Which.
        kind: MarkKind,
        /// Up to where, in the reader's partition.
        #[serde(with = "field::source")]
        source: Source,
    },
    /// The device says that it holds or that its user has read everything up to there.
    SaidMark {
        /// Where.
        #[serde(with = "field::chat")]
        chat: ChatId,
        /// Which.
        kind: MarkKind,
        /// Up to where, in its user's partition.
        #[serde(with = "field::source")]
        source: Source,
    },

    // ----- at rest: nothing is under way any more -----
    /// A whole chat as pages show it, ascending. Read by a client of a user of the chat.
    Timeline {
        /// Which.
        #[serde(with = "field::chat")]
        chat: ChatId,
        /// All of it.
        rows: Vec<Row>,
    },
    /// The chat list of a device's user, all of it.
    Lines(Vec<Line>),
    /// Everything that the device shows, of all its chats.
    View {
        /// The messages.
        rows: Vec<Row>,
        /// The marks; empty if the client keeps none.
        marks: Vec<Marks>,
    },
}

/// What a user wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A message.
    Say(Text),
    /// Another text.
    Edit {
        /// Of which message.
        #[serde(with = "field::id")]
        target: Id,
        /// The new one.
        text: Text,
    },
    /// Take a message away.
    Delete(#[serde(with = "field::id")] Id),
    /// Put a reaction, or take it back.
    React {
        /// To which message.
        #[serde(with = "field::id")]
        target: Id,
        /// With what; empty to take it back.
        emoji: String,
    },
}

/// How a message came to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// In its user's stream: live, or as a sync.
    Stream,
    /// On a page or in the chat list.
    Page,
}

/// A message as somebody shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Where.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// Its place.
    #[serde(with = "field::id")]
    pub id: Id,
    /// Whose.
    #[serde(with = "field::user")]
    pub from: UserId,
    /// Where it was accepted, in its recipient's partition; 0 if the client does not keep it.
    #[serde(with = "field::source")]
    pub source: Source,
    /// What it says by now; absent once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Each user's newest reaction, by user, also one that was taken back; none once it is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// A line of the chat list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How many are unread, 100 for more than 99.
    pub unread: u32,
    /// The newest message that came in.
    #[serde(with = "field::source")]
    pub newest_incoming: Source,
    /// The marks.
    #[serde(flatten)]
    pub marks: Marks,
}

/// The marks of a chat, as one side sees them. 0 is "none yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Which chat.
    #[serde(with = "field::chat")]
    pub chat: ChatId,
    /// One's own read mark, in one's own partition.
    #[serde(with = "field::source")]
    pub read: Source,
    /// What the other side holds, in the other side's partition.
    #[serde(with = "field::source")]
    pub peer_delivered: Source,
    /// What the other side has read.
    #[serde(with = "field::source")]
    pub peer_read: Source,
}

/// A whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Who recorded it.
    pub of: String,
    /// In the order in which they happened.
    pub steps: Vec<Step>,
}

/// A file that is no history.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file cannot be read.
    #[error("the history cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line that is no step; lines count from 1.
    #[error("line {line} of the history: {why}")]
    Line {
        /// Which.
        line: usize,
        /// Why.
        why: serde_json::Error,
    },
    /// Written by another version, or no history at all.
    #[error("this is no history of version {VERSION}")]
    Version,
}

impl History {
    /// Empty.
    #[must_use]
    pub fn new(of: impl Into<String>) -> Self {
        Self { of: of.into(), steps: Vec::new() }
    }

    /// The next step.
    pub fn push(&mut self, at: u64, device: u32, what: What) {
        self.steps.push(Step { at, device, what });
    }

    /// # Errors
    /// What `out` reports.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        let header = Header { volery_history: VERSION, of: self.of.clone() };
        writeln!(out, "{}", serde_json::to_string(&header)?)?;
        for step in &self.steps {
            serde_json::to_writer(&mut out, step)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// # Errors
    /// [`Unreadable`], with the first line that is wrong.
    pub fn read(input: impl BufRead) -> Result<Self, Unreadable> {
        let mut lines = input.lines();
        let first = lines.next().ok_or(Unreadable::Version)??;
        let header: Header = serde_json::from_str(&first).map_err(|_| Unreadable::Version)?;
        if header.volery_history != VERSION {
            return Err(Unreadable::Version);
        }
        let step = |(line, text): (usize, io::Result<String>)| {
            serde_json::from_str(&text?).map_err(|why| Unreadable::Line { line, why })
        };
        let steps = (2..).zip(lines).map(step).collect::<Result<_, _>>()?;
        Ok(Self { of: header.of, steps })
    }
}
