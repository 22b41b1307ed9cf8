//! The keyspace and its tables: made if they are not there, refused if anything about them could
//! break a promise.
//!
//! Migrations are numbered files, applied once each and noted. Two nodes may start at once: a lock in
//! the table of notes, an insert-if-absent that expires, lets one of them do it. That table itself is
//! made by both: its id follows from its name, so that both make the same.
//!
//! Trap avoided: one copy among several nodes. Each node loses on its own what it had not synced when
//! it crashed, and a commit could outlive the rows that it promises.

use std::collections::HashMap;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::errors::{ExecutionError, NewSessionError, PrepareError};
use scylla::serialize::row::SerializeRow;
use scylla::statement::unprepared::Statement;
use scylla::value::{CqlValue, Row};

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

use crate::options::Options;
use crate::statement::Fault;

/// Changes of the schema wait until all nodes agree.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Agreement is waited for again as often as need be: one wait asks for the very node that made the change,
/// which the driver may have known by a name of its own until it had read who the nodes are.
pub(crate) const AGREED_WITHIN: Duration = Duration::from_secs(5);
/// For so long, what the cluster did not do in time is tried again: every step may be repeated.
const PATIENCE: Duration = Duration::from_secs(60);
/// A lock is void after so many seconds: whoever held it has crashed.
const LOCK_SECONDS: i32 = 120;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

const NOTES: &str = "CREATE TABLE IF NOT EXISTS ks.migrations (component text, version int, name text, \
    PRIMARY KEY ((component), version)) WITH id = ";

/// In order, from version 1 on. What was released is never changed.
const MIGRATIONS: [(&str, &str); 1] = [("timeline", include_str!("../migrations/0001_timeline.cql"))];
const KNOWN: i32 = MIGRATIONS.len() as i32;

/// Why the timeline was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Try again later.
    #[error("Cassandra cannot be reached or does not answer: {0}")]
    Unavailable(String),
    /// The keyspace's name cannot stand in a statement.
    #[error("{0:?} is no name of a keyspace: lowercase letters, digits and underscores, at most 48, a letter first")]
    Name(String),
    /// Fewer copies than were asked for: a crash could lose rows.
    #[error("the keyspace keeps {found} copies of each row, not {wanted}; ALTER KEYSPACE, then repair")]
    Copies {
        /// The fewest that any datacenter has.
        found: u16,
        /// What was configured.
        wanted: u16,
    },
    /// More copies than nodes: no quorum could be reached.
    #[error("{copies} copies of each row need as many nodes, and the cluster has {nodes}")]
    TooFewNodes {
        /// What was configured.
        copies: u16,
        /// As the cluster says.
        nodes: usize,
    },
    /// One copy among several nodes: a crash could lose rows and keep the commit that promises them.
    #[error("one copy of each row among {nodes} nodes: a crash could lose rows; keep three copies")]
    OneCopy {
        /// As the cluster says.
        nodes: usize,
    },
    /// The keyspace does not use the commit log.
    #[error("the keyspace has durable_writes = false: a crash would lose rows")]
    NotDurable,
    /// A later version of Volery has been here.
    #[error("the schema is of version {found}, and this program knows {known}: start the later version")]
    Future {
        /// What is noted.
        found: i32,
        /// What this program brings.
        known: i32,
    },
}

