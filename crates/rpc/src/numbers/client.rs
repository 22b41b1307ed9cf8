//! `Numbers` from an idgen elsewhere. Both calls may be repeated: a holder gets again what it has.

use async_trait::async_trait;
use tonic::Status;
use tonic::transport::Channel;
use volery_ports::ids::{Held, Numbers, ReserveError};

use super::convert::{self, from_status, nonsense};
use crate::calls::{Call, Remote};
use crate::check::Checked;
use crate::limits::{ANSWER_BYTES, REQUEST_BYTES};
use crate::wire::idgen::v1 as wire;
use crate::wire::idgen::v1::numbers_client::NumbersClient as Stub;

/// Generator numbers from other machines.
pub struct NumbersClient {
    remote: Remote,
}

impl NumbersClient {
    /// Asks the idgens behind `remote`.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

fn stub(channel: Channel) -> Stub<Channel> {
    Stub::new(channel).max_decoding_message_size(ANSWER_BYTES).max_encoding_message_size(REQUEST_BYTES)
}

fn answered<W, A>(answer: Result<W, Status>, read: impl Fn(W) -> Checked<A>) -> Result<A, ReserveError> {
    read(answer.map_err(|status| from_status(&status))?).map_err(nonsense)
}

#[async_trait]
impl Numbers for NumbersClient {
    async fn take(&self, holder: &str, count: usize) -> Result<Vec<Held>, ReserveError> {
        let request = wire::TakeRequest { holder: holder.into(), count: u32::try_from(count).unwrap_or(u32::MAX) };
        let send = |channel, request| async move { stub(channel).take(request).await };
        answered(self.remote.call(Call::RESERVE, request, send).await, convert::to_all_held)
    }

    async fn renew(&self, holder: &str, number: u16) -> Result<Held, ReserveError> {
        let request = wire::RenewRequest { holder: holder.into(), number: Some(number.into()) };
        let send = |channel, request| async move { stub(channel).renew(request).await };
        answered(self.remote.call(Call::RESERVE, request, send).await, convert::to_held)
    }
}
