//! What may be lost, from one client's screen to another's: who is typing, who is online.
//!
//! # Contract
//! - **Best effort, at most once.** What is said reaches those who listen at that moment, or nobody. Nothing
//!   is kept for who comes later, but the presence of a user, and that only for as long as was asked.
//! - [`Bus::say`] takes a batch: all of it was given to the engine, in order, or [`Away`]; then any part of it
//!   may have been. It says nothing of who heard it. A batch of nothing asks whether the engine is there.
//! - What one node says of one topic is heard in that order. Between nodes there is no order: the presence that
//!   was said last counts.
//! - [`Bus::presence`] answers with what was said last and has not expired. What nobody said, what expired and
//!   what an engine forgot are one: [`Presence::Unknown`].
//! - **Listening** is by [`Topic`]: typing by the partition of whom it is for, since a node that has a partition
//!   has its users' sessions; presence by the user, since nobody else's changes are worth hearing. To follow or
//!   to leave takes hold soon, not at once. A node hears itself.
//! - [`News::Anew`] says that something may be missed: an engine went away, came back, or is heard for the first
//!   time. It may come at any time; whoever hears it says again what holds, and reads again what it shows. Others
//!   may take seconds longer until they have.
//! - **Nothing waits long.** Each call answers within seconds, also while an engine stands still. An engine that
//!   is away comes back by itself, with everything followed that was followed before.

mod hub;

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::id::UserId;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;

pub use hub::{EarId, Hub};

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Nothing is known: shown as absent.
    #[default]
    Unknown,
    /// At least one session is open.
    Online,
    /// The last session ended then.
    Seen(Timestamp),
}

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Who types to the users of a partition.
    Typing(Partition),
    /// Whether a user comes or goes.
    Presence(UserId),
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Somebody types; told to who follows the partition.
    Typing {
        /// That of `to`.
        partition: Partition,
        /// To whom.
        to: UserId,
        /// Who.
        from: UserId,
    },
    /// A user came or went: kept, and told to who follows the user.
    Changed {
        /// Who.
        user: UserId,
        /// From now on.
        presence: Presence,
        /// How long it holds, in milliseconds, unless it is said again.
        keep_ms: u64,
    },
    /// These are online as before: kept, and told to nobody.
    Renewed {
        /// Who.
        users: Vec<UserId>,
        /// As in [`Said::Changed`].
        keep_ms: u64,
    },
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Somebody types.
    Typing {
        /// To whom.
        to: UserId,
        /// Who.
        from: UserId,
    },
    /// A user came or went.
    Presence {
        /// Who.
        user: UserId,
        /// From now on.
        presence: Presence,
    },
    /// Something may be missed.
    Anew,
}

/// The engine cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus is away: {0}")]
pub struct Away(pub String);

/// Takes news as they come, from any thread. It must not wait and must not call the bus: who has no room
/// drops them.
pub type Heard = Arc<dyn Fn(News) + Send + Sync>;

/// See the module.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Begins to listen, to nothing yet.
    fn listen(&self, heard: Heard) -> Box<dyn Ear>;

    /// Says all of it.
    ///
    /// # Errors
    /// [`Away`]: who hears of it is not known.
    async fn say(&self, batch: Vec<Said>) -> Result<(), Away>;

    /// What holds of these users, in their order.
    ///
    /// # Errors
    /// [`Away`].
    async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Away>;
}

/// One listener. Dropped, it hears nothing more.
pub trait Ear: Send {
    /// Hears of these too from now on.
    fn follow(&self, topics: &[Topic]);

    /// Hears of these no more.
    fn leave(&self, topics: &[Topic]);
}
