//! The labels that metrics have. Their texts are public: dashboards and alerts name them.

use volery_kernel::code::{Close, Code};
use volery_kernel::map::NodeKind;

use super::family::Label;

macro_rules! labels {
    ($($(#[$doc:meta])* $type:ident as $label:literal { $($name:ident = $text:literal, $meaning:literal;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $(#[doc = $meaning] $name,)*
        }

        impl Label for $type {
            const NAMES: &'static [&'static str] = &[$label];
            const ALL: &'static [Self] = &[$(Self::$name),*];

            fn texts(self) -> Vec<&'static str> {
                vec![match self { $(Self::$name => $text),* }]
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// Where on its way a message is.
    Stage as "stage" {
        Accepted = "accepted", "The session's checks passed and it has an id.";
        Appended = "appended", "The log has it on disk.";
        Delivered = "delivered", "Handed to a live session of its recipient.";
        Echoed = "echoed", "Fan-out has appended what is derived from it.";
        Archived = "archived", "It is in the timeline.";
    }

    /// A stage, as reached from the moment of a message's id.
    Leg as "stage" {
        Appended = "appended", "The log has it on disk.";
        Delivered = "delivered", "Handed to a live session of its recipient.";
        Echoed = "echoed", "Fan-out has appended what is derived from it.";
        Archived = "archived", "It is in the timeline.";
    }

    /// A queue with a capacity in bytes.
    Queue as "queue" {
        Window = "window", "Events sent to sessions and not confirmed.";
        SocketOut = "socket_out", "Bytes that sockets did not take yet.";
        Append = "append", "Records that wait for the log's disk.";
        Tail = "tail", "Newest events of all partitions, held for short absences.";
    }

    /// A reader of partitions.
    Reader as "reader" {
        Owner = "owner", "Hands events to live sessions.";
        Fanout = "fanout", "Appends derived events.";
        Archive = "archive", "Writes the timeline.";
    }

    /// A reader that history runs.
    HistoryReader as "reader" {
        Fanout = "fanout", "Appends derived events.";
        Archive = "archive", "Writes the timeline.";
    }

    /// A role that is asked where it does not run.
    AskedRole as "role" {
        History = "history", "Pages and sync.";
        Account = "account", "People, devices and tokens.";
        Idgen = "idgen", "Generator numbers.";
        Config = "config", "The map, leases, settings.";
    }

    /// How a call of a role ended, after its last attempt.
    CallOutcome as "outcome" {
        Answered = "answered", "It was answered.";
        Refused = "refused", "The role refused, and that is its answer.";
        NotSent = "not_sent", "Nobody could be connected to.";
        Lost = "lost", "The connection broke, or whoever took the call could not serve it.";
        Late = "late", "No answer came in time.";
    }

    /// What a statement to the timeline's store does.
    Statement as "kind" {
        Written = "written", "Writes a row.";
        Read = "read", "Reads rows; a page of them counts as one.";
    }

    /// What a session was synced from.
    SyncBy as "by" {
        Tail = "tail", "Memory alone.";
        Log = "log", "One shared read of the log.";
        Index = "index", "The inbox index.";
        Reset = "reset", "The device starts anew from pages.";
    }
}

impl Label for NodeKind {
    const NAMES: &'static [&'static str] = &["kind"];
    const ALL: &'static [Self] = &Self::ALL;

    fn texts(self) -> Vec<&'static str> {
        vec![self.name()]
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for Code {
    const NAMES: &'static [&'static str] = &["code"];
    const ALL: &'static [Self] = Self::ALL;

    fn texts(self) -> Vec<&'static str> {
        vec![self.text()]
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Label for Close {
    const NAMES: &'static [&'static str] = &["reason"];
    const ALL: &'static [Self] = Self::ALL;

    fn texts(self) -> Vec<&'static str> {
        vec![self.text()]
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|&close| close == self).unwrap_or_default()
    }
}
