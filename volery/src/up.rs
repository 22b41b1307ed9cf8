//! `volery up`: every role in one process on the embedded engines.
//!
//! Assembly only: opens the engines, starts the roles from the log outwards, says where they are, and
//! stops them from the doors inwards. Nothing here decides anything about messages.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use idgen::{ClockedIds, Office, Reserved};
use rand::{SeedableRng as _, TryRng as _};
use volery_account::{AccountNode, AccountOptions, AccountParts};
use volery_embedded::log::{EmbeddedLog, Options as LogOptions};
use volery_embedded::timeline::{EmbeddedTimeline, Options as TimelineOptions};
use volery_gateway::{Gateway, GatewayOptions, GatewayParts, Rates};
use volery_history::node::{HistoryNode, Parts as HistoryParts};
use volery_kernel::limits;
use volery_kernel::slot::Partitions;
use volery_kernel::time::Clock;
use volery_messaging::core::pace::Rate;
use volery_messaging::{MessagingNode, Options as MessagingOptions, Parts as MessagingParts};
use volery_node::clock::SystemClock;
use volery_node::config::Config;
use volery_node::health::Health;
use volery_node::metrics::{Metrics, Queue};
use volery_node::shutdown::{Shutdown, Signals};
use volery_ports::sql::AccountStore;
use volery_sql::SqliteStore;

use crate::Failure;
use crate::sink::LogSink;

/// Runs until a signal stops it.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    actix_rt::System::new().block_on(async {
        let (signals, shutdown) = (Signals::catch()?, Shutdown::new());
        actix_rt::spawn(signals.drive(shutdown.clone()));
        let ready = |at: Doors| println!("ready gateway=http://{} messaging={}", at.gateway, at.messaging);
        up(config, Arc::new(SystemClock), shutdown, ready).await
    })
}

/// Where clients find what is up.
#[derive(Clone, Debug)]
pub struct Doors {
    /// HTTP.
    pub gateway: SocketAddr,
    /// The URL of the WebSocket.
    pub messaging: String,
}

/// The folder belongs to this process until the file is dropped.
fn lock(dir: &Path) -> Result<File, Failure> {
    fs::create_dir_all(dir)
        .map_err(|error| Failure(format!("the data folder {} cannot be made: {error}", dir.display())))?;
    let file = File::create(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure(format!(
            "{} is in use by another volery; stop it, or name another folder with --data",
            dir.display()
        ))),
    }
}

