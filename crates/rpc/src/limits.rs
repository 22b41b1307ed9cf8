//! Every number that bounds a call between nodes, each with its reason.

use std::time::Duration;

/// Largest request, in bytes: a token of 4 KiB, or 1,000 ids of 9 bytes, fit many times.
pub(crate) const REQUEST_BYTES: usize = 64 * 1024;

/// Largest answer, in bytes. 100 messages of 8 KiB, as a chat list may hold them, are 0.8 MiB; the
/// rest is for their reactions.
pub(crate) const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Most messages, chats, events or users that one call may ask for: ten times what anybody does.
pub(crate) const LIMIT_MOST: usize = 1_000;

/// Longest name of a holder of generator numbers, in bytes: ours have 70.
pub(crate) const HOLDER_BYTES: usize = 256;

/// Longest name, URL or process of a node, and name of who changes a setting, in bytes: URLs are the
/// longest, and have 100.
pub(crate) const WORD_BYTES: usize = 1_024;

/// Longest value of a setting, in bytes: a filter of log lines may have a few hundred.
pub(crate) const VALUE_BYTES: usize = 4 * 1024;

/// Maps of a kind that a door remembers, so that who saw one of them is told what changed alone: eight seconds of planned
/// moves, longer than anybody takes to ask again. 130 KiB each with 1,000 nodes and 10,000 partitions.
pub(crate) const RECENT_MAPS: usize = 32;

/// Longest time for which a watch is left unanswered: what lies between two nodes may forget a
/// connection on which nothing happens for a minute.
pub(crate) const PATIENCE_MOST: Duration = Duration::from_secs(30);

/// Calls at once on one connection. A node that asks for more waits on its own side, where its
/// deadlines run.
pub(crate) const CALLS_AT_ONCE: u32 = 1_024;

/// Bytes of one answer that may be under way before its reader confirms: a page fits at once.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// The same for a whole connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// A caller that waits asks its connection for a sign of life this often, and drops it when there is
/// none within [`ALIVE_WITHIN`]: a machine that vanished or stands still is noticed while there is
/// time to ask another.
pub(crate) const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Longer than a busy machine is deaf; with [`ALIVE_EVERY`], shorter than a deadline.
pub(crate) const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// A door asks callers that are quiet for a sign of life this often, to be rid of those that vanished.
pub(crate) const CALLER_ALIVE_EVERY: Duration = Duration::from_secs(30);

/// A caller that gives none for this long has vanished.
pub(crate) const CALLER_ALIVE_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes of callers at once; more wait in the kernel's queue. A cluster has fewer nodes that start at once.
pub(crate) const HANDSHAKES_AT_ONCE: usize = 64;

/// A caller that does not end its handshake for this long is dropped: it takes two round trips.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// A listener that cannot take a connection tries again after this time.
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Most attempts of one call, but for endpoints that cannot even be connected to: the next one is
/// then tried at once, as often as there are endpoints.
pub(crate) const ATTEMPTS_MOST: usize = 3;

/// A retry waits a random part of this, doubled with each one.
pub(crate) const RETRY_WITHIN: Duration = Duration::from_millis(20);

/// Retries that may be made at once, without calls that earned them: one failure of a busy endpoint
/// takes that many calls down with it.
pub(crate) const RETRIES_BURST: u32 = 50;

/// Calls that earn a retry: so retries never add more than a tenth to the load of a role that fails.
pub(crate) const CALLS_A_RETRY: u32 = 10;

/// An endpoint that failed is left out for this long, doubled with each failure that follows.
pub(crate) const REST_FIRST: Duration = Duration::from_millis(100);

/// An endpoint that is back is used again within this long at the latest.
pub(crate) const REST_LONGEST: Duration = Duration::from_secs(5);
