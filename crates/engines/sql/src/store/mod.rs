//! The store's statements, written once for all databases: this module is compiled for each, inside the
//! module that says what is its own.
//!
//! | the database's own | |
//! |---|---|
//! | `Db`, `DbRow` | its types |
//! | `BEGIN` | how a transaction that writes begins |
//! | `alone` | waits until nobody else holds the same lock, and holds it until the transaction ends |
//! | `Seat` | where the lead of the outbox is taken |
//! | `FIND`, `part_of_a_name` | the search for names, and its argument |

mod cluster;
mod devices;
mod keys;
mod members;
mod outbox;
mod people;
mod reservations;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Pool, Transaction};
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{
    AccountStore, Created, Credentials, Device, NewEntry, NewToken, OutboxEntry, OutboxLead, Reservation, Rotation,
    SigningKey, TokenHash, Unavailable, User,
};

use super::{BEGIN, Db, DbRow, FIND, Seat, alone, part_of_a_name};

/// How long a call may take, its wait for a connection included: a database that stands still is away.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Connections to one database. Shared as it is; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) writer: Pool<Db>,
    pub(super) readers: Pool<Db>,
    pub(super) seat: Arc<Seat>,
}

impl Store {
    /// Closes all connections once their calls are done; later calls are [`Unavailable`].
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> sqlx::Result<Transaction<'static, Db>> {
        self.writer.begin_with(BEGIN).await
    }
}

/// Whatever SQL says, callers can only try later; the log has the details.
async fn answer<T>(call: impl Future<Output = sqlx::Result<T>>) -> Result<T, Unavailable> {
    let answered = tokio::time::timeout(ANSWERS_WITHIN, call).await;
    answered.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|error| {
        tracing::warn!(%error, "the account store did not answer");
        Unavailable(error.to_string())
    })
}

#[async_trait]
impl AccountStore for Store {
    async fn create_users(&self, users: Vec<Credentials>) -> Result<Vec<Created>, Unavailable> {
        answer(people::create(self, &users)).await
    }

    async fn credentials(&self, user_name: &str) -> Result<Option<Credentials>, Unavailable> {
        answer(people::credentials(&self.readers, user_name)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Unavailable> {
        answer(people::by_id(&self.readers, ids)).await
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Unavailable> {
        answer(people::find(&self.readers, part, limit)).await
    }

    async fn log_in(&self, device: Device, token: NewToken) -> Result<(), Unavailable> {
        answer(devices::log_in(self, &device, token)).await
    }

    async fn device(&self, id: DeviceId) -> Result<Option<Device>, Unavailable> {
        answer(devices::one(&self.readers, id)).await
    }

    async fn devices(&self, user: UserId, limit: usize) -> Result<Vec<Device>, Unavailable> {
        answer(devices::of(&self.readers, user, limit)).await
    }

    async fn rotate(
        &self,
        token: TokenHash,
        next: NewToken,
        now: Timestamp,
        told: &(dyn Fn(UserId, DeviceId) -> NewEntry + Send + Sync),
    ) -> Result<Rotation, Unavailable> {
        answer(devices::rotate(self, token, next, now, told)).await
    }

    async fn revoke(
        &self,
        user: UserId,
        device: DeviceId,
        now: Timestamp,
        told: NewEntry,
    ) -> Result<Option<u64>, Unavailable> {
        answer(devices::revoke(self, user, device, now, &told)).await
    }

    async fn revoked_after(&self, after: u64, limit: usize) -> Result<Vec<(u64, DeviceId)>, Unavailable> {
        answer(devices::revoked_after(&self.readers, after, limit)).await
    }

    async fn newest_revocation(&self) -> Result<u64, Unavailable> {
        answer(devices::newest_revocation(&self.readers)).await
    }

    async fn outbox_lead(&self) -> Result<Option<Box<dyn OutboxLead>>, Unavailable> {
        answer(self.seat.take()).await
    }

    async fn outbox_take(&self, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, Unavailable> {
        answer(outbox::take(&self.readers, after, limit)).await
    }

    async fn outbox_done(&self, numbers: &[u64]) -> Result<(), Unavailable> {
        answer(outbox::done(self, numbers)).await
    }

    async fn reserve(
        &self,
        number: u16,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Unavailable> {
        answer(reservations::reserve(self, number, holder, until, now)).await
    }

    async fn signing_keys(&self, first: SigningKey) -> Result<Vec<SigningKey>, Unavailable> {
        answer(keys::all(self, &first)).await
    }
}
