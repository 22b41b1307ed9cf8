//! What the timeline refuses for good: a cell that is damaged or of a later version, a row that it cannot take. After a
//! few tries what it concerns is set aside durably, and the partition goes on.
//!
//! Trap avoided: an outage sets nothing aside. Only what the timeline itself calls [`Refused::Unfit`] is ever counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use volery_kernel::event::SendKey;
use volery_kernel::limits;
use volery_kernel::position::Source;
use volery_kernel::slot::Partition;
use volery_ports::timeline::{Commit, Refused, Sent, Unavailable, Write};

use crate::node::Shared;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Apply,
    LookUp,
}

/// How often in a row each call was refused for good. A partition that had as many refusals as it takes has met damage,
/// and does not wait for it again.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Counts>);

type Counts = BTreeMap<(Partition, Call), u32>;

impl Refusals {
    fn note<T>(&self, call: (Partition, Call), answer: Result<T, Refused>) -> Result<T, Refused> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = counts.entry(call).or_default();
        match &answer {
            Ok(_) if !is_enough(*refusals) => *refusals = 0,
            Err(Refused::Unfit(_)) => *refusals = refusals.saturating_add(1),
            Ok(_) | Err(Refused::Unavailable(_)) => {}
        }
        answer
    }

    fn are_enough(&self, call: (Partition, Call)) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&call).is_some_and(|refusals| is_enough(*refusals))
    }
}

fn is_enough(refusals: u32) -> bool {
    refusals >= limits::SET_ASIDE_AFTER.value
}

/// What is known of a send key; or, at last, why that cannot be read.
pub(crate) async fn sent(
    partition: Partition,
    key: SendKey,
    shared: &Shared,
) -> Result<Result<Option<Sent>, String>, Refused> {
    let call = (partition, Call::LookUp);
    match shared.refusals.note(call, shared.timeline.sent(key).await) {
        Err(Refused::Unfit(reason)) if shared.refusals.are_enough(call) => Ok(Err(reason)),
        answer => answer.map(Ok),
    }
}

/// Applies, and at last without the rows that are refused.
pub(crate) async fn apply(
    partition: Partition,
    writes: Vec<Write>,
    commit: Option<Commit>,
    shared: &Shared,
) -> Result<(), Refused> {
    let call = (partition, Call::Apply);
    if !shared.refusals.are_enough(call) {
        return shared.refusals.note(call, shared.timeline.apply(partition, writes, commit).await);
    }
    match shared.timeline.apply(partition, writes.clone(), commit).await {
        Err(Refused::Unfit(_)) => {}
        answer => return answer,
    }
    let (mut left, refused) = sift(partition, writes, commit, shared).await?;
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
    commit: Option<Commit>,
    shared: &Shared,
) -> Result<(Vec<Write>, Option<Write>), Unavailable> {
    let offset = commit.map(|commit| commit.source).or(writes.iter().find_map(source)).unwrap_or_default().place();
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
    let aside = Write::SetAside { offset, reason, bytes: refused.join("\n").into() };
    Ok((left, (!refused.is_empty()).then_some(aside)))
}

/// Where a row comes from, if it says so.
fn source(write: &Write) -> Option<Source> {
    match write {
        Write::Message { message, .. } => Some(message.source),
        Write::Sent { sent, .. } => sent.source,
        _ => None,
    }
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
