//! Generator numbers and their reservations. The generator itself is pure and lives in the kernel.
//!
//! Before ids are issued up to a time T, T is stored in SQL by compare-and-set, 10 minutes ahead and
//! renewed each minute, so SQL may be away for 9 minutes. A process that starts anew is a new holder:
//! it takes numbers whose reservation has ended, and never meets its own earlier ids again, whatever
//! happened to the clock in between.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use volery_kernel::generator::{Generator, Refused};
use volery_kernel::id::{GENERATOR_MAX, Id};
use volery_kernel::limits;
use volery_kernel::time::Clock;
use volery_ports::ids::Ids;
use volery_ports::sql::{AccountStore, Reservation, Unavailable};

/// Generators that hold reserved numbers, and what renews them.
pub struct Reserved {
    holder: String,
    store: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
    generators: Vec<Arc<Mutex<Generator>>>,
}

/// Why no numbers were reserved.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// More processes started within 10 minutes than there are numbers.
    #[error("all 2,048 generator numbers are reserved; the first ends within 10 minutes")]
    NoneFree,
}

impl Reserved {
    /// Reserves `count` numbers for `holder`, a name that no other process uses or used.
    ///
    /// # Errors
    /// [`ReserveError`].
    pub async fn take(
        store: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
        holder: String,
        count: usize,
    ) -> Result<Self, ReserveError> {
        let mut generators = Vec::with_capacity(count);
        for number in 0..=GENERATOR_MAX {
            if generators.len() == count {
                break;
            }
            let now = clock.now();
            let until = now.plus(limits::RESERVE_AHEAD_MS.value);
            if let Reservation::Held { from, until } = store.reserve(number, &holder, until, now).await? {
                generators.push(Arc::new(Mutex::new(Generator::new(number, from, until))));
            }
        }
        if generators.len() < count {
            return Err(ReserveError::NoneFree);
        }
        Ok(Self { holder, store, clock, generators })
    }

    /// The generators, one a number. Clones of the handles share them.
    #[must_use]
    pub fn generators(&self) -> &[Arc<Mutex<Generator>>] {
        &self.generators
    }

    /// Renews each minute until the task is dropped; while SQL is away it tries each second.
    pub async fn renew(self) {
        let every = Duration::from_millis(limits::RESERVE_EVERY_MS.value);
        loop {
            tokio::time::sleep(every).await;
            for generator in &self.generators {
                while let Err(error) = self.renew_one(generator).await {
                    tracing::warn!(%error, "a generator's number was not renewed; ids last until its reservation ends");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn renew_one(&self, generator: &Mutex<Generator>) -> Result<(), ReserveError> {
        let number = generator.lock().number();
        let now = self.clock.now();
        let until = now.plus(limits::RESERVE_AHEAD_MS.value);
        match self.store.reserve(number, &self.holder, until, now).await? {
            Reservation::Held { until, .. } => {
                generator.lock().reserve(until);
                Ok(())
            }
            Reservation::Taken { .. } => Err(ReserveError::NoneFree),
        }
    }
}

/// A generator with a clock, for whoever needs an id now and then.
pub struct ClockedIds {
    generator: Arc<Mutex<Generator>>,
    clock: Arc<dyn Clock>,
}

impl ClockedIds {
    /// Takes ids from this generator by this clock.
    #[must_use]
    pub fn new(generator: Arc<Mutex<Generator>>, clock: Arc<dyn Clock>) -> Self {
        Self { generator, clock }
    }
}

impl Ids for ClockedIds {
    fn take(&self) -> Result<Id, Refused> {
        self.generator.lock().take(self.clock.now(), Id::ZERO)
    }
}
