//! Which engines are below the ports, as the configuration says. Nothing above knows.
//!
//! Which log generation counts is said by the logs themselves: the newest of which there is a topic, or a
//! folder. Trap avoided: a number in a configuration would differ between nodes for as long as it takes to
//! change it everywhere, and two nodes would append to two logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use volery_cassandra::{CassandraTimeline, Options as CassandraOptions};
use volery_embedded::bus::LocalBus;
use volery_embedded::log::{EmbeddedLog, Options as LogOptions};
use volery_embedded::timeline::{EmbeddedTimeline, Options as TimelineOptions};
use volery_history::node::{ARCHIVE_OFTEN_MS, ARCHIVE_SELDOM_MS};
use volery_kafka::{KafkaLog, Options as KafkaOptions};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_node::config::{BusEngine, Config, LogEngine, TimelineEngine};
use volery_node::health::{Health, Part};
use volery_node::metrics::{Metrics, Queue, Statement};
use volery_ports::bus::Bus;
use volery_ports::cluster_store::ClusterStore;
use volery_ports::log::Log;
use volery_ports::sql::AccountStore;
use volery_ports::timeline::Timeline;
use volery_redis::{Options as RedisOptions, RedisBus};
use volery_sql::{PostgresStore, SqliteStore};

use crate::Failure;
use crate::calls::Calls;
use crate::common::Common;
use crate::trusted::TrustedLog;
use crate::watched::accounts::WatchedAccounts;
use crate::watched::bus::WatchedBus;
use crate::watched::cluster::TimedCluster;
use crate::watched::log::WatchedLog;
use crate::watched::timeline::WatchedTimeline;

/// What SQL keeps, in a data folder.
pub(crate) const ACCOUNTS: &str = "accounts.db";
/// The generation of the first log.
const FIRST_GENERATION: u16 = 1;

/// The name of the log of a data folder, which is used by nobody else.
const EMBEDDED: &str = "embedded";

/// A log that this process has open.
pub(crate) struct OpenLog {
    pub(crate) log: Arc<dyn Log>,
    /// The same, for who compares it with what archive knows.
    pub(crate) trusted: Arc<TrustedLog>,
    /// Which log it is, of all that there are: see [`log_name`].
    pub(crate) name: String,
    /// With the right to speak for it.
    embedded: Option<(Arc<EmbeddedLog>, Part)>,
}

impl OpenLog {
    pub(crate) async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        health: &Health,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        let part = health.part("log");
        let generation = newest_generation(config).await?.unwrap_or(FIRST_GENERATION);
        let (log, name, embedded): (Arc<dyn Log>, _, _) = match config.log_engine {
            LogEngine::Embedded => {
                let log = Arc::new(EmbeddedLog::open(&log_options(config, generation)?, Arc::clone(clock))?);
                part.ready();
                (log.clone(), EMBEDDED.to_owned(), Some((log, part)))
            }
            LogEngine::Kafka => {
                let log = Arc::new(KafkaLog::open(&kafka_options(config, generation)?).await?);
                let name = log.name().to_owned();
                (Arc::new(WatchedLog::new(log, Arc::clone(clock), part, metrics.clone())), name, None)
            }
        };
        let trusted = Arc::new(TrustedLog::new(log, health.part("log_generation"), metrics.clone()));
        Ok(Self { log: trusted.clone(), trusted, name, embedded })
    }

    /// Copies what the log counts into the metrics, once a second, until it is dropped.
    pub(crate) async fn sample(&self, metrics: &Metrics) {
        match &self.embedded {
            Some((log, _)) => sample(log, metrics).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn close(self) {
        if let Some((log, _)) = self.embedded {
            log.close();
        }
    }
}

/// A timeline that this process has open.
pub(crate) struct OpenTimeline {
    pub(crate) timeline: Arc<dyn Timeline>,
    /// How often it is worth an apply.
    pub(crate) archive_every_ms: u64,
    embedded: Option<EmbeddedTimeline>,
    /// Copies what a timeline over a network counts into the metrics.
    counting: Option<tokio::task::JoinHandle<()>>,
}

impl OpenTimeline {
    pub(crate) async fn open(config: &Config, health: &Health, metrics: &Metrics) -> Result<Self, Failure> {
        let part = health.part("timeline");
        let watched = |timeline| Arc::new(WatchedTimeline::new(timeline, Calls::new(part, metrics.clone())));
        Ok(match config.timeline_engine {
            TimelineEngine::Embedded => {
                let cache_bytes = config.timeline_cache_bytes.0;
                let options = TimelineOptions { cache_bytes, ..TimelineOptions::default() };
                let timeline = EmbeddedTimeline::open(&config.data_dir.join("timeline"), options)?;
                let embedded = Some(timeline.clone());
                let timeline = watched(Arc::new(timeline));
                Self { timeline, archive_every_ms: ARCHIVE_OFTEN_MS, embedded, counting: None }
            }
            TimelineEngine::Cassandra => {
                let timeline = Arc::new(CassandraTimeline::open(&cassandra_options(config)).await?);
                let counting = Some(tokio::spawn(count(Arc::clone(&timeline), metrics.clone())));
                let timeline = watched(timeline);
                Self { timeline, archive_every_ms: ARCHIVE_SELDOM_MS, embedded: None, counting }
            }
        })
    }

    /// Makes the newest rows durable.
    pub(crate) fn close(self) -> Result<(), Failure> {
        self.counting.inspect(tokio::task::JoinHandle::abort);
        self.embedded.map_or(Ok(()), |timeline| Ok(timeline.close()?))
    }
}

/// What SQL keeps, by who asks for it.
pub(crate) struct OpenStore {
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) cluster: Arc<dyn ClusterStore>,
}

