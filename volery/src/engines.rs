//! Which engines are below the ports, as the configuration says. Nothing above knows.

use std::sync::Arc;
use std::time::Duration;

use volery_cassandra::{CassandraTimeline, Counts, Options as CassandraOptions};
use volery_embedded::log::{EmbeddedLog, Options as LogOptions};
use volery_embedded::timeline::{EmbeddedTimeline, Options as TimelineOptions};
use volery_kafka::{KafkaLog, Options as KafkaOptions};
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_node::config::{Config, LogEngine, TimelineEngine};
use volery_node::health::{Health, Part};
use volery_node::metrics::{Metrics, Queue, Statement};
use volery_ports::cluster_store::ClusterStore;
use volery_ports::log::Log;
use volery_ports::sql::AccountStore;
use volery_ports::timeline::Timeline;
use volery_sql::{PostgresStore, SqliteStore};

use crate::Failure;
use crate::watched::Watched;

/// The generation of a log that nobody has replaced yet.
const FIRST_GENERATION: u16 = 1;

/// A log that this process has open.
pub(crate) struct OpenLog {
    pub(crate) log: Arc<dyn Log>,
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
        Ok(match config.log_engine {
            LogEngine::Embedded => {
                let log = Arc::new(EmbeddedLog::open(&log_options(config)?, Arc::clone(clock))?);
                part.ready();
                Self { log: log.clone(), embedded: Some((log, part)) }
            }
            LogEngine::Kafka => {
                let log = Arc::new(KafkaLog::open(&kafka_options(config)?).await?);
                let log = Arc::new(Watched::new(log, Arc::clone(clock), part, metrics.clone()));
                Self { log, embedded: None }
            }
        })
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
    embedded: Option<EmbeddedTimeline>,
    cassandra: Option<Arc<CassandraTimeline>>,
}

impl OpenTimeline {
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        Ok(match config.timeline_engine {
            TimelineEngine::Embedded => {
                let cache_bytes = config.timeline_cache_bytes.0;
                let options = TimelineOptions { cache_bytes, ..TimelineOptions::default() };
                let timeline = EmbeddedTimeline::open(&config.data_dir.join("timeline"), options)?;
                Self { timeline: Arc::new(timeline.clone()), embedded: Some(timeline), cassandra: None }
            }
            TimelineEngine::Cassandra => {
                let timeline = Arc::new(CassandraTimeline::open(&cassandra_options(config)).await?);
                Self { timeline: timeline.clone(), embedded: None, cassandra: Some(timeline) }
            }
        })
    }

    /// Copies what the timeline counts into the metrics, once a second, until it is dropped.
    pub(crate) async fn sample(&self, metrics: &Metrics) {
        match &self.cassandra {
            Some(timeline) => sample_statements(timeline, metrics).await,
            None => std::future::pending().await,
        }
    }

    /// Makes the newest rows durable.
    pub(crate) fn close(self) -> Result<(), Failure> {
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
            None => Self::of(SqliteStore::open(&config.data_dir.join("accounts.db")).await?),
        })
    }

    fn of<S: AccountStore + ClusterStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { accounts: store.clone(), cluster: store }
    }
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

fn kafka_options(config: &Config) -> Result<KafkaOptions, Failure> {
    Ok(KafkaOptions {
        brokers: config.log_kafka_brokers.clone(),
        name: config.log_kafka_topic.clone(),
        generation: FIRST_GENERATION,
        partitions: partitions(config)?,
        copies: u16::try_from(config.log_kafka_copies).unwrap_or(u16::MAX),
    })
}

fn log_options(config: &Config) -> Result<LogOptions, Failure> {
    const SHARE_OF_DISK: (u64, u64) = (9, 10);
    let dir = config.data_dir.join("log");
    let max_bytes = match config.log_max_bytes.0 {
        0 => fs4::total_space(&config.data_dir)? / SHARE_OF_DISK.1 * SHARE_OF_DISK.0,
        bytes => bytes,
    };
    let cache_bytes = usize::try_from(config.log_cache_bytes.0).unwrap_or(usize::MAX);
    Ok(LogOptions {
        segment_bytes: config.log_segment_bytes.0,
        cache_bytes,
        max_bytes: Some(max_bytes),
        ..LogOptions::new(dir, partitions(config)?)
    })
}

async fn sample_statements(timeline: &CassandraTimeline, metrics: &Metrics) {
    let mut before = Counts::default();
    loop {
        let now = timeline.counts();
        metrics.timeline_statements.of(Statement::Written).inc_by(now.written - before.written);
        metrics.timeline_statements.of(Statement::Read).inc_by(now.read - before.read);
        before = now;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
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
