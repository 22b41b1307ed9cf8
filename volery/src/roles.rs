//! Which roles a process has, and what its configuration must say for them. Decides on values alone.
//!
//! Trap avoided: two processes cannot have one data folder. So a process that has not all roles stands on
//! engines that are reached over a network, and says so before it opens anything.

use std::collections::BTreeSet;

use volery_node::config::{Config, LogEngine, Nodes, TimelineEngine};
use volery_node::metrics::AskedRole;

use crate::Failure;

/// What a process may be. In the order in which their addresses count where several are in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Fan-out, archive, pages and sync.
    History,
    /// People, devices and tokens.
    Account,
    /// Generator numbers.
    Idgen,
    /// Who owns what, and how everyone is set.
    Config,
    /// Sessions and partitions.
    Messaging,
    /// The HTTP edge.
    Gateway,
}

use Role::{Account, Config as ConfigNode, Gateway, History, Idgen, Messaging};

impl Role {
    pub(crate) const ALL: [Self; 6] = [History, Account, Idgen, ConfigNode, Messaging, Gateway];

    /// As people type it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            History => "history",
            Account => "account",
            Idgen => "idgen",
            ConfigNode => "config",
            Messaging => "messaging",
            Gateway => "gateway",
        }
    }

    /// What it does, in a sentence.
    pub(crate) fn about(self) -> &'static str {
        match self {
            History => "Runs fan-out, archive, pages and sync",
            Account => "Runs registration, log-in, devices and tokens",
            Idgen => "Runs the reservations of generator numbers",
            ConfigNode => "Runs the partition map, leases and dynamic settings",
            Messaging => "Runs sessions and partitions, and the WebSocket door",
            Gateway => "Runs the HTTP edge",
        }
    }

    /// Where configuration says that it runs elsewhere, and under which key.
    pub(crate) fn nodes(self, config: &Config) -> Option<(&'static str, Option<&Nodes>)> {
        match self {
            History => Some(("history.nodes", config.history_nodes.as_ref())),
            Account => Some(("accounts.nodes", config.accounts_nodes.as_ref())),
            Idgen => Some(("idgen.nodes", config.idgen_nodes.as_ref())),
            ConfigNode => Some(("config.nodes", config.config_nodes.as_ref())),
            Messaging | Gateway => None,
        }
    }

    /// What metrics call it where others ask it, and the part of their health that says whether somebody answers.
    pub(crate) fn asked(self) -> Option<(AskedRole, &'static str)> {
        match self {
            History => Some((AskedRole::History, "history_nodes")),
            Account => Some((AskedRole::Account, "accounts_nodes")),
            Idgen => Some((AskedRole::Idgen, "idgen_nodes")),
            ConfigNode => Some((AskedRole::Config, "config_nodes")),
            Messaging | Gateway => None,
        }
    }

    /// Whom it asks.
    fn asks(self) -> &'static [Self] {
        match self {
            Idgen | ConfigNode => &[],
            History => &[ConfigNode],
            Account => &[Idgen],
            Messaging => &[History, Account, Idgen, ConfigNode],
            Gateway => &[History, Account, ConfigNode],
        }
    }
}

/// The roles of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    set: BTreeSet<Role>,
    only_node: bool,
}

