//! Random operations on an engine and on the model: every answer must be the same.
//!
//! Names, processes and versions are drawn from small ranges, so that they collide.

use proptest::prelude::*;
use volery_kernel::map::{Member, MemberState, NodeKind, PerKind, Weight};
use volery_kernel::time::Timestamp;
use volery_ports::cluster_store::{ClusterStore, Facts, Lease, Unavailable};

use super::{ModelClusterStore, change, drained, map, member};

/// One call with its arguments in small numbers.
#[derive(Clone, Debug)]
pub enum Op {
    /// Asks what is known.
    Known,
    /// Asks for the facts, with a number of partitions of one's own.
    Facts(u16),
    /// Asks for the log, with one's own.
    Log(u8),
    /// Puts a log.
    PutLog(u8),
    /// Takes or renews: name, process, time. The process says weight and state, too.
    Hold(NodeKind, u8, u8, u64),
    /// Leaves: name, process.
    Leave(NodeKind, u8, u8),
    /// Reads the leases; with a number, ends the one of this index as it was read then.
    Leases(NodeKind, Option<usize>),
    /// Reads the map: which version was seen.
    Map(NodeKind, u64),
    /// Writes a map: by how much its version is above the last one that was written, its owner, and which node is
    /// drained from then on, or no more.
    PutMap(NodeKind, u64, Option<u16>, Option<(u8, bool)>),
    /// Reads who is drained.
    Drains(NodeKind),
    /// Reads the settings.
    Settings,
    /// Sets: name, value, version seen.
    Set(u8, Option<u8>, u64),
}

/// Sequences of up to `most` operations.
pub fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let kind = || prop::sample::select(NodeKind::ALL.to_vec());
    let op = prop_oneof![
        Just(Op::Known),
        (1..4u16).prop_map(Op::Facts),
        (0..3u8).prop_map(Op::Log),
        (0..3u8).prop_map(Op::PutLog),
        (kind(), 0..3u8, 0..2u8, 0..9u64).prop_map(|(kind, name, process, now)| Op::Hold(kind, name, process, now)),
        (kind(), 0..3u8, 0..2u8).prop_map(|(kind, name, process)| Op::Leave(kind, name, process)),
        (kind(), prop::option::of(0..3usize)).prop_map(|(kind, index)| Op::Leases(kind, index)),
        (kind(), 0..6u64).prop_map(|(kind, seen)| Op::Map(kind, seen)),
        (kind(), 0..3u64, prop::option::of(0..2u16), prop::option::of((0..3u8, any::<bool>())))
            .prop_map(|(kind, above, owner, drain)| Op::PutMap(kind, above, owner, drain)),
        kind().prop_map(Op::Drains),
        Just(Op::Settings),
        (0..2u8, prop::option::of(0..3u8), 0..4u64).prop_map(|(name, value, seen)| Op::Set(name, value, seen)),
    ];
    prop::collection::vec(op, 0..most)
}

/// Runs the operations on an empty engine and on the model.
///
/// # Errors
/// The first operation that the two answer differently, with both answers.
pub async fn compare(engine: &dyn ClusterStore, ops: &[Op]) -> Result<(), String> {
    let model = ModelClusterStore::default();
    let (mut there, mut here) = (Run::default(), Run::default());
    for (step, op) in ops.iter().enumerate() {
        let answer = there.step(engine, op).await;
        let expected = here.step(&model, op).await;
        if answer != expected {
            return Err(format!("step {step}, {op:?}:\n engine {answer:?}\n model  {expected:?}"));
        }
    }
    Ok(())
}

/// What a run must know of its own past.
#[derive(Default)]
struct Run {
    read: PerKind<Vec<Lease>>,
    maps: PerKind<u64>,
}

impl Run {
    async fn step(&mut self, store: &dyn ClusterStore, op: &Op) -> Result<String, Unavailable> {
        match op {
            Op::Known => Ok(format!("{:?}", store.known().await?)),
            Op::Facts(partitions) => {
                let facts = Facts { partitions: *partitions, hash: "h".into(), level: *partitions };
                Ok(format!("{:?}", store.facts(facts).await?))
            }
            Op::Log(name) => store.log(&name.to_string()).await,
            Op::PutLog(name) => Ok(format!("{:?}", store.put_log(&name.to_string()).await?)),
            Op::Hold(kind, name, process, now) => {
                let member = held_by(*process, member(&name.to_string()));
                Ok(format!("{:?}", store.hold(*kind, &member, &process.to_string(), Timestamp(*now)).await?))
            }
            Op::Leave(kind, name, process) => {
                Ok(format!("{:?}", store.leave(*kind, &name.to_string(), &process.to_string()).await?))
            }
            Op::Leases(kind, index) => self.leases(store, *kind, *index).await,
            Op::Map(kind, seen) => Ok(format!("{:?}", store.map(*kind, *seen).await?)),
            Op::PutMap(kind, above, owner, drain) => {
                let last = self.maps.of_mut(*kind);
                let drain = drain.map(|(node, begins)| drained(&node.to_string(), *last, begins));
                let put = store.put_map(*kind, &map(*last + above, &["a", "b"], &[*owner]), drain.as_ref()).await?;
                *last += if put { *above } else { 0 };
                Ok(format!("{put:?}"))
            }
            Op::Drains(kind) => Ok(format!("{:?}", store.drains(*kind).await?)),
            Op::Settings => Ok(format!("{:?}", store.settings().await?)),
            Op::Set(name, value, seen) => {
                let value = value.map(|value| value.to_string());
                let change = change(&name.to_string(), value.as_deref(), *seen);
                Ok(format!("{:?}", store.set(&change, Timestamp(*seen)).await?))
            }
        }
    }

    /// Ends one as it was read by an earlier step, which it may not be any more.
    async fn leases(
        &mut self,
        store: &dyn ClusterStore,
        kind: NodeKind,
        index: Option<usize>,
    ) -> Result<String, Unavailable> {
        let read = self.read.of_mut(kind);
        match index.and_then(|index| read.get(index)) {
            Some(lease) => Ok(format!("{:?}", store.end(kind, lease).await?)),
            None => {
                *read = store.leases(kind).await?;
                Ok(format!("{read:?}"))
            }
        }
    }
}

fn held_by(process: u8, member: Member) -> Member {
    let weight = Weight::new(1 + u16::from(process)).unwrap_or(Weight::ONE);
    let state = if process == 0 { MemberState::Serving } else { MemberState::Draining };
    Member { weight, state, ..member }
}
