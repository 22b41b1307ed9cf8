//! What the load goes to: a server that is started for the run on an empty folder, or a cluster that
//! runs already, with users that somebody gives.

use std::path::PathBuf;

use serde::Serialize;
use volery_tls::Trust;

use crate::account::{Account, log_in_trusting};
use crate::failure::Failure;
use crate::process::{Cpu, rss_kib};
use crate::server::{Person, Server, Setup};

/// A cluster that runs already.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its gateway, `http://…` or `https://…`.
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
    trust: Trust,
    server: Option<Server>,
    people: Vec<Person>,
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
        let people = Server::people(0..setup.users);
        Ok(Self { gateway: server.gateway().to_owned(), trust: setup.trust.clone(), server: Some(server), people })
    }

    /// Uses one that runs, with the first `count` of its users.
    ///
    /// # Errors
    /// The file cannot be read, or has too few users.
    pub fn running(at: &Running, count: usize) -> Result<Self, Failure> {
        let file = at.users.display();
        let text = std::fs::read_to_string(&at.users).map_err(|error| Failure(format!("{file}: {error}")))?;
        let people = people_of(&text, count).map_err(|Failure(why)| Failure(format!("{file}: {why}")))?;
        let gateway = at.gateway.trim_end_matches('/').to_owned();
        Ok(Self { gateway, trust: at.trust.clone(), server: None, people })
    }

    /// `http://…` or `https://…`.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
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
    /// The first log-in that was refused.
    pub async fn devices(&self, each: usize) -> Result<Vec<Account>, Failure> {
        let people: Vec<Person> =
            self.people.iter().flat_map(|person| std::iter::repeat_n(person.clone(), each)).collect();
        log_in_trusting(&self.trust, &self.gateway, &people).await
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
