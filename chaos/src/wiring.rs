//! Which link goes where: each has proxies of its own, at ports of its own, and processes are told those instead of the
//! addresses behind. Pure: from what the two tools say to a list, and to what each process is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use loadtest::failure::Failure;

use crate::fault::{Link, Process, Service};
use crate::schedule::ASKS;

/// Limits that one machine meets which stands for many.
const OPEN: [&str; 4] = [
    "messaging.sends_per_second=1000000",
    "messaging.sends_burst=1000000",
    "accounts.logins_per_minute=1000000",
    "accounts.logins_per_minute_address=1000000",
];

/// Where everything is, as the tools say it: `KEY=value` lines.
#[derive(Clone, Debug)]
pub struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// Reads what `env` of both tools printed.
    #[must_use]
    pub fn read(lines: &str) -> Self {
        Self(
            lines
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// The URLs of a service, one for each process.
    fn urls(&self, service: Service) -> Result<Vec<&str>, Failure> {
        let key = match service {
            Service::Postgres | Service::Redis => format!("{}_URL", service.name().to_uppercase()),
            _ => service.name().to_uppercase(),
        };
        let value = self.0.get(&key).ok_or_else(|| Failure(format!("nobody says where {} is", service.name())))?;
        Ok(value.split(',').collect())
    }

    /// The gateways.
    ///
    /// # Errors
    /// There is none.
    pub fn gateways(&self) -> Result<Vec<String>, Failure> {
        Ok(self.urls(Service::Gateway)?.into_iter().map(str::to_owned).collect())
    }
}

/// One connection's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Part of this link.
    pub link: Link,
    /// Where its proxy listens.
    pub listen: SocketAddr,
    /// And leads to.
    pub to: SocketAddr,
    /// The URL behind, with `listen` for its address.
    url: String,
}

/// All wires, their proxies at ports from `first` on. `doors` is how many messaging nodes there may be, `nodes` how many
/// processes of the other roles.
///
/// # Errors
/// An address that is missing, or none.
pub fn wires(addresses: &Addresses, nodes: u8, first: u16) -> Result<Vec<Wire>, Failure> {
    let mut wires = Vec::new();
    let doors = addresses.urls(Service::Messaging)?;
    let messaging = doors.len() as u8;
    let mut lay = |link, url: &str| {
        let to = address_in(url).ok_or_else(|| Failure(format!("{url} has no address")))?;
        let listen = SocketAddr::from(([127, 0, 0, 1], first + wires.len() as u16));
        wires.push(Wire { link, listen, to, url: url.replace(&to.to_string(), &listen.to_string()) });
        Ok::<_, Failure>(())
    };
    for (number, url) in (1..).zip(&doors) {
        lay(Link::Door(number), url)?;
    }
    for (service, asked) in ASKS {
        let count = if service == Service::Messaging { messaging } else { nodes };
        for process in (1..=count).map(|number| Process { service, number }) {
            for asked in asked {
                addresses.urls(*asked)?.into_iter().try_for_each(|url| lay(Link::Asks(process, *asked), url))?;
            }
        }
    }
    Ok(wires)
}

fn address_in(url: &str) -> Option<SocketAddr> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    host.rsplit('@').next()?.parse().ok()
}

/// What each process is told, `KEY=VALUE`.
#[must_use]
pub fn settings(wires: &[Wire]) -> BTreeMap<Process, Vec<String>> {
    let mut urls: BTreeMap<(Process, &str), Vec<String>> = BTreeMap::new();
    for wire in wires {
        let (process, key) = match wire.link {
            Link::Door(number) => (Process { service: Service::Messaging, number }, "messaging.public_url"),
            Link::Asks(process, asked) => (process, key_of(asked)),
        };
        let path = if matches!(wire.link, Link::Door(_)) { "/v1/ws" } else { "" };
        urls.entry((process, key)).or_default().push(format!("{}{path}", wire.url));
    }
    let mut settings: BTreeMap<Process, Vec<String>> = BTreeMap::new();
    for ((process, key), urls) in urls {
        let told = settings.entry(process).or_insert_with(|| OPEN.map(str::to_owned).to_vec());
        told.push(format!("{key}={}", urls.join(",")));
    }
    settings
}

/// The key under which a service is found.
const fn key_of(asked: Service) -> &'static str {
    match asked {
        Service::Config => "config.nodes",
        Service::Idgen => "idgen.nodes",
        Service::Account => "accounts.nodes",
        Service::History => "history.nodes",
        Service::Redis => "bus.redis_url",
        Service::Postgres => "accounts.database",
        Service::Messaging | Service::Gateway | Service::Kafka | Service::Cassandra => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "CONFIG=http://127.0.0.1:10,http://127.0.0.1:110\nHISTORY=http://127.0.0.1:11,http://127.0.0.1:111\n\
        ACCOUNT=http://127.0.0.1:12,http://127.0.0.1:112\nIDGEN=http://127.0.0.1:13,http://127.0.0.1:113\n\
        MESSAGING=ws://127.0.0.1:1,ws://127.0.0.1:101,ws://127.0.0.1:201\nGATEWAY=http://127.0.0.1:8400\n\
        POSTGRES_URL=postgres://volery@127.0.0.1:15432/volery\nREDIS_URL=redis://127.0.0.1:16379\n";

    #[test]
    fn each_is_told_its_own_way_to_everybody() {
        let wires = wires(&Addresses::read(SAID), 2, 500).map_err(|failure| failure.0).unwrap();
        let listens: std::collections::BTreeSet<_> = wires.iter().map(|wire| wire.listen).collect();
        assert_eq!(listens.len(), wires.len());
        let settings = settings(&wires);
        let third = &settings[&Process { service: Service::Messaging, number: 3 }];
        assert!(third.contains(&"messaging.public_url=ws://127.0.0.1:502/v1/ws".to_owned()), "{third:?}");
        assert!(third.iter().any(|told| told.starts_with("bus.redis_url=redis://127.0.0.1:5")), "{third:?}");
        assert!(third.iter().any(|told| told.starts_with("config.nodes=") && told.matches("http://").count() == 2));
        let account = &settings[&Process { service: Service::Account, number: 2 }];
        assert!(account.iter().any(|told| told.starts_with("accounts.database=postgres://volery@127.0.0.1:5")));
        assert!(!account.iter().any(|told| told.starts_with("history.nodes")), "{account:?}");
    }

    #[test]
    fn an_address_that_nobody_says_is_named() {
        let said = Addresses::read(&SAID.replace("REDIS_URL", "X"));
        assert!(wires(&said, 2, 500).is_err_and(|failure| failure.0.contains("redis")));
    }
}