/// Every role in this process, under `clock`, until `shutdown` drains. Calls `ready` once clients can
/// come. Needs an actix system around it.
///
/// # Errors
/// What keeps it from starting, as a sentence.
pub async fn up(
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    ready: impl FnOnce(Doors),
) -> Result<(), Failure> {
    let _lock = lock(&config.data_dir)?;
    let (metrics, health) = (Metrics::new()?, Health::new());
    let threads = threads(config);

    let store: Arc<dyn AccountStore> = Arc::new(SqliteStore::open(&config.data_dir.join("accounts.db")).await?);
    let log = Arc::new(EmbeddedLog::open(&log_options(config)?, Arc::clone(&clock))?);
    let log_part = health.part("log");
    log_part.ready();
    let timeline_options = TimelineOptions { cache_bytes: config.timeline_cache_bytes.0, ..TimelineOptions::default() };
    let timeline = EmbeddedTimeline::open(&config.data_dir.join("timeline"), timeline_options)?;

    let office = Office::new(Arc::clone(&store), Arc::clone(&clock));
    let reserved = Reserved::take(Arc::new(office), holder()?, threads + 1).await?;
    let mut generators = reserved.generators().to_vec();
    let own = generators.pop().ok_or(Failure("no generator".to_owned()))?;
    let renewing = actix_rt::spawn(reserved.renew());

    let history = HistoryNode::start(HistoryParts {
        log: log.clone(),
        timeline: Arc::new(timeline.clone()),
        clock: Arc::clone(&clock),
        metrics: metrics.clone(),
        health: health.clone(),
    })?;
    let accounts = AccountNode::start(
        AccountOptions::default(),
        AccountParts {
            store,
            sink: Arc::new(LogSink(log.clone())),
            ids: Arc::new(ClockedIds::new(own, Arc::clone(&clock))),
            clock: Arc::clone(&clock),
            rng: Box::new(rand::rngs::StdRng::from_seed(seed()?)),
        },
    )
    .await?;
    let mut messaging = MessagingNode::start(
        MessagingOptions {
            listen: config.messaging_listen,
            threads,
            rate: Rate { per_second: config.messaging_sends_per_second, burst: config.messaging_sends_burst },
            tail_bytes: limits::TAIL_BYTES.value,
        },
        MessagingParts {
            log: log.clone(),
            accounts: accounts.clone(),
            history: history.reads(),
            clock: Arc::clone(&clock),
            generators,
            metrics: metrics.clone(),
            health: health.clone(),
        },
    )
    .await?;
    let door = config
        .messaging_public_url
        .as_ref()
        .map_or_else(|| format!("ws://{}/v1/ws", messaging.address()), |url| url.0.clone());
    let told = door.clone();
    let gateway = Gateway::start(
        &gateway_options(config),
        GatewayParts {
            accounts,
            history: history.reads(),
            node_of: Arc::new(move |_| told.clone()),
            clock,
            health: health.clone(),
            metrics: metrics.clone(),
        },
    )
    .map_err(|error| Failure(format!("the gateway cannot listen on {}: {error}", config.gateway_listen)))?;
    let sampling = actix_rt::spawn(sample(Arc::clone(&log), metrics));

    ready(Doors { gateway: gateway.address(), messaging: door });
    shutdown.draining().await;

    tracing::info!("stopping: no new connections, sessions are told to reconnect");
    health.drain();
    let deadline = Duration::from_millis(config.shutdown_deadline_ms.0);
    let orderly = async {
        messaging.drain(deadline).await;
        gateway.stop(true).await
    };
    tokio::select! {
        stopped = tokio::time::timeout(deadline, orderly) => {
            if let Ok(Err(error)) = stopped {
                tracing::warn!(%error, "the gateway did not stop in order");
            }
        }
        () = shutdown.dropping() => tracing::warn!("dropped at once, as a second signal says"),
    }
    renewing.abort();
    sampling.abort();
    messaging.stop();
    history.stop();
    timeline.close()?;
    log.close();
    tracing::info!("stopped");
    Ok(())
}

fn threads(config: &Config) -> usize {
    match config.messaging_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    }
}

fn log_options(config: &Config) -> Result<LogOptions, Failure> {
    const SHARE_OF_DISK: (u64, u64) = (9, 10);
    let dir = config.data_dir.join("log");
    let partitions = u16::try_from(config.log_partitions).ok().and_then(Partitions::new);
    let partitions = partitions.ok_or(Failure("log.partitions must be 1 to 16384".to_owned()))?;
    let max_bytes = match config.log_max_bytes.0 {
        0 => fs4::total_space(&config.data_dir)? / SHARE_OF_DISK.1 * SHARE_OF_DISK.0,
        bytes => bytes,
    };
    let cache_bytes = usize::try_from(config.log_cache_bytes.0).unwrap_or(usize::MAX);
    Ok(LogOptions {
        segment_bytes: config.log_segment_bytes.0,
        cache_bytes,
        max_bytes: Some(max_bytes),
        ..LogOptions::new(dir, partitions)
    })
}

fn gateway_options(config: &Config) -> GatewayOptions {
    let often = |times| NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
    let rates = Rates {
        logins_per_minute: often(config.accounts_logins_per_minute),
        logins_per_minute_address: often(config.accounts_logins_per_minute_address),
        registrations_per_hour_address: often(config.accounts_registrations_per_hour_address),
        refreshes_per_minute_address: often(config.accounts_refreshes_per_minute_address),
    };
    GatewayOptions { listen: config.gateway_listen, rates, ..GatewayOptions::default() }
}

fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed)?;
    Ok(seed)
}

/// A name for this process that no other has or had.
pub(crate) fn holder() -> Result<String, Failure> {
    Ok(seed()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Copies the log's own counters into the metrics, once a second.
async fn sample(log: Arc<EmbeddedLog>, metrics: Metrics) {
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
