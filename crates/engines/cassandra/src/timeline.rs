//! [`CassandraTimeline`]: the port, put together from the parts. What is decided here is only the order
//! within an apply: rows, then the day that promises them, then the commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::Consistency;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::SendKey;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::timeline::{
    ChatRow, Commit, Entry, MessageRow, Refused, Sent, Span, Stored, Timeline, Unavailable, Write,
};

use crate::layout::day_of;
use crate::memory::Memory;
use crate::options::Options;
use crate::plan::{Plan, Row};
use crate::read;
use crate::schema::{self, OpenError};
use crate::statement::{Cluster, Counts};

/// Connections are asked for a sign of life this often, and given up when there is none within [`ALIVE_WITHIN`]:
/// a node that stands still closes nothing, and would be asked again and again.
const ALIVE_EVERY: Duration = Duration::from_secs(2);

/// As patient as a request.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);

/// A statement that one node leaves unanswered for so long is given to another as well: well above what a
/// busy node takes, so that load is not doubled where it is high, and well below a request's deadline.
const ASK_ANOTHER_AFTER: Duration = Duration::from_secs(1);

/// A record that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it stands.
    pub offset: Offset,
    /// Why.
    pub reason: String,
    /// As it was read.
    pub bytes: Bytes,
}

/// How every statement is sent. What was written by a quorum is read by any other.
fn profile(options: &Options) -> ExecutionProfile {
    let another = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: ASK_ANOTHER_AFTER };
    ExecutionProfile::builder()
        .consistency(Consistency::Quorum)
        .speculative_execution_policy(Some(Arc::new(another)))
        .request_timeout(Some(options.request_timeout))
        .build()
}

/// The timeline on a cluster. Connections are replaced by the driver, as nodes come and go.
pub struct CassandraTimeline {
    cluster: Cluster,
    memory: Memory,
}

impl CassandraTimeline {
    /// Connects, and brings the schema up to date. Needs a tokio runtime, which must outlive it.
    ///
    /// # Errors
    /// If the cluster is away, is set up so that something could be lost, or is of a later version.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        if !options.is_named_well() {
            return Err(OpenError::Name(options.keyspace.clone()));
        }
        let session = SessionBuilder::new()
            .known_nodes(&options.nodes)
            .default_execution_profile_handle(profile(options).into_handle())
            .connection_timeout(options.request_timeout)
            .keyspaces_to_fetch([&options.keyspace])
            .keepalive_interval(ALIVE_EVERY)
            .keepalive_timeout(ALIVE_WITHIN)
            .schema_agreement_timeout(schema::AGREED_WITHIN)
            .build()
            .await?;
        schema::prepare(&session, options).await?;
        let cluster = Cluster::new(session, &options.keyspace, options.in_flight).await?;
        Ok(Self { cluster, memory: Memory::default() })
    }

    /// Statements that were sent since it was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.cluster.counts()
    }

    /// Records that were set aside in a partition, by offset, at most `limit`, at least one.
    ///
    /// # Errors
    /// [`Unavailable`] as everywhere.
    pub async fn set_aside(&self, partition: Partition, limit: usize) -> Result<Vec<Aside>, Unavailable> {
        Ok(read::asides(&self.cluster, partition, limit).await?)
    }

    /// Notes that the day's index is complete from `first` on, once a day and partition.
    async fn note_day(&self, partition: Partition, day: i32, first: Offset) -> Result<(), Unavailable> {
        if !self.memory.has_day(partition, day, first) {
            self.cluster.put(partition, day, Row::Day(first)).await?;
            self.memory.remember_day(partition, day, first);
        }
        Ok(())
    }
}

#[async_trait]
impl Timeline for CassandraTimeline {
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused> {
        let (day, plan) = (day_of(commit), Plan::new(writes, commit));
        let windows = self.memory.new_windows(&plan.windows).into_iter();
        let windows = windows.map(|(chat, window)| Row::Window(chat, window));
        self.cluster.put_all(partition, day, windows.chain(plan.rows)).await?;
        self.memory.remember_windows(&plan.windows);
        if let Some(first) = plan.lowest {
            self.note_day(partition, day, first).await?;
        }
        if let Some(commit) = commit {
            self.cluster.put(partition, day, Row::Commit(commit)).await?;
        }
        Ok(())
    }

    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable> {
        Ok(read::committed(&self.cluster, partition).await?)
    }

    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused> {
        Ok(read::sent(&self.cluster, key).await?)
    }

    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable> {
        Ok(read::messages(&self.cluster, &self.memory, chat, span, limit).await?)
    }

    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable> {
        Ok(read::message(&self.cluster, chat, id).await?)
    }

    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable> {
        Ok(read::chat(&self.cluster, user, chat).await?)
    }

    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable> {
        Ok(read::chats(&self.cluster, user).await?)
    }

    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable> {
        Ok(read::index(&self.cluster, (recipient, partition), (from, to), limit).await?)
    }

    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable> {
        Ok(read::index_start(&self.cluster, partition).await?)
    }

    /// Rows expire by themselves, and the days that promise them a day earlier: nothing is left to do,
    /// and nothing to scan.
    async fn expire_index(&self, _partition: Partition, _before: Timestamp) -> Result<(), Unavailable> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_a_quorum_s() {
        let options = Options::new(Vec::new());
        let profile = profile(&options);
        assert_eq!(profile.get_consistency(), Consistency::Quorum);
        assert_eq!(profile.get_request_timeout(), Some(options.request_timeout));
    }
}
