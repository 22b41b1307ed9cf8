//! What the load goes to: a server that is started for the run on an empty folder, or a cluster that
//! runs already, with users that somebody gives or that are registered for the run.

use std::path::PathBuf;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::Serialize;
use volery_tls::Trust;

use crate::account::{Account, log_in_at, register};
use crate::failure::Failure;
use crate::gateways::Gateways;
use crate::meter::{Meter, Probes};
use crate::process::{Cpu, rss_kib};
use crate::server::{Person, Server, Setup};

/// A cluster that runs already.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its gateway, `http://…` or `https://…`; several by commas.
    pub gateway: String,
    /// Whom the devices believe.
    pub trust: Trust,
    /// JSON lines with `user_name` and `password`.
    pub users: PathBuf,
}

/// See the module.
#[derive(Debug)]
pub struct Target {
    gateway: String,
    gateways: Gateways,
    server: Option<Server>,
    people: Vec<Person>,
    /// Whether these are to be registered still.
    are_new: bool,
    probes: Probes,
}

/// What the kernel says of the server at a moment.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Its processor time so far.
    pub cpu: Cpu,
    /// Its resident memory.
    pub rss_kib: u64,
}

/// Where a run took place.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The gateway, or that the server was the run's own.
    pub target: String,
    /// Settings that the server was started with beside the defaults.
    pub settings: Vec<String>,
}

impl Target {
    /// Starts a server of its own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(setup: &Setup) -> Result<Self, Failure> {
        let server = Server::start(setup)?;
        let target = Self::at(server.gateway(), &setup.trust, Server::people(0..setup.users))?;
        Ok(Self { server: Some(server), ..target }.probed(&[]))
    }

    /// Uses one that runs, with the first `count` of its users.
    ///
    /// # Errors
    /// The file cannot be read, or has too few users; or there is no such gateway.
    pub fn running(at: &Running, count: usize) -> Result<Self, Failure> {
        let file = at.users.display();
        let text = std::fs::read_to_string(&at.users).map_err(|error| Failure(format!("{file}: {error}")))?;
        let people = people_of(&text, count).map_err(|Failure(why)| Failure(format!("{file}: {why}")))?;
        Self::at(&at.gateway, &at.trust, people)
    }

    /// Uses one that runs, with `count` new users of the run's own.
    ///
    /// # Errors
    /// There is no such gateway.
    pub fn registering(gateway: &str, trust: &Trust, count: usize) -> Result<Self, Failure> {
        let target = Self::at(gateway, trust, new_people(count, &mut rand::make_rng()))?;
        Ok(Self { are_new: true, ..target })
    }

    fn at(gateway: &str, trust: &Trust, people: Vec<Person>) -> Result<Self, Failure> {
        let gateways = Gateways::at(gateway, trust)?;
        let (gateway, probes) = (gateway.to_owned(), Probes::default());
        Ok(Self { gateway, gateways, server: None, people, are_new: false, probes })
    }

    /// Its metrics are read at these addresses; those of a server of the run's own are known.
    #[must_use]
    pub fn probed(self, probes: &[String]) -> Self {
        let own = self.server.is_some().then(|| self.gateway.clone());
        let probes = Probes::at(own.into_iter().chain(probes.iter().cloned()), self.gateways.trust().clone());
        Self { probes, ..self }
    }

    /// `http://…` or `https://…`; several by commas.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The same, to be asked.
    #[must_use]
    pub fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    /// Whether users of an earlier run may be among these, and their chats.
    #[must_use]
    pub fn may_have_chats(&self) -> bool {
        self.server.is_none() && !self.are_new
    }

    /// What the nodes count; `None` if nobody said where that is.
    ///
    /// # Errors
    /// One does not answer.
    pub async fn meter(&self) -> Result<Option<Meter>, Failure> {
        self.probes.read().await
    }

    /// The server, if it is the run's own.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// What the server uses, if it is the run's own.
    ///
    /// # Errors
    /// It ended.
    pub fn load(&self) -> Result<Option<Load>, Failure> {
        let Some(server) = &self.server else { return Ok(None) };
        let gone = |_| Failure("the server has ended by itself; its own output says why".to_owned());
        let cpu = Cpu::of(server.pid()).map_err(gone)?;
        Ok(Some(Load { cpu, rss_kib: rss_kib(server.pid()).map_err(gone)? }))
    }

    /// New devices of all users, `each` of every one: user 0 has 0, 1, …, user 1 the next.
    ///
    /// # Errors
    /// The first registration or log-in that was refused.
    pub async fn devices(&self, each: usize) -> Result<Vec<Account>, Failure> {
        if self.are_new {
            register(&self.gateways, &self.people).await?;
        }
        let people: Vec<Person> =
            self.people.iter().flat_map(|person| std::iter::repeat_n(person.clone(), each)).collect();
        log_in_at(&self.gateways, &people).await
    }

    /// Where this is.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.server {
            Some(server) => Place {
                target: "volery up, started for this run on an empty folder of this machine".to_owned(),
                settings: server.settings().map(str::to_owned).collect(),
            },
            None => Place { target: self.gateway.clone(), settings: Vec::new() },
        }
    }
}

/// Names that no other run has, and a password that nobody else knows.
fn new_people(count: usize, random: &mut StdRng) -> Vec<Person> {
    let (run, password) = (random.random::<u32>(), format!("{:032x}", random.random::<u128>()));
    let person = |number| Person { user_name: format!("load_{run:08x}_{number}"), password: password.clone() };
    (0..count).map(person).collect()
}

fn people_of(text: &str, count: usize) -> Result<Vec<Person>, Failure> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let person = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Failure(format!(r#"line {number} is not like {{"user_name":"…","password":"…"}}: {error}"#))
        })
    };
    let people = lines.take(count).map(person).collect::<Result<Vec<_>, _>>()?;
    if people.len() < count {
        return Err(Failure(format!(
            "it has {} users, and {count} are needed: give it more, or ask for fewer",
            people.len()
        )));
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_users_says_what_is_wrong_with_it() {
        let line = r#"{"user_name":"ada","password":"x"}"#;
        let people = |text: &str, count| people_of(text, count).map(|people| people.len()).map_err(|failure| failure.0);
        assert_eq!(people(&format!("{line}\n\n{line}\n"), 2), Ok(2));
        assert!(people(line, 2).unwrap_err().contains("1 users, and 2"));
        assert!(people("ada", 1).unwrap_err().contains("line 1"));
    }
}