impl From<NewSessionError> for OpenError {
    fn from(error: NewSessionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<PrepareError> for OpenError {
    fn from(error: PrepareError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}

impl From<ExecutionError> for OpenError {
    fn from(error: ExecutionError) -> Self {
        Fault::from(error).into()
    }
}

/// Makes sure that keyspace and tables are there and good.
pub(crate) async fn prepare(session: &Session, options: &Options) -> Result<(), OpenError> {
    let nodes = session.get_cluster_state().get_nodes_info().len();
    check_nodes(options.copies, nodes)?;
    let (schema, begun) = (Schema { session, options }, Instant::now());
    loop {
        match schema.prepare().await {
            Err(OpenError::Unavailable(reason)) if begun.elapsed() < PATIENCE => {
                tracing::warn!(keyspace = options.keyspace, reason, "the schema is not ready yet");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

fn check_nodes(copies: u16, nodes: usize) -> Result<(), OpenError> {
    match usize::from(copies) {
        1 if nodes > 1 => Err(OpenError::OneCopy { nodes }),
        wanted if wanted > nodes => Err(OpenError::TooFewNodes { copies, nodes }),
        _ => Ok(()),
    }
}

/// What the cluster says of the keyspace.
struct Keyspace {
    replication: HashMap<String, String>,
    durable: bool,
}

impl Keyspace {
    fn check(&self, wanted: u16) -> Result<(), OpenError> {
        let copies = self.replication.iter().filter(|(name, _)| *name != "class");
        let found = copies.map(|(_, copies)| copies.parse().unwrap_or(0)).min().unwrap_or(0);
        match found {
            found if found < wanted.max(1) => Err(OpenError::Copies { found, wanted }),
            _ if !self.durable => Err(OpenError::NotDurable),
            _ => Ok(()),
        }
    }
}

struct Schema<'a> {
    session: &'a Session,
    options: &'a Options,
}

impl Schema<'_> {
    async fn prepare(&self) -> Result<(), OpenError> {
        let keyspace = match self.keyspace().await? {
            Some(keyspace) => keyspace,
            None => self.create().await?,
        };
        keyspace.check(self.options.copies)?;
        self.migrate().await
    }

    async fn keyspace(&self) -> Result<Option<Keyspace>, OpenError> {
        let text = "SELECT replication, durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let rows = self.ask(text, (&self.options.keyspace,)).await?;
        let found = rows.maybe_first_row::<(HashMap<String, String>, bool)>();
        let found = found.map_err(|error| OpenError::Unavailable(error.to_string()))?;
        Ok(found.map(|(replication, durable)| Keyspace { replication, durable }))
    }

    async fn create(&self) -> Result<Keyspace, OpenError> {
        let Options { keyspace, copies, .. } = self.options;
        let replication = format!("{{'class': 'NetworkTopologyStrategy', 'replication_factor': {copies}}}");
        self.change(&format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")).await?;
        self.keyspace().await?.ok_or_else(|| OpenError::Unavailable("the new keyspace is not there".to_owned()))
    }

    /// One node does it; others wait for it, or for its lock to expire.
    async fn migrate(&self) -> Result<(), OpenError> {
        self.change(&format!("{NOTES}{}", table_id(&self.options.keyspace))).await?;
        while self.version().await? < KNOWN {
            if self.lock().await? {
                let done = self.catch_up().await;
                self.unlock().await?;
                done?;
            } else {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    async fn version(&self) -> Result<i32, OpenError> {
        let rows = self.ask("SELECT version FROM ks.migrations WHERE component = 'timeline'", ()).await?;
        let versions = rows.rows::<(i32,)>().map_err(Fault::from)?;
        let versions = versions.collect::<Result<Vec<_>, _>>().map_err(Fault::from)?;
        let found = versions.into_iter().map(|(version,)| version).max().unwrap_or(0);
        if found > KNOWN { Err(OpenError::Future { found, known: KNOWN }) } else { Ok(found) }
    }

    async fn catch_up(&self) -> Result<(), OpenError> {
        let from = self.version().await?;
        for (version, (name, text)) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > from) {
            for statement in statements(text) {
                self.change(&statement).await?;
            }
            let note = "INSERT INTO ks.migrations (component, version, name) VALUES ('timeline', ?, ?)";
            self.run(note, (version, name)).await?;
            tracing::info!(keyspace = self.options.keyspace, version, name, "the schema was brought up to date");
        }
        Ok(())
    }

    /// The lock is the line of version 0, which no migration has. Whoever holds it already may have missed
    /// the answer that said so.
    async fn lock(&self) -> Result<bool, OpenError> {
        let text =
            "INSERT INTO ks.migrations (component, version, name) VALUES ('timeline', 0, ?) IF NOT EXISTS USING TTL ?";
        let rows = self.ask(text, (self.holder(), LOCK_SECONDS)).await?;
        let answer = rows.first_row::<Row>().map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let ours = [CqlValue::Boolean(true), CqlValue::Text(self.holder())];
        Ok(answer.columns.iter().flatten().any(|value| ours.contains(value)))
    }

    async fn unlock(&self) -> Result<(), OpenError> {
        let text = "DELETE FROM ks.migrations WHERE component = 'timeline' AND version = 0 IF name = ?";
        self.run(text, (self.holder(),)).await
    }

    fn holder(&self) -> String {
        self.session.session_id().to_string()
    }

    async fn change(&self, text: &str) -> Result<(), OpenError> {
        self.run(text, ()).await
    }

    async fn run(&self, text: &str, values: impl SerializeRow) -> Result<(), OpenError> {
        self.session.query_unpaged(self.statement(text), values).await?;
        Ok(())
    }

    async fn ask(
        &self,
        text: &str,
        values: impl SerializeRow,
    ) -> Result<scylla::response::query_result::QueryRowsResult, OpenError> {
        let answer = self.session.query_unpaged(self.statement(text), values).await?;
        Ok(answer.into_rows_result().map_err(Fault::from)?)
    }

    fn statement(&self, text: &str) -> Statement {
        let mut statement = Statement::new(text.replace("ks.", &format!("{}.", self.options.keyspace)));
        statement.set_request_timeout(Some(CHANGE_TIMEOUT));
        statement
    }
}

/// The id of the table of notes; one of a cluster must not be another's.
fn table_id(keyspace: &str) -> String {
    let hex = format!("{:032x}", xxh3_128(keyspace.as_bytes()));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The statements of a migration, without its comments.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = lines.collect::<Vec<_>>().join("\n");
    code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery_kernel::limits::INDEX_MS;

    #[test]
    fn copies_and_nodes_that_could_lose_rows_are_refused() {
        assert_eq!(check_nodes(1, 1), Ok(()));
        assert_eq!(check_nodes(3, 5), Ok(()));
        assert_eq!(check_nodes(1, 3), Err(OpenError::OneCopy { nodes: 3 }));
        assert_eq!(check_nodes(3, 2), Err(OpenError::TooFewNodes { copies: 3, nodes: 2 }));
        let keyspace = |copies: &[(&str, &str)], durable| {
            let mut replication: HashMap<_, _> =
                copies.iter().map(|(name, copies)| ((*name).to_owned(), (*copies).to_owned())).collect();
            replication.insert("class".to_owned(), "a.b.NetworkTopologyStrategy".to_owned());
            Keyspace { replication, durable }.check(3)
        };
        assert_eq!(keyspace(&[("dc1", "3"), ("dc2", "5")], true), Ok(()));
        assert_eq!(keyspace(&[("dc1", "3"), ("dc2", "1")], true), Err(OpenError::Copies { found: 1, wanted: 3 }));
        assert_eq!(keyspace(&[], true), Err(OpenError::Copies { found: 0, wanted: 3 }), "local to each node");
        assert_eq!(keyspace(&[("replication_factor", "3")], false), Err(OpenError::NotDurable));
    }

    #[test]
    fn migrations_come_apart_into_statements_that_may_be_repeated() {
        for (_, text) in MIGRATIONS {
            let statements = statements(text);
            assert!(statements.len() > 1);
            for statement in statements {
                assert!(statement.contains("IF NOT EXISTS ks.") && !statement.contains("--"), "{statement}");
            }
        }
    }

    #[test]
    fn rows_outlive_the_days_that_promise_them() {
        const DAY: u64 = 86_400;
        let days = INDEX_MS.value / 1_000 + DAY;
        let text = MIGRATIONS[0].1;
        let of = |table: &str| {
            let table = statements(text).into_iter().find(|text| text.contains(&format!("ks.{table} "))).unwrap();
            let seconds = table.split("default_time_to_live = ").nth(1).unwrap().split_whitespace().next().unwrap();
            seconds.parse::<u64>().unwrap()
        };
        assert_eq!((of("inbox_days"), of("inbox")), (days, days + DAY));
    }
}
