//! What is broken when: a list without end that follows from a seed. Pure.
//!
//! Kinds come from a deck, so that all of them come equally often however short a campaign is. Now and then two faults are
//! there at once; what may not meet does not.

use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Link, Process, Service, Way};

/// How likely a fault meets another.
const TOGETHER: f64 = 0.2;
/// From everybody synced to the next blow, in ms.
const CALM_MS: Range<u64> = 200..1_500;
/// For how long faults last, in ms. A lease is 3 s, an append has 5, a broker is given up after 9.
const GONE_MS: Range<u64> = 100..5_500;
const SHORT_MS: Range<u64> = 300..2_500;
const LONG_MS: Range<u64> = 3_500..8_000;
const ENGINE_MS: Range<u64> = 1_000..11_000;
const OUTAGE_MS: Range<u64> = 6_000..10_000;
const MOVE_MS: Range<u64> = 1_000..4_000;

/// Roles that are killed and held: messaging more often, it has the sessions.
const ROLES: [Service; 8] = [
    Service::Messaging,
    Service::Messaging,
    Service::Messaging,
    Service::History,
    Service::Config,
    Service::Idgen,
    Service::Account,
    Service::Gateway,
];

/// Who asks whom while it runs, over links that are ours.
pub const ASKS: [(Service, &[Service]); 6] = [
    (Service::Messaging, &[Service::Config, Service::Idgen, Service::Account, Service::History, Service::Redis]),
    (Service::Gateway, &[Service::Config, Service::Account, Service::History]),
    (Service::Account, &[Service::Idgen, Service::Postgres]),
    (Service::History, &[Service::Config]),
    (Service::Idgen, &[Service::Postgres]),
    (Service::Config, &[Service::Postgres]),
];

/// A sort of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A role's process is killed.
    Kill,
    /// A role's process stands still.
    Hold,
    /// A link is cut.
    Cut,
    /// One of three brokers is killed or stands still.
    Broker,
    /// One of three Cassandra nodes is.
    Cassandra,
    /// PostgreSQL ends and is started again.
    Postgres,
    /// Redis does.
    Redis,
    /// Too few brokers are left.
    Outage,
    /// A messaging node is drained.
    Drain,
    /// Another messaging node comes and goes.
    Join,
}

/// How many of each kind a deck has.
const DECK: [(Kind, usize); 10] = [
    (Kind::Kill, 6),
    (Kind::Hold, 5),
    (Kind::Cut, 5),
    (Kind::Broker, 2),
    (Kind::Cassandra, 2),
    (Kind::Postgres, 1),
    (Kind::Redis, 1),
    (Kind::Outage, 1),
    (Kind::Drain, 2),
    (Kind::Join, 2),
];

/// What there is to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Processes of each role. One more messaging node comes and goes.
    pub nodes: u8,
    /// Brokers, and Cassandra nodes.
    pub copies: u8,
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// What is done.
    pub fault: Fault,
    /// So long after its blow began.
    pub after: Duration,
    /// How long it is left so.
    pub lasts: Duration,
}

/// What is done before everybody is waited for: one fault, or two that meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blow {
    /// What.
    pub faults: Vec<Timed>,
    /// How long it is quiet once everybody is back.
    pub calm: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Schedule {
    rng: StdRng,
    shape: Shape,
    full: Vec<Kind>,
    deck: Vec<Kind>,
}

impl Schedule {
    /// Of these kinds. Of an engine that there is once, no copy can be spared: such kinds do not come.
    #[must_use]
    pub fn new(seed: u64, shape: Shape, kinds: &[Kind]) -> Self {
        let can = |kind| shape.copies >= 3 || !matches!(kind, Kind::Broker | Kind::Cassandra);
        let of = DECK.into_iter().filter(|(kind, _)| kinds.contains(kind) && can(*kind));
        let full = of.flat_map(|(kind, count)| std::iter::repeat_n(kind, count)).collect();
        Self { rng: StdRng::seed_from_u64(seed), shape, full, deck: Vec::new() }
    }

