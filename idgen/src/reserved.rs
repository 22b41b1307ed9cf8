//! A node's generators under reserved numbers, and the task that renews the reservations.
//!
//! Trap avoided: a number that was lost and got back has had another holder in between. A generator
//! goes on only where its reservation never ended; otherwise it is replaced by one that begins where
//! the other holder's time ended.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use volery_kernel::generator::{Generator, Refused};
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::time::{Clock, Timestamp};
use volery_ports::ids::{Held, Ids, Numbers, ReserveError};

/// How often it is looked whether a renewal is due; one that failed is tried again as often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Generators that hold reserved numbers, and what renews them.
pub struct Reserved {
    numbers: Arc<dyn Numbers>,
    holder: String,
    leases: Vec<Lease>,
    generators: Vec<Arc<Mutex<Generator>>>,
    /// How many lost numbers were replaced: each taking has a name of its own.
    replaced: u32,
}

/// One generator's reservation, and the name under which it was taken.
struct Lease {
    holder: String,
    held: Held,
}

impl Reserved {
    /// Reserves `count` numbers for `holder`, a name that no other process uses or used.
    ///
    /// # Errors
    /// [`ReserveError`].
    pub async fn take(numbers: Arc<dyn Numbers>, holder: String, count: usize) -> Result<Self, ReserveError> {
        let held = numbers.take(&holder, count).await?;
        let generators = held.iter().map(|held| Arc::new(Mutex::new(generator(*held)))).collect();
        let leases = held.into_iter().map(|held| Lease { holder: holder.clone(), held }).collect();
        Ok(Self { numbers, holder, leases, generators, replaced: 0 })
    }

    /// The generators, one a number. Clones of the handles share them.
    #[must_use]
    pub fn generators(&self) -> &[Arc<Mutex<Generator>>] {
        &self.generators
    }

    /// Tells, whenever it is asked, until when ids can be issued even if nothing is renewed any more: where the
    /// first of the reservations ends.
    pub fn horizon(&self) -> impl Fn() -> Timestamp + use<> {
        let generators = self.generators.clone();
        move || generators.iter().map(|generator| generator.lock().reserved_until()).min().unwrap_or_default()
    }

    /// Renews each minute until the task is dropped, by this clock or by a steady one, whichever is first: a clock
    /// that leaps leaves the reservation behind. While idgen is away it tries each second.
    pub async fn renew(mut self, clock: Arc<dyn Clock>) {
        let (mut renewed, mut looks) = (clock.now(), 0);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            looks += 1;
            if !is_due(looks * LOOK_EVERY, renewed, clock.now()) {
                continue;
            }
            match self.renew_all().await {
                Ok(()) => (renewed, looks) = (clock.now(), 0),
                Err(error) => {
                    tracing::warn!(%error, "a generator's number was not renewed; ids last until its reservation ends");
                }
            }
        }
    }

    async fn renew_all(&mut self) -> Result<(), ReserveError> {
        for (lease, generator) in self.leases.iter_mut().zip(&self.generators) {
            match self.numbers.renew(&lease.holder, lease.held.number).await {
                Ok(held) => lease.goes_on(held, generator),
                Err(error @ ReserveError::Lost { .. }) => {
                    tracing::error!(%error, number = lease.held.number, "taking another number");
                    let holder = format!("{}/{}", self.holder, self.replaced);
                    lease.replace(self.numbers.as_ref(), holder, generator).await?;
                    self.replaced += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A clock that stepped back is as good a reason as one that leapt: what it says is of another time.
fn is_due(waited: Duration, renewed: Timestamp, now: Timestamp) -> bool {
    let every = limits::RESERVE_EVERY_MS.value;
    waited >= Duration::from_millis(every) || now.0.abs_diff(renewed.0) >= every
}

impl Lease {
    fn goes_on(&mut self, held: Held, generator: &Mutex<Generator>) {
        if held.from == self.held.from {
            generator.lock().reserve(held.until);
        } else {
            *generator.lock() = self::generator(held);
        }
        self.held = held;
    }

    async fn replace(
        &mut self,
        numbers: &dyn Numbers,
        holder: String,
        generator: &Mutex<Generator>,
    ) -> Result<(), ReserveError> {
        let taken = numbers.take(&holder, 1).await?;
        let held = *taken.first().ok_or(ReserveError::NoneFree)?;
        *generator.lock() = self::generator(held);
        *self = Self { holder, held };
        Ok(())
    }
}

fn generator(held: Held) -> Generator {
    Generator::new(held.number, held.from, held.until)
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

#[cfg(test)]
mod tests;
