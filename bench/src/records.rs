//! What the server's log takes, as the server counts it: framing or keys included.

use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::server::Server;

/// Records appended.
pub(crate) const APPENDS: &str = "volery_log_appends_total";
/// Their bytes.
pub(crate) const APPENDED_BYTES: &str = "volery_log_append_bytes_total";
/// The embedded log's counters are brought up once a second.
const WITHIN: Duration = Duration::from_secs(10);

/// Since the server began, or since a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    /// How many.
    pub(crate) count: u64,
    bytes: u64,
}

impl Records {
    /// The same where there were some, and the counters may not have been brought up yet.
    ///
    /// # Errors
    /// The server says nothing, or there is none within 10 s.
    pub(crate) async fn some(server: &Server) -> Result<Self, Failure> {
        server.reaches(APPENDS, 1, WITHIN).await?;
        Self::of(server).await
    }

    /// Since the server began.
    ///
    /// # Errors
    /// The server says nothing.
    pub(crate) async fn of(server: &Server) -> Result<Self, Failure> {
        Ok(Self { count: server.metric(APPENDS).await?, bytes: server.metric(APPENDED_BYTES).await? })
    }

    /// Those after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, bytes: self.bytes - before.bytes }
    }

    /// Of a record, on average, rounded up.
    pub(crate) fn bytes_each(self) -> u64 {
        self.bytes.div_ceil(self.count.max(1))
    }
}
