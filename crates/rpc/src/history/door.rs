//! The service over a `History`: checks the request, asks, answers.

use std::sync::Arc;

use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use volery_ports::history::History;

use super::failure::to_status;
use super::{answer, ask};
use crate::limits::{ANSWER_BYTES, REQUEST_BYTES};
use crate::wire::history::v1 as wire;
use crate::wire::history::v1::history_server::{self, HistoryServer};

/// The service's name in its contract.
pub(crate) const NAME: &str = <HistoryServer<Door> as NamedService>::NAME;

pub(crate) struct Door(Arc<dyn History>);

type Answered<T> = Result<Response<T>, Status>;

pub(crate) fn door(history: Arc<dyn History>) -> HistoryServer<Door> {
    HistoryServer::new(Door(history)).max_decoding_message_size(REQUEST_BYTES).max_encoding_message_size(ANSWER_BYTES)
}

#[tonic::async_trait]
impl history_server::History for Door {
    async fn page(&self, request: Request<wire::PageRequest>) -> Answered<wire::PageAnswer> {
        let (user, chat, anchor, limit) = ask::to_page(request.into_inner())?;
        let page = self.0.page(user, chat, anchor, limit).await.map_err(to_status)?;
        Ok(Response::new(answer::page(page)))
    }

    async fn chats(&self, request: Request<wire::ChatsRequest>) -> Answered<wire::ChatsAnswer> {
        let (user, cursor, limit) = ask::to_chats(request.into_inner())?;
        let chats = self.0.chats(user, cursor, limit).await.map_err(to_status)?;
        Ok(Response::new(answer::chats(chats)))
    }

    async fn archived(&self, request: Request<wire::ArchivedRequest>) -> Answered<wire::ArchivedAnswer> {
        let partition = ask::to_archived(request.into_inner())?;
        let archived = self.0.archived(partition).await.map_err(to_status)?;
        Ok(Response::new(answer::archived(archived)))
    }

    async fn stretch(&self, request: Request<wire::StretchRequest>) -> Answered<wire::StretchAnswer> {
        let (user, partition, from, limit) = ask::to_stretch(request.into_inner())?;
        let stretch = self.0.stretch(user, partition, from, limit).await.map_err(to_status)?;
        Ok(Response::new(answer::stretch(stretch)))
    }

    async fn undelivered(&self, request: Request<wire::UndeliveredRequest>) -> Answered<wire::UndeliveredAnswer> {
        let (user, limit) = ask::to_undelivered(request.into_inner())?;
        let chats = self.0.undelivered(user, limit).await.map_err(to_status)?;
        Ok(Response::new(answer::undelivered(chats)))
    }
}
