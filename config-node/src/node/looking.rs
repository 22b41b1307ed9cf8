//! Looking at the store, a few times a second and at once after changes of one's own: which leases have ended, and
//! which map follows from those that stand, kind by kind.
//!
//! Who is up are those whose lease stands in the store: an end is decided by one config-node and written
//! there, so that two of them never write maps against each other.
//!
//! Planned moves go on no sooner than a look's time after the newest map was seen, whoever wrote it: so two
//! config-nodes together make as many as one. What has no living owner is given away at once.
//!
//! Trap avoided: a map that was made from leases and drains older than the map it follows could undo a newer one.
//! The map is read before them, and written only if nobody else wrote one since.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use volery_kernel::map::{Member, MemberState, NodeKind, PartitionMap, PerKind};
use volery_node::health::Part;
use volery_ports::cluster::Unavailable;

use super::Shared;
use crate::assign::Step;
use crate::leases::Watched;
use crate::{assign, settings};

/// As many config-nodes as are likely to write at once.
const LOOKS_AT_ONCE: usize = 8;

/// What was seen so far of each kind of node.
pub(super) struct Looked(PerKind<Kind>);

struct Kind {
    watched: Watched,
    pace: Pace,
}

/// See the module.
struct Pace {
    every: Duration,
    newest: u64,
    since: Instant,
}

impl Looked {
    pub(super) fn new(every: Duration) -> Self {
        let since = Instant::now();
        Self(PerKind::from_fn(|_| Kind { watched: Watched::default(), pace: Pace { every, newest: 0, since } }))
    }
}

impl Pace {
    /// The newest map is at this version.
    fn saw(&mut self, version: u64) {
        if version != self.newest {
            (self.newest, self.since) = (version, Instant::now());
        }
    }

    fn step(&self) -> Step {
        if self.since.elapsed() >= self.every { Step::Planned } else { Step::Needed }
    }
}

impl Shared {
    pub(super) async fn look_on(self: Arc<Self>, mut looked: Looked, every: Duration, part: Part) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = self.changed.notified() => {}
            }
            match self.look(&mut looked).await {
                Ok(()) => part.ready(),
                // The engine has told the log.
                Err(Unavailable(reason)) => {
                    NodeKind::ALL.into_iter().for_each(|kind| looked.0.of_mut(kind).watched.start_anew());
                    part.degraded(format!("no leases, no changes: {reason}"));
                }
            }
        }
    }

    pub(super) async fn look(&self, looked: &mut Looked) -> Result<(), Unavailable> {
        self.watches.show_settings(settings::listed(self.store.settings().await?));
        self.known.send_replace(self.store.known().await?);
        for kind in NodeKind::ALL {
            self.settle(kind, looked.0.of_mut(kind)).await?;
        }
        Ok(())
    }

    /// Looks until there is nothing to write, or it was written. Whoever is overtaken by another
    /// config-node looks again, a few times at once and then when it is time.
    async fn settle(&self, kind: NodeKind, looked: &mut Kind) -> Result<(), Unavailable> {
        for _ in 0..LOOKS_AT_ONCE {
            if self.look_at(kind, looked).await? {
                return Ok(());
            }
        }
        tracing::warn!("a map could not be written: another version than the last one is in the store");
        Ok(())
    }

    /// Whether it is settled: false if somebody else wrote a map meanwhile.
    async fn look_at(&self, kind: NodeKind, Kind { watched, pace }: &mut Kind) -> Result<bool, Unavailable> {
        if let Some(map) = self.store.map(kind, self.watches.map(kind).version()).await? {
            self.watches.show_map(kind, map);
        }
        let (map, up) = (self.watches.map(kind), self.up(kind, watched).await?);
        pace.saw(map.version());
        match assign::next(&map, up, pace.step()) {
            Ok(Some(map)) => {
                pace.saw(map.version());
                self.write(kind, map).await
            }
            Ok(None) => Ok(true),
            Err(error) => {
                tracing::error!(%error, "no map can be made; the last one stays");
                Ok(true)
            }
        }
    }

    /// Those whose lease stands, after those that have ended were removed; with what operators want of them.
    async fn up(&self, kind: NodeKind, watched: &mut Watched) -> Result<Vec<Member>, Unavailable> {
        let asked = self.clock.now();
        let mut held = self.store.leases(kind).await?;
        for lease in watched.look(held.clone(), asked, self.clock.now()) {
            if self.store.end(kind, &lease).await? {
                tracing::warn!(kind = kind.name(), node = lease.member.name, "was not heard of: its lease has ended");
                held.retain(|other| *other != lease);
            }
        }
        let drains = self.store.drains(kind).await?;
        let is_drained = |member: &Member| drains.iter().any(|drain| drain.node == member.name);
        let member =
            |member| if is_drained(&member) { Member { state: MemberState::Draining, ..member } } else { member };
        Ok(held.into_iter().map(|lease| member(lease.member)).collect())
    }

    async fn write(&self, kind: NodeKind, map: PartitionMap) -> Result<bool, Unavailable> {
        let written = self.store.put_map(kind, &map, None).await?;
        if written {
            let (version, members) = (map.version(), map.members().len());
            tracing::info!(kind = kind.name(), version, members, left = assign::left(&map), "a new map");
            self.watches.show_map(kind, map);
        }
        Ok(written)
    }
}