impl OpenStore {
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        Ok(match &config.accounts_database {
            Some(url) => Self::of(PostgresStore::open(&url.0).await?),
            None => Self::of(SqliteStore::open(&config.data_dir.join(ACCOUNTS)).await?),
        })
    }

    /// The same, if it is there: whoever only looks makes none where nobody would read it.
    pub(crate) async fn there(config: &Config) -> Result<Option<Self>, Failure> {
        let is_there = config.accounts_database.is_some() || config.data_dir.join(ACCOUNTS).exists();
        if is_there { Self::open(config).await.map(Some) } else { Ok(None) }
    }

    fn of<S: AccountStore + ClusterStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { accounts: store.clone(), cluster: store }
    }

    /// The same, with what is asked of it as a cluster's store timed and counted.
    pub(crate) fn timed(self, metrics: &Metrics) -> Self {
        Self { cluster: Arc::new(TimedCluster::new(self.cluster, metrics.clone())), ..self }
    }

    /// The same, with its accounts watched.
    pub(crate) fn watched(self, health: &Health, metrics: &Metrics) -> Self {
        let calls = Calls::new(health.part("accounts"), metrics.clone());
        Self { accounts: Arc::new(WatchedAccounts::new(self.accounts, calls)), ..self }
    }
}

/// What may be lost. An engine that is away keeps nobody from starting.
pub(crate) async fn open_bus(common: &Common<'_>) -> Result<Arc<dyn Bus>, Failure> {
    let Common { config, health, metrics, clock, roles, .. } = common;
    let bus: Arc<dyn Bus> = match config.bus_engine {
        BusEngine::Embedded => {
            if !roles.are_of_the_only_node() {
                tracing::warn!("bus.engine is embedded: typing and presence reach no session of another node");
            }
            Arc::new(LocalBus::new(Arc::clone(clock)))
        }
        BusEngine::Redis => {
            let password = std::env::var("REDISCLI_AUTH").ok();
            Arc::new(RedisBus::open(&RedisOptions { url: config.bus_redis_url.0.clone(), password }).await?)
        }
    };
    Ok(Arc::new(WatchedBus::new(bus, Calls::new(health.part("bus"), metrics.clone()))))
}

pub(crate) fn partitions(config: &Config) -> Result<Partitions, Failure> {
    let partitions = u16::try_from(config.log_partitions).ok().and_then(Partitions::new);
    partitions.ok_or(Failure("log.partitions must be 1 to 16384".to_owned()))
}

fn cassandra_options(config: &Config) -> CassandraOptions {
    let nodes = config.timeline_cql_nodes.split(',').map(|node| node.trim().to_owned()).collect();
    CassandraOptions {
        keyspace: config.timeline_cql_keyspace.clone(),
        copies: u16::try_from(config.timeline_cql_copies).unwrap_or(u16::MAX),
        ..CassandraOptions::new(nodes)
    }
}

