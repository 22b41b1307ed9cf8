//! What can be broken, how, and what may be broken at the same time. Plain values: schedule, ground and report speak by
//! them.

use std::fmt;

use serde::{Deserialize, Serialize};

use Service::{Account, Cassandra, Config, Gateway, History, Idgen, Kafka, Messaging, Postgres, Redis};

/// A role or an engine, as `cluster/cluster` and `engines/engines` name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Service {
    Config,
    Idgen,
    Account,
    History,
    Messaging,
    Gateway,
    Kafka,
    Cassandra,
    Postgres,
    Redis,
}

impl Service {
    /// Those that are ours.
    pub const ROLES: [Self; 6] = [Config, Idgen, Account, History, Messaging, Gateway];
    /// Those below.
    pub const ENGINES: [Self; 4] = [Kafka, Cassandra, Postgres, Redis];

    /// What the tools call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Config => "config",
            Idgen => "idgen",
            Account => "account",
            History => "history",
            Messaging => "messaging",
            Gateway => "gateway",
            Kafka => "kafka",
            Cassandra => "cassandra",
            Postgres => "postgres",
            Redis => "redis",
        }
    }

    /// Whether it is an engine.
    #[must_use]
    pub const fn is_engine(self) -> bool {
        matches!(self, Kafka | Cassandra | Postgres | Redis)
    }
}

/// One of a service's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Of which.
    pub service: Service,
    /// From 1 on.
    pub number: u8,
}

/// Who speaks to whom; of the links that are ours to cut. Brokers and Cassandra nodes tell their clients addresses of
/// their own, so they are killed or held instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Clients, to the messaging node of this number.
    Door(u8),
    /// A process, to all that there are of a service.
    Asks(Process, Service),
}

/// What becomes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Connections are reset, new ones too.
    Reset,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// All of it arrives late.
    Slow,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// `SIGKILL`; it is started again.
    Kill(Process),
    /// `SIGSTOP`; it goes on again.
    Hold(Process),
    /// An orderly end; it is started again.
    Stop(Process),
    /// A link is cut; it is whole again.
    Cut(Link, Way),
    /// So many brokers are held that too few are left to take anything.
    Outage,
    /// The messaging node of this number gives all that it has to others; it may have some again.
    Drain(u8),
    /// One more messaging node comes; it is told to end (`SIGTERM`).
    Join,
}

impl Fault {
    /// Whose work it disturbs.
    fn touches(self) -> Vec<Service> {
        match self {
            Self::Kill(process) | Self::Hold(process) | Self::Stop(process) => vec![process.service],
            Self::Cut(Link::Door(_), _) => vec![Messaging],
            Self::Cut(Link::Asks(process, asked), _) => vec![process.service, asked],
            Self::Outage => vec![Kafka],
            // What is decided about partitions stands in SQL.
            Self::Drain(_) | Self::Join => vec![Messaging, Config, Postgres],
        }
    }

    /// Whether what is promised of each still holds if both are there at once: one of three copies and one of several
    /// processes may be missing, and one engine.
    #[must_use]
    pub fn may_meet(self, other: Self) -> bool {
        let (own, others) = (self.touches(), other.touches());
        let engine = |touched: &[Service]| touched.iter().any(|service| service.is_engine());
        let alone = self == Self::Outage || other == Self::Outage;
        let same = own.iter().any(|service| others.contains(service));
        !(alone || same || engine(&own) && engine(&others))
    }

    /// What it is told apart by in the report.
    #[must_use]
    pub fn kind(self) -> String {
        match self {
            Self::Kill(process) => format!("kill {}", process.service.name()),
            Self::Hold(process) => format!("hold {}", process.service.name()),
            Self::Stop(process) => format!("stop {}", process.service.name()),
            Self::Cut(Link::Door(_), way) => format!("clients' link {way}"),
            Self::Cut(Link::Asks(..), way) => format!("link {way}"),
            Self::Outage => "too few brokers".to_owned(),
            Self::Drain(_) => "drain".to_owned(),
            Self::Join => "join and leave".to_owned(),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service.name(), self.number)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Door(number) => write!(f, "clients to messaging-{number}"),
            Self::Asks(process, asked) => write!(f, "{process} to {}", asked.name()),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::Slow => "slow",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) => write!(f, "kill {process}"),
            Self::Hold(process) => write!(f, "hold {process}"),
            Self::Stop(process) => write!(f, "stop {process}"),
            Self::Cut(link, way) => write!(f, "{way}: {link}"),
            Self::Outage => f.write_str("too few brokers"),
            Self::Drain(number) => write!(f, "drain messaging-{number}"),
            Self::Join => f.write_str("one more messaging"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(service: Service, number: u8) -> Process {
        Process { service, number }
    }

    #[test]
    fn what_takes_a_promises_ground_away_never_meets() {
        let kill = |service, number| Fault::Kill(process(service, number));
        let pairs = [
            (kill(Kafka, 1), Fault::Hold(process(Kafka, 2))),
            (kill(Kafka, 1), kill(Cassandra, 1)),
            (kill(Messaging, 1), Fault::Drain(2)),
            (kill(Account, 1), Fault::Cut(Link::Asks(process(Gateway, 1), Account), Way::Silent)),
            (kill(Redis, 1), Fault::Cut(Link::Asks(process(Account, 1), Postgres), Way::Reset)),
            (Fault::Stop(process(Postgres, 1)), Fault::Join),
            (Fault::Outage, kill(Gateway, 1)),
        ];
        for (one, other) in pairs {
            assert!(!one.may_meet(other) && !other.may_meet(one), "{one}, {other}");
        }
        assert!(kill(Messaging, 1).may_meet(kill(Kafka, 1)) && kill(History, 1).may_meet(Fault::Join));
    }

    #[test]
    fn a_fault_is_told_by_its_name_and_its_kind() {
        let cut = Fault::Cut(Link::Asks(process(Messaging, 1), Config), Way::Silent);
        assert_eq!(
            (cut.to_string(), cut.kind()),
            ("silent: messaging-1 to config".to_owned(), "link silent".to_owned())
        );
        let held = Fault::Hold(process(Kafka, 2));
        assert_eq!((held.to_string(), held.kind()), ("hold kafka-2".to_owned(), "hold kafka".to_owned()));
    }
}
