//! What the timeline refuses for good: a cell that is damaged or of a later version, a row that it cannot take. After a
//! few tries what it concerns is set aside durably, and the partition goes on.
//!
//! Trap avoided: an outage sets nothing aside. Only what the timeline itself calls [`Refused::Unfit`] is ever counted.

use std::cell::Cell;

use futures::future::join_all;
use volery_kernel::event::SendKey;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Commit, Refused, Unavailable, Write};

use crate::archive::Found;
use crate::node::Shared;

/// What a partition was refused for good, by call, as long as it is read here.
#[derive(Default)]
pub(crate) struct Refusals {
    apply: Refusal,
    look_up: Refusal,
}

/// How often in a row. Once it was as often as it takes, the partition has met damage, and does not wait for it again.
#[derive(Default)]
struct Refusal(Cell<u32>);

impl Refusal {
    fn note<T>(&self, answer: Result<T, Refused>) -> Result<T, Refused> {
        match &answer {
            Ok(_) if !self.is_enough() => self.0.set(0),
            Err(Refused::Unfit(_)) => self.0.set(self.0.get().saturating_add(1)),
            Ok(_) | Err(Refused::Unavailable(_)) => {}
        }
        answer
    }

    fn is_enough(&self) -> bool {
        self.0.get() >= limits::SET_ASIDE_AFTER.value
    }
}

/// What is known of these send keys, asked all at once; or, at last, why one of them cannot be read.
pub(crate) async fn sent(keys: &[SendKey], refusals: &Refusals, shared: &Shared) -> Result<Vec<Found>, Refused> {
    let found = join_all(keys.iter().map(|key| shared.timeline.sent(*key))).await;
    let unfit = |found: &&Result<_, Refused>| matches!(found, Err(Refused::Unfit(_)));
    let worst = found.iter().find(unfit).or_else(|| found.iter().find(|found| found.is_err()));
    // Several that cannot be read are one refusal, and those beside them are no sign that it is over.
    if let Err(refused) = refusals.look_up.note(worst.cloned().unwrap_or(Ok(None)))
        && !refusals.look_up.is_enough()
    {
        return Err(refused);
    }
    let known = |found| match found {
        Err(Refused::Unfit(reason)) => Ok(Err(reason)),
        found => found.map(Ok),
    };
    found.into_iter().map(known).collect()
}

/// Applies, and at last without the rows that are refused: they are set aside at the place of `taken`, the last record
/// that was taken up.
pub(crate) async fn apply(
    partition: Partition,
    writes: Vec<Write>,
    commit: Option<Commit>,
    taken: Source,
    refusals: &Refusals,
    shared: &Shared,
) -> Result<(), Refused> {
    if !refusals.apply.is_enough() {
        return refusals.apply.note(shared.timeline.apply(partition, writes, commit).await);
    }
    match shared.timeline.apply(partition, writes.clone(), commit).await {
        Err(Refused::Unfit(_)) => {}
        answer => return answer,
    }
    let (mut left, refused) = sift(partition, writes, taken, shared).await?;
    let count = u64::from(refused.is_some());
    left.extend(refused);
    shared.timeline.apply(partition, left, commit).await?;
    shared.set_aside(partition, count);
    Ok(())
}

/// Applies the rows one by one. Answers with what is left for the apply that commits, and with what was refused, as
/// text. Rows of the index are left: which day they belong to follows from the commit.
async fn sift(
    partition: Partition,
    writes: Vec<Write>,
    taken: Source,
    shared: &Shared,
) -> Result<(Vec<Write>, Option<Write>), Unavailable> {
    let (mut left, mut refused) = (Vec::new(), Vec::new());
    for write in writes {
        if matches!(write, Write::Index { .. } | Write::SetAside { .. }) {
            left.push(write);
            continue;
        }
        match shared.timeline.apply(partition, vec![write.clone()], None).await {
            Ok(()) => {}
            Err(Refused::Unfit(reason)) => refused.push(format!("{reason}: {write:?}")),
            Err(Refused::Unavailable(away)) => return Err(away),
        }
    }
    let reason = format!("the timeline refused {} rows", refused.len());
    let aside = Write::SetAside { offset: taken.place(), reason, bytes: refused.join("\n").into() };
    Ok((left, (!refused.is_empty()).then_some(aside)))
}

impl Shared {
    /// Says that so many records of a partition could not be applied, and are kept aside.
    pub(crate) fn set_aside(&self, partition: Partition, count: u64) {
        if count == 0 {
            return;
        }
        self.metrics.set_aside.inc_by(count);
        self.archive.set_aside(count, self.clock.now());
        tracing::error!(%partition, count, "records could not be applied and were set aside");
    }
}
