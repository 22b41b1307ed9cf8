use std::collections::BTreeSet;
use std::sync::Arc;

use volery_kernel::limits;
use volery_ports::ids::{Ids as _, Numbers as _};
use volery_testkit::sql::{ManualClock, Model};

use super::*;
use crate::Office;

struct Bench {
    store: Arc<Model>,
    clock: Arc<ManualClock>,
    office: Arc<Office>,
}

fn bench() -> Bench {
    let (store, clock) = (Arc::new(Model::default()), Arc::new(ManualClock::default()));
    let office = Arc::new(Office::new(store.clone(), clock.clone()));
    Bench { store, clock, office }
}

fn numbers(reserved: &Reserved) -> Vec<u16> {
    reserved.generators().iter().map(|generator| generator.lock().number()).collect()
}

#[tokio::test]
async fn a_number_that_was_lost_is_replaced_and_no_id_is_given_twice() {
    let Bench { clock, office, .. } = bench();
    let mut first = Reserved::take(office.clone(), "first".into(), 2).await.expect("numbers");
    let ids: Vec<_> = first.generators().iter().map(|one| ClockedIds::new(one.clone(), clock.clone())).collect();
    let mut seen: BTreeSet<_> = ids.iter().map(|ids| ids.take().expect("an id")).collect();
    assert_eq!((seen.len(), numbers(&first)), (2, vec![0, 1]));

    let horizon = first.horizon();
    assert_eq!(horizon(), clock.now().plus(limits::RESERVE_AHEAD_MS.value));
    clock.advance(limits::RESERVE_AHEAD_MS.value + 1);
    assert!(ids[0].take().is_err(), "its reservation ended");
    let taken = office.take("second", 1).await.expect("a number");
    assert_eq!(taken[0].number, 0);
    first.renew_all().await.expect("renewed");
    assert_eq!(numbers(&first), [1, 2], "all had ended: each takes what is free");
    assert_eq!(horizon(), clock.now().plus(limits::RESERVE_AHEAD_MS.value), "it is told of what replaced them");
    assert!(ids.iter().all(|ids| seen.insert(ids.take().expect("an id"))));

    first.renew_all().await.expect("renewed");
    assert_eq!(numbers(&first), [1, 2], "what replaced it is renewed like the others");
}

#[tokio::test]
async fn who_gets_a_lost_number_back_begins_where_the_other_ended() {
    let Bench { clock, office, .. } = bench();
    let mut first = Reserved::take(office.clone(), "first".into(), 1).await.expect("a number");
    clock.advance(limits::RESERVE_AHEAD_MS.value + 1);
    let other = office.take("second", 1).await.expect("a number")[0];
    clock.advance(limits::RESERVE_AHEAD_MS.value + 1);
    first.renew_all().await.expect("renewed");
    assert_eq!(numbers(&first), [0], "both reservations had ended");
    let ids = ClockedIds::new(first.generators()[0].clone(), clock);
    assert!(ids.take().expect("an id").time() >= other.until);
    assert!(first.leases[0].held.from == other.until);
}

#[tokio::test]
async fn an_outage_changes_nothing_and_ends_by_itself() {
    let Bench { store, clock, office } = bench();
    let mut first = Reserved::take(office, "first".into(), 1).await.expect("a number");
    let until = first.generators()[0].lock().reserved_until();
    clock.advance(limits::RESERVE_EVERY_MS.value);
    store.set_away(true);
    assert!(matches!(first.renew_all().await, Err(ReserveError::Unavailable(_))));
    assert_eq!(first.generators()[0].lock().reserved_until(), until);
    store.set_away(false);
    first.renew_all().await.expect("renewed");
    assert_eq!(first.generators()[0].lock().reserved_until(), until.plus(limits::RESERVE_EVERY_MS.value));
}

/// Twice as long as between two looks, by tokio's clock, which stands still until everybody sleeps.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_clock_that_leaps_is_caught_up_with_at_once() {
    let Bench { clock, office, .. } = bench();
    let first = Reserved::take(office, "first".into(), 1).await.expect("a number");
    let ids = ClockedIds::new(first.generators()[0].clone(), clock.clone());
    let renewing = tokio::spawn(first.renew(clock.clone()));
    tokio::time::sleep(SOON).await;
    clock.advance(limits::RESERVE_AHEAD_MS.value + 60_000);
    assert!(ids.take().is_err(), "its reservation ended");
    tokio::time::sleep(SOON).await;
    assert!(ids.take().is_ok());
    renewing.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_back_by_an_hour_gives_nothing_twice_and_nothing_away() {
    const HOUR: u64 = 3_600_000;
    let Bench { clock, office, .. } = bench();
    let first = Reserved::take(office.clone(), "first".into(), 1).await.expect("a number");
    let ids = ClockedIds::new(first.generators()[0].clone(), clock.clone());
    let (newest, horizon) = (ids.take().expect("an id"), first.horizon());
    let until = horizon();
    let renewing = tokio::spawn(first.renew(clock.clone()));
    tokio::time::sleep(SOON).await;
    clock.step_back(HOUR);
    tokio::time::sleep(SOON).await;
    assert_eq!(ids.take(), Err(Refused::ClockBehind { behind_ms: HOUR }));
    assert_eq!(horizon(), until, "a renewal by that clock gives back nothing");
    let other = office.take("second", 1).await.expect("a number")[0];
    assert_eq!(other.number, 1, "and nobody else gets the number");
    clock.advance(HOUR);
    assert!(ids.take().expect("an id") > newest, "it goes on where it was");
    renewing.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_is_renewed_all_the_same() {
    let Bench { clock, office, store } = bench();
    let first = Reserved::take(office, "first".into(), 1).await.expect("a number");
    let (horizon, begun) = (first.horizon(), clock.now());
    let renewing = tokio::spawn(first.renew(clock.clone()));
    let every = Duration::from_millis(limits::RESERVE_EVERY_MS.value);
    tokio::time::sleep(every - SOON).await;
    store.set_away(true);
    clock.advance(1_000);
    tokio::time::sleep(2 * SOON).await;
    assert_eq!(horizon(), begun.plus(limits::RESERVE_AHEAD_MS.value), "idgen is away");
    store.set_away(false);
    tokio::time::sleep(SOON).await;
    assert_eq!(horizon(), begun.plus(limits::RESERVE_AHEAD_MS.value + 1_000));
    renewing.abort();
}
