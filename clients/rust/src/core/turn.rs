//! What goes into one step of the core beside the input, and what comes out of it.

use volery_kernel::time::Timestamp;
use volery_wire::client::Request;

use crate::outbox::Ended;
use crate::state::Change;

/// Names a socket; rising. Whatever comes from another one than the newest is ignored.
pub type SocketId = u64;

/// One step: when it happens, a fresh random number for jitter, and the effects so far.
#[derive(Debug)]
pub struct Turn {
    /// Milliseconds of a clock that never steps back; its epoch does not matter.
    pub now: Timestamp,
    /// Uniformly random.
    pub random: u64,
    /// To be carried out in order: nothing after a [`Effect::Store`] may happen before it is durable.
    pub effects: Vec<Effect>,
}

impl Turn {
    /// A step at `now`.
    #[must_use]
    pub fn new(now: Timestamp, random: u64) -> Self {
        Self { now, random, effects: Vec::new() }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Stores changes; those of one step go together.
    pub(super) fn store(&mut self, change: Change) {
        match self.effects.last_mut() {
            Some(Effect::Store(changes)) => changes.push(change),
            _ => self.effects.push(Effect::Store(vec![change])),
        }
    }
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make these durable ([`Change::must_sync`]) before going on.
    Store(Vec<Change>),
    /// Open a socket, and tell `connected` or `lost`.
    Connect {
        /// Its name from now on.
        socket: SocketId,
        /// A node's address if one was named; else ask the gateway.
        address: Option<String>,
    },
    /// Write a frame.
    Send {
        /// To which socket.
        socket: SocketId,
        /// The request id.
        request: u64,
        /// What.
        message: Request<'static>,
    },
    /// Close a socket; nothing more is heard from it.
    Close(SocketId),
    /// A new access token is needed: answer with `token` or `token_failed`.
    Token,
    /// An intent came to its end.
    Ended(Ended),
    /// What is held is void: drop it, read pages anew, then say `pages_read`.
    Reset,
    /// The link changed.
    Link(Link),
}

/// The link, as a user is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing happens until somebody says `start`.
    Down(Down),
    /// The next attempt is made then.
    Waiting(Timestamp),
    /// An access token is asked for.
    Authorizing,
    /// A socket is being opened.
    Connecting,
    /// `hello` is said.
    Greeting,
    /// Live, but not everything from before is here.
    Syncing,
    /// Live, and everything is here.
    Synced,
}

/// Why nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// Nobody has started it, or somebody stopped it.
    #[error("not connected")]
    Stopped,
    /// The device was logged out.
    #[error("this device was logged out")]
    LoggedOut,
    /// A newer session of this device took over.
    #[error("another session of this device took over")]
    Replaced,
    /// The node refuses to go on with us, and trying again would not help.
    #[error("the node refused the connection")]
    Refused,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It could not be opened, or broke.
    Broken,
    /// The node closed it with this number.
    Closed(u16),
    /// It was not opened: who names nodes says to come again after so many milliseconds.
    ComeAgain(u64),
}
