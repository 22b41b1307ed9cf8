//! The service over `Numbers`.

use std::sync::Arc;

use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use volery_ports::ids::Numbers;

use super::convert;
use crate::limits::{ANSWER_BYTES, REQUEST_BYTES};
use crate::wire::idgen::v1 as wire;
use crate::wire::idgen::v1::numbers_server::{self, NumbersServer};

/// The service's name in its contract.
pub(crate) const NAME: &str = <NumbersServer<Door> as NamedService>::NAME;

pub(crate) struct Door(Arc<dyn Numbers>);

pub(crate) fn door(numbers: Arc<dyn Numbers>) -> NumbersServer<Door> {
    NumbersServer::new(Door(numbers)).max_decoding_message_size(REQUEST_BYTES).max_encoding_message_size(ANSWER_BYTES)
}

#[tonic::async_trait]
impl numbers_server::Numbers for Door {
    async fn take(&self, request: Request<wire::TakeRequest>) -> Result<Response<wire::TakeAnswer>, Status> {
        let wire::TakeRequest { holder, count } = request.into_inner();
        let (holder, count) = (convert::to_holder(holder)?, usize::try_from(count).unwrap_or(usize::MAX));
        let held = self.0.take(&holder, count).await.map_err(convert::to_status)?;
        Ok(Response::new(wire::TakeAnswer { held: held.into_iter().map(convert::held).collect() }))
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::Held>, Status> {
        let wire::RenewRequest { holder, number } = request.into_inner();
        let (holder, number) = (convert::to_holder(holder)?, convert::to_number(number)?);
        let held = self.0.renew(&holder, number).await.map_err(convert::to_status)?;
        Ok(Response::new(convert::held(held)))
    }
}