fn kafka_options(config: &Config, generation: u16) -> Result<KafkaOptions, Failure> {
    Ok(KafkaOptions {
        brokers: config.log_kafka_brokers.clone(),
        name: config.log_kafka_topic.clone(),
        generation,
        partitions: partitions(config)?,
        copies: u16::try_from(config.log_kafka_copies).unwrap_or(u16::MAX),
    })
}

/// Which log the configuration is about, of all that there are. Makes none.
pub(crate) async fn log_name(config: &Config) -> Result<String, Failure> {
    Ok(match config.log_engine {
        LogEngine::Embedded => EMBEDDED.to_owned(),
        LogEngine::Kafka => KafkaLog::name_of(&kafka_options(config, FIRST_GENERATION)?).await?,
    })
}

/// The newest log generation that there is, if there is any.
pub(crate) async fn newest_generation(config: &Config) -> Result<Option<u16>, Failure> {
    Ok(match config.log_engine {
        LogEngine::Embedded => newest_folder(&config.data_dir)?,
        LogEngine::Kafka => KafkaLog::newest_generation(&kafka_options(config, FIRST_GENERATION)?).await?,
    })
}

/// Makes an empty log of this generation, which is the newest from then on. Answers its name.
pub(crate) async fn begin_generation(
    config: &Config,
    generation: u16,
    clock: &Arc<dyn Clock>,
) -> Result<String, Failure> {
    Ok(match config.log_engine {
        LogEngine::Embedded => {
            EmbeddedLog::open(&log_options(config, generation)?, Arc::clone(clock))?.close();
            EMBEDDED.to_owned()
        }
        LogEngine::Kafka => KafkaLog::open(&kafka_options(config, generation)?).await?.name().to_owned(),
    })
}

/// Where the log of a generation is: `log`, then `log.2`, `log.3`.
fn folder(data: &Path, generation: u16) -> PathBuf {
    match generation {
        FIRST_GENERATION => data.join("log"),
        generation => data.join(format!("log.{generation}")),
    }
}

fn newest_folder(data: &Path) -> Result<Option<u16>, Failure> {
    let mut newest = data.join("log").is_dir().then_some(FIRST_GENERATION);
    for entry in data.read_dir().into_iter().flatten() {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("log.")).and_then(|number| number.parse().ok());
        // `log.02` is no folder of ours.
        newest = newest.max(number.filter(|number| folder(data, *number) == data.join(&name)));
    }
    Ok(newest)
}

fn log_options(config: &Config, generation: u16) -> Result<LogOptions, Failure> {
    const SHARE_OF_DISK: (u64, u64) = (9, 10);
    let dir = folder(&config.data_dir, generation);
    let max_bytes = match config.log_max_bytes.0 {
        0 => fs4::total_space(&config.data_dir)? / SHARE_OF_DISK.1 * SHARE_OF_DISK.0,
        bytes => bytes,
    };
    let cache_bytes = usize::try_from(config.log_cache_bytes.0).unwrap_or(usize::MAX);
    Ok(LogOptions {
        generation,
        segment_bytes: config.log_segment_bytes.0,
        cache_bytes,
        max_bytes: Some(max_bytes),
        ..LogOptions::new(dir, partitions(config)?)
    })
}

async fn sample(log: &EmbeddedLog, metrics: &Metrics) {
    let mut before = log.stats();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = log.stats();
        metrics.log_appends.inc_by(now.records - before.records);
        metrics.log_append_bytes.inc_by(now.bytes - before.bytes);
        metrics.log_refused.inc_by(now.refused - before.refused + now.unknown - before.unknown);
        metrics.log_syncs.inc_by(now.syncs - before.syncs);
        metrics.log_bytes.set(i64::try_from(now.disk_bytes).unwrap_or(i64::MAX));
        metrics.queue_bytes.of(Queue::Append).set(i64::try_from(now.queued_bytes).unwrap_or(i64::MAX));
        let syncs = now.syncs - before.syncs;
        if syncs > 0 {
            metrics.log_sync_seconds.observe((now.sync_time - before.sync_time).as_secs_f64() / syncs as f64);
        }
        before = now;
    }
}

async fn count(timeline: Arc<CassandraTimeline>, metrics: Metrics) {
    let mut before = timeline.counts();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = timeline.counts();
        metrics.timeline_statements.of(Statement::Written).inc_by(now.written - before.written);
        metrics.timeline_chat_rows.inc_by(now.chat_rows - before.chat_rows);
        metrics.timeline_statements.of(Statement::Read).inc_by(now.read - before.read);
        before = now;
    }
}
