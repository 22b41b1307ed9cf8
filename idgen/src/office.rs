//! Hands out generator numbers. Everything that it knows stands in SQL, so that any number of offices
//! may be open at once; its clock judges how far ahead reservations go, and can hurt nobody's ids.

use std::sync::Arc;

use async_trait::async_trait;
use volery_kernel::id::GENERATOR_MAX;
use volery_kernel::limits;
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::ids::{Held, Numbers, ReserveError};
use volery_ports::sql::{AccountStore, Reservation, Unavailable};

/// Numbers over the account store.
pub struct Office {
    store: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
}

impl Office {
    /// Keeps reservations in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The number if it is the holder's now, or until when it is another's.
    async fn reserve(&self, holder: &str, number: u16) -> Result<Result<Held, Timestamp>, Unavailable> {
        let now = self.clock.now();
        let until = now.plus(limits::RESERVE_AHEAD_MS.value);
        Ok(match self.store.reserve(number, holder, until, now).await? {
            Reservation::Held { from, until } => Ok(Held { number, from, until }),
            Reservation::Taken { until } => Err(until),
        })
    }
}

#[async_trait]
impl Numbers for Office {
    async fn take(&self, holder: &str, count: usize) -> Result<Vec<Held>, ReserveError> {
        let mut taken = Vec::new();
        for number in 0..=GENERATOR_MAX {
            if taken.len() >= count {
                break;
            }
            taken.extend(self.reserve(holder, number).await?.ok());
        }
        if taken.len() < count { Err(ReserveError::NoneFree) } else { Ok(taken) }
    }

    async fn renew(&self, holder: &str, number: u16) -> Result<Held, ReserveError> {
        self.reserve(holder, number).await?.map_err(|until| ReserveError::Lost { until })
    }
}