    fn draw(&mut self) -> Option<Kind> {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.full);
            self.deck.shuffle(&mut self.rng);
        }
        self.deck.pop()
    }

    fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    fn one_of<T: Copy>(&mut self, all: &[T], otherwise: T) -> T {
        all.choose(&mut self.rng).copied().unwrap_or(otherwise)
    }

    fn process(&mut self, service: Service, count: u8) -> Process {
        Process { service, number: self.rng.random_range(1..=count.max(1)) }
    }

    fn fault(&mut self, kind: Kind) -> (Fault, Range<u64>) {
        let Shape { nodes, copies } = self.shape;
        match kind {
            Kind::Kill | Kind::Hold => {
                let service = self.one_of(&ROLES, Service::Messaging);
                let process = self.process(service, nodes);
                match kind {
                    Kind::Kill => (Fault::Kill(process), GONE_MS),
                    _ if self.rng.random_bool(0.5) => (Fault::Hold(process), SHORT_MS),
                    _ => (Fault::Hold(process), LONG_MS),
                }
            }
            Kind::Cut => {
                (Fault::Cut(self.link(), self.one_of(&[Way::Reset, Way::Silent, Way::Slow], Way::Silent)), LONG_MS)
            }
            Kind::Broker | Kind::Cassandra => {
                let service = if kind == Kind::Broker { Service::Kafka } else { Service::Cassandra };
                let process = self.process(service, copies);
                (self.one_of(&[Fault::Kill(process), Fault::Hold(process)], Fault::Kill(process)), ENGINE_MS)
            }
            Kind::Postgres => (Fault::Stop(self.process(Service::Postgres, 1)), GONE_MS),
            Kind::Redis => (Fault::Stop(self.process(Service::Redis, 1)), GONE_MS),
            Kind::Outage => (Fault::Outage, OUTAGE_MS),
            Kind::Drain => (Fault::Drain(self.process(Service::Messaging, nodes).number), MOVE_MS),
            Kind::Join => (Fault::Join, MOVE_MS),
        }
    }

    fn link(&mut self) -> Link {
        let nodes = self.shape.nodes;
        let all = ASKS.iter().flat_map(|(asker, asked)| asked.iter().map(move |asked| (*asker, *asked)));
        let links = all
            .flat_map(|(service, asked)| (1..=nodes).map(move |number| Link::Asks(Process { service, number }, asked)));
        let doors = (1..=nodes).map(Link::Door);
        // A door as often as all that its node asks, together: it is what people notice.
        let doors: Vec<_> = doors.flat_map(|door| std::iter::repeat_n(door, ASKS.len())).collect();
        let all: Vec<_> = links.chain(doors).collect();
        self.one_of(&all, Link::Door(1))
    }
}

impl Iterator for Schedule {
    type Item = Blow;

    /// `None` if there is nothing to break.
    fn next(&mut self) -> Option<Blow> {
        let kind = self.draw()?;
        let (fault, range) = self.fault(kind);
        let lasts = self.millis(range);
        let mut faults = vec![Timed { fault, after: Duration::ZERO, lasts }];
        if self.rng.random_bool(TOGETHER) {
            let kind = self.draw()?;
            let (other, range) = self.fault(kind);
            if fault.may_meet(other) {
                let after = lasts.mul_f64(self.rng.random_range(0.0..1.0));
                faults.push(Timed { fault: other, after, lasts: self.millis(range) });
            } else {
                self.deck.push(kind);
            }
        }
        Some(Blow { faults, calm: self.millis(CALM_MS) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const THREE: Shape = Shape { nodes: 2, copies: 3 };

    fn blows(seed: u64, shape: Shape, kinds: &[Kind]) -> Vec<Blow> {
        Schedule::new(seed, shape, kinds).take(2_000).collect()
    }

    fn faults(blows: &[Blow]) -> Vec<Fault> {
        blows.iter().flat_map(|blow| &blow.faults).map(|timed| timed.fault).collect()
    }

    #[test]
    fn a_seed_gives_the_same_again_and_another_one_something_else() {
        let [first, again, other] = [7, 7, 8].map(|seed| blows(seed, THREE, Kind::value_variants()));
        assert!(first == again && first != other);
    }

    #[test]
    fn every_kind_comes_as_often_as_the_deck_says() {
        let faults = faults(&blows(1, THREE, Kind::value_variants()));
        let cards: usize = DECK.iter().map(|(_, count)| count).sum();
        let share = |of: fn(&Fault) -> bool, count: usize| {
            let found = faults.iter().filter(|fault| of(fault)).count();
            assert!(found.abs_diff(faults.len() * count / cards) <= count, "{found} of {}", faults.len());
        };
        share(|fault| matches!(fault, Fault::Cut(..)), 5);
        share(|fault| matches!(fault, Fault::Drain(_)), 2);
        share(|fault| *fault == Fault::Outage, 1);
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        faults.iter().for_each(|fault| *kinds.entry(fault.kind()).or_default() += 1);
        assert_eq!(kinds.len(), 6 + 6 + 6 + 4 + 2 + 3, "{kinds:?}");
    }

    #[test]
    fn what_meets_may_meet() {
        let blows = blows(2, THREE, Kind::value_variants());
        let met: Vec<_> = blows.iter().filter(|blow| blow.faults.len() == 2).collect();
        assert!((200..500).contains(&met.len()), "{}", met.len());
        for blow in met {
            assert!(
                blow.faults[0].fault.may_meet(blow.faults[1].fault) && blow.faults[1].after <= blow.faults[0].lasts
            );
        }
    }

    #[test]
    fn what_cannot_be_spared_or_is_not_asked_for_does_not_come() {
        let one = faults(&blows(3, Shape { nodes: 2, copies: 1 }, Kind::value_variants()));
        let engine = |fault: &Fault| matches!(fault, Fault::Kill(of) | Fault::Hold(of) if of.service.is_engine());
        assert!(!one.iter().any(engine) && one.contains(&Fault::Outage));
        let drains = faults(&blows(3, THREE, &[Kind::Drain]));
        assert!(drains.iter().all(|fault| matches!(fault, Fault::Drain(1 | 2))));
        assert_eq!(Schedule::new(3, THREE, &[]).next(), None);
    }
}
