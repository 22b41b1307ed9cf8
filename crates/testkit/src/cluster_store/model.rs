//! The contract in the fewest words: maps behind one lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use volery_kernel::map::{Member, NodeKind, PartitionMap, PerKind};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{Change, Drain, Setting};
use volery_ports::cluster_store::{ClusterStore, DrainChange, Facts, Known, Lease, Set, Unavailable};

#[derive(Default)]
struct State {
    facts: Option<Facts>,
    log: Option<String>,
    leases: PerKind<BTreeMap<String, Lease>>,
    maps: PerKind<Option<PartitionMap>>,
    drains: PerKind<BTreeMap<String, Drain>>,
    settings: BTreeMap<String, Setting>,
}

/// A cluster store in memory.
#[derive(Default)]
pub struct ModelClusterStore {
    state: Mutex<State>,
    away: AtomicBool,
    looks: AtomicUsize,
}

impl ModelClusterStore {
    /// Lets every call fail from here on, or none.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// How often somebody began to look by asking for the settings, answered or not.
    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Unavailable> {
        if self.away.load(Ordering::SeqCst) { Err(Unavailable("switched off".into())) } else { Ok(self.state.lock()) }
    }
}

#[async_trait]
impl ClusterStore for ModelClusterStore {
    async fn known(&self) -> Result<Known, Unavailable> {
        let state = self.state()?;
        Ok(Known { facts: state.facts.clone(), log: state.log.clone() })
    }

    async fn facts(&self, first: Facts) -> Result<Facts, Unavailable> {
        Ok(self.state()?.facts.get_or_insert(first).clone())
    }

    async fn log(&self, first: &str) -> Result<String, Unavailable> {
        Ok(self.state()?.log.get_or_insert_with(|| first.to_owned()).clone())
    }

    async fn put_log(&self, log: &str) -> Result<(), Unavailable> {
        self.state()?.log = Some(log.to_owned());
        Ok(())
    }

    async fn hold(&self, kind: NodeKind, member: &Member, process: &str, now: Timestamp) -> Result<bool, Unavailable> {
        let mut state = self.state()?;
        let leases = state.leases.of_mut(kind);
        let renewed = match leases.get(&member.name) {
            Some(lease) if lease.process != process => return Ok(false),
            Some(lease) => now.max(lease.renewed.plus(1)),
            None => now,
        };
        let lease = Lease { member: member.clone(), process: process.to_owned(), renewed };
        leases.insert(member.name.clone(), lease);
        Ok(true)
    }

    async fn leave(&self, kind: NodeKind, name: &str, process: &str) -> Result<(), Unavailable> {
        self.state()?.leases.of_mut(kind).retain(|_, lease| lease.member.name != name || lease.process != process);
        Ok(())
    }

    async fn end(&self, kind: NodeKind, lease: &Lease) -> Result<bool, Unavailable> {
        let mut state = self.state()?;
        let leases = state.leases.of_mut(kind);
        let as_read = leases
            .get(&lease.member.name)
            .is_some_and(|held| (held.process.as_str(), held.renewed) == (lease.process.as_str(), lease.renewed));
        Ok(as_read && leases.remove(&lease.member.name).is_some())
    }

    async fn leases(&self, kind: NodeKind) -> Result<Vec<Lease>, Unavailable> {
        Ok(self.state()?.leases.of(kind).values().cloned().collect())
    }

    async fn map(&self, kind: NodeKind, seen: u64) -> Result<Option<PartitionMap>, Unavailable> {
        Ok(self.state()?.maps.of(kind).clone().filter(|map| map.version() > seen))
    }

    async fn put_map(
        &self,
        kind: NodeKind,
        map: &PartitionMap,
        drain: Option<&DrainChange>,
    ) -> Result<bool, Unavailable> {
        let mut state = self.state()?;
        let last = state.maps.of_mut(kind);
        let next = 1 + last.as_ref().map_or(0, PartitionMap::version);
        if map.version() != next {
            return Ok(false);
        }
        *last = Some(map.clone());
        let drains = state.drains.of_mut(kind);
        match drain {
            Some(DrainChange::Begins(drain)) => {
                drains.entry(drain.node.clone()).or_insert_with(|| drain.clone());
            }
            Some(DrainChange::Ends(node)) => {
                drains.remove(node);
            }
            None => {}
        }
        Ok(true)
    }

    async fn drains(&self, kind: NodeKind) -> Result<Vec<Drain>, Unavailable> {
        Ok(self.state()?.drains.of(kind).values().cloned().collect())
    }

    async fn settings(&self) -> Result<Vec<Setting>, Unavailable> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(self.state()?.settings.values().cloned().collect())
    }

    async fn set(&self, change: &Change, now: Timestamp) -> Result<Set, Unavailable> {
        let mut state = self.state()?;
        let version = state.settings.get(&change.name).map_or(0, |setting| setting.version);
        if version != change.seen {
            return Ok(Set::Stale { version });
        }
        let Change { name, value, seen, by } = change.clone();
        let setting = Setting { name: name.clone(), value, version: seen + 1, by, at: now };
        state.settings.insert(name, setting.clone());
        Ok(Set::Done(setting))
    }
}
