//! The ids of this process: generator numbers from idgen, here or elsewhere, and what renews them.
//!
//! Trap avoided: roles are started in any order, so an idgen that is not up yet is waited for, not died of.

use std::sync::Arc;
use std::time::Duration;

use idgen::{ClockedIds, Office, Reserved};
use parking_lot::Mutex;
use rand::TryRng as _;
use tokio::task::JoinHandle;
use volery_kernel::generator::Generator;
use volery_kernel::time::{Clock, Timestamp};
use volery_node::metrics::Metrics;
use volery_ports::ids::{Ids, Numbers, ReserveError};
use volery_ports::sql::AccountStore;
use volery_rpc::NumbersClient;

use crate::Failure;
use crate::common::Common;
use crate::roles::Role;

/// How long an idgen elsewhere is waited for: longer than a process takes to start.
const TRIES: u32 = 60;
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// Numbers for whoever asks, and the generators of this process.
pub(crate) struct OpenNumbers {
    pub(crate) office: Arc<dyn Numbers>,
    generators: Vec<Arc<Mutex<Generator>>>,
    renewing: Option<JoinHandle<()>>,
}

impl OpenNumbers {
    /// Reserves `count` generators; over `store` where idgen is in this process.
    pub(crate) async fn open(
        common: &Common<'_>,
        store: Option<&Arc<dyn AccountStore>>,
        count: usize,
    ) -> Result<Self, Failure> {
        let office: Arc<dyn Numbers> = match store.filter(|_| common.roles.has(Role::Idgen)) {
            Some(store) => Arc::new(Office::new(Arc::clone(store), Arc::clone(&common.clock))),
            None => Arc::new(NumbersClient::new(common.remote(Role::Idgen)?)),
        };
        if count == 0 {
            return Ok(Self { office, generators: Vec::new(), renewing: None });
        }
        let reserved = reserve(&office, count).await?;
        let generators = reserved.generators().to_vec();
        let clock = Arc::clone(&common.clock);
        let tell = tell(reserved.horizon(), Arc::clone(&clock), common.metrics.clone());
        let renewing = tokio::spawn(async {
            tokio::join!(reserved.renew(clock), tell);
        });
        Ok(Self { office, generators, renewing: Some(renewing) })
    }

    /// A generator that nobody else here has.
    pub(crate) fn generator(&mut self) -> Result<Arc<Mutex<Generator>>, Failure> {
        self.generators.pop().ok_or(Failure("no generator".to_owned()))
    }

    /// Ids for whoever needs one now and then.
    pub(crate) fn ids(&mut self, common: &Common<'_>) -> Result<Arc<dyn Ids>, Failure> {
        Ok(Arc::new(ClockedIds::new(self.generator()?, Arc::clone(&common.clock))))
    }

    /// All that are left.
    pub(crate) fn generators(&mut self) -> Vec<Arc<Mutex<Generator>>> {
        std::mem::take(&mut self.generators)
    }

    pub(crate) fn close(self) {
        if let Some(renewing) = self.renewing {
            renewing.abort();
        }
    }
}

/// Says in the metrics, once a second, how long ids last.
async fn tell(horizon: impl Fn() -> Timestamp, clock: Arc<dyn Clock>, metrics: Metrics) {
    loop {
        metrics.reserved_seconds.set(horizon().since(clock.now()) as f64 / 1_000.0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Under one name: what a try that was not answered has taken, the next one gets again.
async fn reserve(office: &Arc<dyn Numbers>, count: usize) -> Result<Reserved, Failure> {
    let (holder, mut tries) = (holder()?, 0);
    loop {
        match Reserved::take(Arc::clone(office), holder.clone(), count).await {
            Err(ReserveError::Unavailable(away)) if tries < TRIES => {
                tracing::warn!(%away, "no generator numbers yet; trying again");
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            taken => return Ok(taken?),
        }
    }
}

/// A name for this process that no other has or had.
pub(crate) fn holder() -> Result<String, Failure> {
    Ok(seed()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Randomness of the machine's.
pub(crate) fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use volery_testkit::sql::ManualClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn how_long_ids_last_falls_while_nothing_is_renewed() {
        let (clock, metrics) = (Arc::new(ManualClock::default()), Metrics::new().unwrap());
        let until = clock.now().plus(600_000);
        let telling = tokio::spawn(tell(move || until, clock.clone(), metrics.clone()));
        let mut told = Vec::new();
        for waited in [0, 540_000, 60_000, 60_000] {
            clock.advance(waited);
            tokio::time::sleep(Duration::from_secs(2)).await;
            told.push(metrics.reserved_seconds.get());
        }
        assert_eq!(told, [600.0, 60.0, 0.0, 0.0]);
        telling.abort();
    }
}
