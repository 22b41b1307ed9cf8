//! A timeline, watched.

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::SendKey;
use volery_kernel::id::{Id, UserId};
use volery_kernel::position::Offset;
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_node::metrics::EngineCall;
use volery_ports::timeline::{
    ChatRow, Commit, Entry, MessageRow, Refused, Sent, Span, Stored, Timeline, Unavailable, Write,
};

use crate::calls::Calls;

pub(crate) struct WatchedTimeline {
    timeline: Arc<dyn Timeline>,
    calls: Calls,
}

impl WatchedTimeline {
    pub(crate) fn new(timeline: Arc<dyn Timeline>, calls: Calls) -> Self {
        Self { timeline, calls }
    }
}

#[async_trait]
impl Timeline for WatchedTimeline {
    async fn apply(&self, partition: Partition, writes: Vec<Write>, commit: Option<Commit>) -> Result<(), Refused> {
        self.calls.make(EngineCall::TimelineApply, self.timeline.apply(partition, writes, commit)).await
    }

    async fn committed(&self, partition: Partition) -> Result<Option<Commit>, Unavailable> {
        self.calls.make(EngineCall::TimelineCommitted, self.timeline.committed(partition)).await
    }

    async fn sent(&self, key: SendKey) -> Result<Option<Sent>, Refused> {
        self.calls.make(EngineCall::TimelineSent, self.timeline.sent(key)).await
    }

    async fn messages(&self, chat: ChatId, span: Span, limit: usize) -> Result<Vec<MessageRow>, Unavailable> {
        self.calls.make(EngineCall::TimelineMessages, self.timeline.messages(chat, span, limit)).await
    }

    async fn message(&self, chat: ChatId, id: Id) -> Result<Stored, Unavailable> {
        self.calls.make(EngineCall::TimelineMessage, self.timeline.message(chat, id)).await
    }

    async fn chat(&self, user: UserId, chat: ChatId) -> Result<ChatRow, Unavailable> {
        self.calls.make(EngineCall::TimelineChat, self.timeline.chat(user, chat)).await
    }

    async fn chats(&self, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Unavailable> {
        self.calls.make(EngineCall::TimelineChats, self.timeline.chats(user)).await
    }

    async fn index(
        &self,
        recipient: Recipient,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: usize,
    ) -> Result<Vec<(Offset, Entry)>, Unavailable> {
        self.calls.make(EngineCall::TimelineIndex, self.timeline.index(recipient, partition, from, to, limit)).await
    }

    async fn index_start(&self, partition: Partition) -> Result<Option<Offset>, Unavailable> {
        self.calls.make(EngineCall::TimelineIndexStart, self.timeline.index_start(partition)).await
    }

    async fn expire_index(&self, partition: Partition, before: Timestamp) -> Result<(), Unavailable> {
        self.calls.make(EngineCall::TimelineExpireIndex, self.timeline.expire_index(partition, before)).await
    }
}