impl Roles {
    /// These.
    pub(crate) fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        Self { set: roles.into_iter().collect(), only_node: false }
    }

    /// All but those that configuration says run elsewhere. Where it names no config, the messaging node here
    /// is the only one and owns everything: nobody has to be asked for that, each second, as long as it runs.
    pub(crate) fn not_elsewhere(config: &Config) -> Self {
        let elsewhere = |role: &Role| role.nodes(config).is_some_and(|(_, nodes)| nodes.is_some());
        let here = Role::ALL.into_iter().filter(|role| *role != ConfigNode && !elsewhere(role));
        Self { set: here.collect(), only_node: config.config_nodes.is_none() }
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.set.contains(&role)
    }

    /// Whether the messaging node here has no others beside it.
    pub(crate) fn are_of_the_only_node(&self) -> bool {
        self.only_node
    }

    /// Whether one of these is among them.
    pub(crate) fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// Whether no other process is needed.
    pub(crate) fn are_all(&self) -> bool {
        Role::ALL.into_iter().all(|role| self.has(role) || role == ConfigNode && self.only_node)
    }

    /// In their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Role> {
        self.set.iter().copied()
    }

    /// Whether the log is opened here.
    pub(crate) fn use_log(&self) -> bool {
        self.has_any(&[History, Account, Messaging])
    }

    /// Whether the account store is opened here.
    pub(crate) fn use_store(&self) -> bool {
        self.has_any(&[Account, Idgen, ConfigNode])
    }

    /// Whether ids are made here.
    pub(crate) fn make_ids(&self) -> bool {
        self.has_any(&[Account, Messaging])
    }

    /// Whether somebody here asks this role.
    pub(crate) fn ask(&self, asked: Role) -> bool {
        let nobody = asked == ConfigNode && self.only_node;
        !nobody && self.iter().any(|role| role.asks().contains(&asked))
    }

    /// Refuses what cannot work, before anything is opened.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn check(&self, config: &Config) -> Result<(), Failure> {
        let mistakes =
            [self.unshared_engines(config), self.missing_addresses(config), self.unknown_log(config)].concat();
        if mistakes.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.iter().map(Role::name).collect();
        Err(Failure(format!("{} cannot run like this:\n  {}", names.join(", "), mistakes.join("\n  "))))
    }

    fn unshared_engines(&self, config: &Config) -> Vec<String> {
        let engines = [
            (self.use_log() && config.log_engine == LogEngine::Embedded, "log.engine", "kafka"),
            (self.has(History) && config.timeline_engine == TimelineEngine::Embedded, "timeline.engine", "cassandra"),
            (self.use_store() && config.accounts_database.is_none(), "accounts.database", "postgres://user@host/name"),
        ];
        let said = |key: &str, shared: &str| {
            format!(
                "{key}: other processes share what this one uses: set {shared}, or run `volery up`, which is all roles"
            )
        };
        let embedded = engines.into_iter().filter(|(embedded, ..)| *embedded && !self.are_all());
        embedded.map(|(_, key, shared)| said(key, shared)).collect()
    }

    /// Nobody says which log is the cluster's: who asks config for anything else is told that by it, too.
    fn unknown_log(&self, config: &Config) -> Vec<String> {
        let told = self.use_store() || self.ask(ConfigNode) || config.accounts_database.is_some();
        if !self.use_log() || told || config.config_nodes.is_some() {
            return Vec::new();
        }
        let said = "config.nodes: config says which log the cluster uses, and does not run here: name its nodes, or set \
                    accounts.database, where it stands";
        vec![said.to_owned()]
    }

    fn missing_addresses(&self, config: &Config) -> Vec<String> {
        let nobody = |(key, nodes): (&'static str, Option<&Nodes>)| nodes.is_none().then_some(key);
        let asked = Role::ALL.into_iter().filter(|role| self.ask(*role) && !self.has(*role));
        let unknown = asked.filter_map(|role| Some((role, role.nodes(config).and_then(nobody)?)));
        let said = |(role, key): (Role, &str)| {
            let name = role.name();
            format!("{key}: {name} is asked and does not run here: name its nodes, or list {name} too")
        };
        unknown.map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use volery_node::config::{Sources, load};

    use super::*;

    const SHARED: [(&str, &str); 3] = [
        ("log.engine", "kafka"),
        ("timeline.engine", "cassandra"),
        ("accounts.database", "postgres://volery@host/volery"),
    ];
    const ELSEWHERE: [(&str, &str); 4] = [
        ("history.nodes", "http://h:1"),
        ("accounts.nodes", "http://a:1"),
        ("idgen.nodes", "http://i:1"),
        ("config.nodes", "http://c:1"),
    ];

    fn config(flags: &[(&str, &str)]) -> Config {
        let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(&Sources { flags, ..Sources::default() }).expect("a configuration").config
    }

    /// The keys that are named.
    fn mistakes(roles: &[Role], flags: &[(&str, &str)]) -> Vec<String> {
        let checked = Roles::of(roles.iter().copied()).check(&config(flags));
        let Err(Failure(text)) = checked else { return Vec::new() };
        text.lines().skip(1).filter_map(|line| Some(line.trim().split_once(':')?.0.to_owned())).collect()
    }

    #[test]
    fn all_roles_need_nothing_else() {
        assert_eq!(mistakes(&Role::ALL, &[]), [""; 0]);
        let up = Roles::not_elsewhere(&config(&[]));
        assert!(up.are_all() && up.are_of_the_only_node() && !up.has(ConfigNode) && !up.ask(ConfigNode));
        assert_eq!(up.check(&config(&[])).map_err(|failure| failure.0), Ok(()));
        let rest = Roles::not_elsewhere(&config(&[ELSEWHERE[0]]));
        assert_eq!(rest.iter().collect::<Vec<_>>(), [Account, Idgen, Messaging, Gateway]);
        let among_others = Roles::not_elsewhere(&config(&[ELSEWHERE[3]]));
        assert!(!among_others.are_of_the_only_node() && among_others.ask(ConfigNode));
    }

    #[test]
    fn a_role_alone_needs_engines_that_are_shared() {
        assert_eq!(mistakes(&[History], &[]), ["log.engine", "timeline.engine", "config.nodes"]);
        assert_eq!(mistakes(&[History], &SHARED), ["config.nodes"]);
        assert_eq!(mistakes(&[History], &[SHARED[0], SHARED[1], ELSEWHERE[3]]), [""; 0]);
        assert_eq!(mistakes(&[Idgen], &[]), ["accounts.database"]);
        for role in Role::ALL {
            assert_eq!(mistakes(&[role], &[SHARED.as_slice(), &ELSEWHERE].concat()), [""; 0], "{role:?}");
        }
    }

    #[test]
    fn health_names_a_role_as_configuration_does() {
        for role in Role::ALL {
            let key = role.nodes(&config(&[])).map(|(key, _)| key.replace('.', "_"));
            assert_eq!(role.asked().map(|(_, part)| part.to_owned()), key);
        }
    }

    #[test]
    fn every_address_that_is_missing_is_named() {
        assert_eq!(mistakes(&[Messaging], &SHARED), ["history.nodes", "accounts.nodes", "idgen.nodes", "config.nodes"]);
        assert_eq!(mistakes(&[Gateway], &[]), ["history.nodes", "accounts.nodes", "config.nodes"]);
        assert_eq!(mistakes(&[Account], &[]), ["log.engine", "accounts.database", "idgen.nodes"], "all at once");
        assert_eq!(mistakes(&[Account, Idgen], &SHARED), [""; 0], "who is asked is here");
    }
}
