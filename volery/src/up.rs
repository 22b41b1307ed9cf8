//! `volery up`: every role in one process, on the engines that the configuration names; all but history,
//! where that is asked elsewhere.
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
use volery_gateway::{Gateway, GatewayOptions, GatewayParts, Rates};
use volery_kernel::limits;
use volery_kernel::time::{Clock, Timestamp};
use volery_messaging::core::pace::Rate;
use volery_messaging::{MessagingNode, Options as MessagingOptions, Parts as MessagingParts};
use volery_node::clock::SystemClock;
use volery_node::config::Config;
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_node::shutdown::{Shutdown, Signals};

use crate::Failure;
use crate::engines::{self, OpenLog};
use crate::history::OpenHistory;
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
pub(crate) fn lock(dir: &Path) -> Result<File, Failure> {
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

    let store = engines::watched_accounts(config, &health, &metrics).await?;
    let opened = OpenLog::open(config, &clock, &health, &metrics).await?;
    let log = &opened.log;

    let office = Office::new(Arc::clone(&store), Arc::clone(&clock));
    let reserved = Reserved::take(Arc::new(office), holder()?, threads + 1).await?;
    let mut generators = reserved.generators().to_vec();
    let own = generators.pop().ok_or(Failure("no generator".to_owned()))?;
    let telling = actix_rt::spawn(tell_reserved(reserved.horizon(), Arc::clone(&clock), metrics.clone()));
    let renewing = actix_rt::spawn(reserved.renew());

    let history = OpenHistory::open(config, &opened, &clock, &health, &metrics).await?;
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
            history: Arc::clone(&history.reads),
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
            history: Arc::clone(&history.reads),
            node_of: Arc::new(move |_| told.clone()),
            clock,
            health: health.clone(),
            metrics: metrics.clone(),
        },
    )
    .map_err(|error| Failure(format!("the gateway cannot listen on {}: {error}", config.gateway_listen)))?;
    ready(Doors { gateway: gateway.address(), messaging: door });
    tokio::select! {
        () = shutdown.draining() => {}
        () = opened.sample(&metrics) => {}
    }

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
    telling.abort();
    messaging.stop();
    history.close()?;
    opened.close();
    tracing::info!("stopped");
    Ok(())
}

/// Tells, once a second, how long ids last.
async fn tell_reserved(horizon: impl Fn() -> Timestamp, clock: Arc<dyn Clock>, metrics: Metrics) {
    loop {
        metrics.reserved_seconds.set(horizon().since(clock.now()) as f64 / 1_000.0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn threads(config: &Config) -> usize {
    match config.messaging_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    }
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
