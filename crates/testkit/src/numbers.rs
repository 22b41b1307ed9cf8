//! What whoever hands out generator numbers promises: the same called directly or on another machine.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use std::sync::Arc;

use volery_kernel::id::GENERATOR_MAX;
use volery_kernel::limits;
use volery_kernel::time::Clock as _;
use volery_ports::accounts::Unavailable;
use volery_ports::ids::{Held, Numbers, ReserveError};

use crate::sql::{ManualClock, Model};

/// Runs the whole suite. `numbers` keeps its reservations in `store`, which is empty, by `clock`.
///
/// # Panics
/// Where an answer is not what it must be.
pub async fn conformance(store: &Model, clock: &Arc<ManualClock>, numbers: &dyn Numbers) {
    let first = taken(numbers, "one", 2).await;
    let until = clock.now().plus(limits::RESERVE_AHEAD_MS.value);
    assert_eq!(first.iter().map(|held| (held.number, held.until)).collect::<Vec<_>>(), [(0, until), (1, until)]);
    assert_eq!(taken(numbers, "one", 2).await, first, "what it has it gets again");
    let second = taken(numbers, "two", 1).await;
    assert_eq!(second.iter().map(|held| held.number).collect::<Vec<_>>(), [2], "nobody else's");
    assert_eq!(taken(numbers, "three", 0).await, []);

    clock.advance(limits::RESERVE_EVERY_MS.value);
    let renewed = numbers.renew("one", 1).await;
    assert_eq!(renewed, Ok(Held { until: until.plus(limits::RESERVE_EVERY_MS.value), ..first[1] }));
    let foreign = numbers.renew("two", 0).await;
    assert_eq!(foreign, Err(ReserveError::Lost { until }));
    let too_many = numbers.take("all", usize::from(GENERATOR_MAX) + 1).await;
    assert_eq!(too_many, Err(ReserveError::NoneFree));

    clock.advance(limits::RESERVE_AHEAD_MS.value * 2);
    let successor = taken(numbers, "four", 1).await;
    assert_eq!((successor[0].number, successor[0].from), (0, until), "it begins where the other ended");
    assert_eq!(numbers.renew("one", 0).await, Err(ReserveError::Lost { until: successor[0].until }));

    store.set_away(true);
    let away = numbers.renew("four", 0).await;
    assert_eq!(away, Err(Unavailable("switched off".into()).into()));
    store.set_away(false);
    assert!(numbers.renew("four", 0).await.is_ok());
}

async fn taken(numbers: &dyn Numbers, holder: &str, count: usize) -> Vec<Held> {
    match numbers.take(holder, count).await {
        Ok(held) => held,
        Err(error) => panic!("{count} numbers for {holder}: {error}"),
    }
}
