//! A `History` that asks a history-node elsewhere. All of its calls read only, so all may be repeated.

use async_trait::async_trait;
use tonic::Status;
use tonic::transport::Channel;
use volery_kernel::chat::ChatId;
use volery_kernel::event::Seen;
use volery_kernel::id::UserId;
use volery_kernel::position::{Offset, Position};
use volery_kernel::slot::Partition;
use volery_ports::history::{Anchor, ChatsPage, History, HistoryError, Page, Stretch};

use super::failure::{from_status, nonsense};
use super::{answer, ask};
use crate::calls::{Call, Remote};
use crate::check::Checked;
use crate::limits::{ANSWER_BYTES, REQUEST_BYTES};
use crate::wire::history::v1::history_client::HistoryClient as Stub;

/// History on other machines.
pub struct HistoryClient {
    remote: Remote,
}

impl HistoryClient {
    /// Asks the history-nodes behind `remote`.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

fn stub(channel: Channel) -> Stub<Channel> {
    Stub::new(channel).max_decoding_message_size(ANSWER_BYTES).max_encoding_message_size(REQUEST_BYTES)
}

/// What history-node said, or what it counts as that it said nothing of use.
fn answered<W, A>(answer: Result<W, Status>, read: impl Fn(W) -> Checked<A>) -> Result<A, HistoryError> {
    read(answer.map_err(|status| from_status(&status))?).map_err(nonsense)
}

#[async_trait]
impl History for HistoryClient {
    async fn page(&self, user: UserId, chat: ChatId, anchor: Anchor, limit: usize) -> Result<Page, HistoryError> {
        let request = ask::page(user, chat, anchor, limit);
        let send = |channel, request| async move { stub(channel).page(request).await };
        answered(self.remote.call(Call::READ, request, send).await, answer::to_page)
    }

    async fn chats(&self, user: UserId, cursor: Option<Vec<u8>>, limit: usize) -> Result<ChatsPage, HistoryError> {
        let request = ask::chats(user, cursor, limit);
        let send = |channel, request| async move { stub(channel).chats(request).await };
        answered(self.remote.call(Call::READ, request, send).await, answer::to_chats)
    }

    async fn archived(&self, partition: Partition) -> Result<Option<Position>, HistoryError> {
        let request = ask::archived(partition);
        let send = |channel, request| async move { stub(channel).archived(request).await };
        answered(self.remote.call(Call::READ, request, send).await, answer::to_archived)
    }

    async fn stretch(
        &self,
        user: UserId,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Result<Stretch, HistoryError> {
        let request = ask::stretch(user, partition, from, limit);
        let send = |channel, request| async move { stub(channel).stretch(request).await };
        answered(self.remote.call(Call::READ, request, send).await, answer::to_stretch)
    }

    async fn undelivered(&self, user: UserId, limit: usize) -> Result<Vec<(ChatId, Seen)>, HistoryError> {
        let request = ask::undelivered(user, limit);
        let send = |channel, request| async move { stub(channel).undelivered(request).await };
        answered(self.remote.call(Call::READ, request, send).await, answer::to_undelivered)
    }
}
