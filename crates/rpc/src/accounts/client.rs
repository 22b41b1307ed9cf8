//! An `AccountService` that asks an account-node elsewhere. What changes something is never made
//! twice: a log-in made twice is two devices, a refresh made twice logs the device out.

use async_trait::async_trait;
use tonic::Status;
use tonic::transport::Channel;
use volery_kernel::id::{DeviceId, UserId};
use volery_ports::account_service::{AccountError, AccountService, Grant, LogIn, Registration, Told};
use volery_ports::accounts::{AccountFacts, Claims, Standing, Unavailable};
use volery_ports::sql::{Device, User};

use super::convert;
use super::failure::{nonsense, to_account};
use crate::calls::{Call, Remote};
use crate::check::{self, Checked};
use crate::limits::{ANSWER_BYTES, LIMIT_MOST, REQUEST_BYTES};
use crate::refusal::to_unavailable;
use crate::wire::account::v1 as wire;
use crate::wire::account::v1::accounts_client::AccountsClient as Stub;
use crate::wire::account::v1::failure::Kind;

/// Accounts on other machines.
pub struct AccountClient {
    remote: Remote,
}

impl AccountClient {
    /// Asks the account-nodes behind `remote`.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

fn stub(channel: Channel) -> Stub<Channel> {
    Stub::new(channel).max_decoding_message_size(ANSWER_BYTES).max_encoding_message_size(REQUEST_BYTES)
}

/// What account-node said, or that it said nothing of use.
fn answered<W, A>(answer: Result<W, Status>, read: impl Fn(W) -> Checked<A>) -> Result<A, AccountError> {
    read(answer.map_err(|status| to_account(&status))?).map_err(|wrong| AccountError::Fault(nonsense(wrong)))
}

/// The same where nothing but that it cannot be reached may go wrong.
fn told<W, A>(answer: Result<W, Status>, read: impl Fn(W) -> Checked<A>) -> Result<A, Unavailable> {
    read(answer.map_err(|status| to_unavailable::<Kind>(&status))?).map_err(|wrong| Unavailable(nonsense(wrong)))
}

#[async_trait]
impl AccountFacts for AccountClient {
    async fn keys(&self) -> Result<String, Unavailable> {
        let send = |channel, request| async move { stub(channel).keys(request).await };
        told(self.remote.call(Call::READ, wire::KeysRequest {}, send).await, |keys| Ok(keys.jwks))
    }

    async fn standing(&self, device: DeviceId) -> Result<Option<Standing>, Unavailable> {
        let request = wire::StandingRequest { device: Some(device.get()) };
        let send = |channel, request| async move { stub(channel).standing(request).await };
        told(self.remote.call(Call::READ, request, send).await, convert::to_standing)
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        let request = wire::RevokedAfterRequest { after: Some(after), limit: check::limited(limit) };
        let send = |channel, request| async move { stub(channel).revoked_after(request).await };
        told(self.remote.call(Call::READ, request, send).await, convert::to_revoked)
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        let send = |channel, request| async move { stub(channel).newest_revocation(request).await };
        let request = wire::NewestRevocationRequest {};
        told(self.remote.call(Call::READ, request, send).await, |newest| Ok(newest.number))
    }

    async fn is_user(&self, user: UserId) -> Result<bool, Unavailable> {
        let request = wire::UserExistsRequest { user: Some(user.get()) };
        let send = |channel, request| async move { stub(channel).user_exists(request).await };
        told(self.remote.call(Call::READ, request, send).await, |answer| Ok(answer.exists))
    }
}

#[async_trait]
impl AccountService for AccountClient {
    async fn register(&self, registration: Registration) -> Result<User, AccountError> {
        let request = convert::registration(registration);
        let send = |channel, request| async move { stub(channel).register(request).await };
        answered(self.remote.call(Call::CHANGE, request, send).await, convert::to_user)
    }

    async fn log_in(&self, log_in: LogIn) -> Result<Grant, AccountError> {
        let request = convert::log_in(log_in);
        let send = |channel, request| async move { stub(channel).log_in(request).await };
        answered(self.remote.call(Call::CHANGE, request, send).await, convert::to_grant)
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Grant, AccountError> {
        let request = wire::RefreshRequest { refresh_token: refresh_token.into() };
        let send = |channel, request| async move { stub(channel).refresh(request).await };
        answered(self.remote.call(Call::CHANGE, request, send).await, convert::to_grant)
    }

    async fn revoke(&self, caller: Claims, device: DeviceId) -> Result<Told, AccountError> {
        let request = wire::RevokeRequest { caller: Some(convert::claims(caller)), device: Some(device.get()) };
        let send = |channel, request| async move { stub(channel).revoke(request).await };
        answered(self.remote.call(Call::CHANGE, request, send).await, |told| Ok(convert::to_told(told)))
    }

    async fn devices(&self, caller: Claims) -> Result<Vec<Device>, AccountError> {
        let request = wire::DevicesRequest { caller: Some(convert::claims(caller)) };
        let send = |channel, request| async move { stub(channel).devices(request).await };
        answered(self.remote.call(Call::READ, request, send).await, convert::to_devices)
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, AccountError> {
        let request = wire::FindUsersRequest { part: part.into(), limit: check::limited(limit) };
        let send = |channel, request| async move { stub(channel).find_users(request).await };
        answered(self.remote.call(Call::READ, request, send).await, convert::to_users)
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, AccountError> {
        let request = wire::UsersRequest { ids: ids.iter().take(LIMIT_MOST).map(|user| user.get()).collect() };
        let send = |channel, request| async move { stub(channel).users(request).await };
        answered(self.remote.call(Call::READ, request, send).await, convert::to_users)
    }

    async fn user_by_name(&self, user_name: &str) -> Result<Option<User>, AccountError> {
        let request = wire::UserByNameRequest { user_name: user_name.into() };
        let send = |channel, request| async move { stub(channel).user_by_name(request).await };
        answered(self.remote.call(Call::READ, request, send).await, convert::to_user_if_any)
    }
}
