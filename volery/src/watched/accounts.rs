//! An account store, watched.

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_node::metrics::EngineCall;
use volery_ports::sql::{
    AccountStore, Created, Credentials, Device, NewEntry, NewToken, OutboxEntry, OutboxLead, Reservation, Rotation,
    SigningKey, TokenHash, Unavailable, User,
};

use crate::calls::Calls;

pub(crate) struct WatchedAccounts {
    store: Arc<dyn AccountStore>,
    calls: Calls,
}

impl WatchedAccounts {
    pub(crate) fn new(store: Arc<dyn AccountStore>, calls: Calls) -> Self {
        Self { store, calls }
    }
}

#[async_trait]
impl AccountStore for WatchedAccounts {
    async fn create_users(&self, users: Vec<Credentials>) -> Result<Vec<Created>, Unavailable> {
        self.calls.make(EngineCall::AccountsCreateUsers, self.store.create_users(users)).await
    }

    async fn credentials(&self, user_name: &str) -> Result<Option<Credentials>, Unavailable> {
        self.calls.make(EngineCall::AccountsCredentials, self.store.credentials(user_name)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable> {
        self.calls.make(EngineCall::AccountsUsers, self.store.users(ids)).await
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Unavailable> {
        self.calls.make(EngineCall::AccountsFindUsers, self.store.find_users(part, limit)).await
    }

    async fn log_in(&self, device: Device, token: NewToken) -> Result<(), Unavailable> {
        self.calls.make(EngineCall::AccountsLogIn, self.store.log_in(device, token)).await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>, Unavailable> {
        self.calls.make(EngineCall::AccountsDevice, self.store.device(id)).await
    }

    async fn devices(&self, user: UserId, limit: usize) -> Result<Vec<Device>, Unavailable> {
        self.calls.make(EngineCall::AccountsDevices, self.store.devices(user, limit)).await
    }

    async fn rotate(
        &self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Result<Rotation, Unavailable> {
        self.calls.make(EngineCall::AccountsRotate, self.store.rotate(token, next, now, told)).await
    }

    async fn revoke(
        &self,
        user: UserId,
        device: DeviceId,
        now: Timestamp,
        told: NewEntry,
    ) -> Result<Option<u64>, Unavailable> {
        self.calls.make(EngineCall::AccountsRevoke, self.store.revoke(user, device, now, told)).await
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        self.calls.make(EngineCall::AccountsRevokedAfter, self.store.revoked_after(after, limit)).await
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        self.calls.make(EngineCall::AccountsNewestRevocation, self.store.newest_revocation()).await
    }

    async fn outbox_lead(&self) -> Result<Option<Box<dyn OutboxLead>>, Unavailable> {
        self.calls.make(EngineCall::AccountsOutboxLead, self.store.outbox_lead()).await
    }

    async fn outbox_take(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, Unavailable> {
        self.calls.make(EngineCall::AccountsOutboxTake, self.store.outbox_take(after, limit)).await
    }

    async fn outbox_done(&self, numbers: &[u64]) -> Result<(), Unavailable> {
        self.calls.make(EngineCall::AccountsOutboxDone, self.store.outbox_done(numbers)).await
    }

    async fn reserve(
        &self,
        number: u16,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Unavailable> {
        self.calls.make(EngineCall::AccountsReserve, self.store.reserve(number, holder, until, now)).await
    }

    async fn signing_keys(&self, first: SigningKey) -> Result<Vec<SigningKey>, Unavailable> {
        self.calls.make(EngineCall::AccountsSigningKeys, self.store.signing_keys(first)).await
    }
}
