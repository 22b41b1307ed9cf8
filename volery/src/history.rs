//! The role history: beside others in their process, in a process of its own, or asked elsewhere.
//!
//! Trap avoided: two processes cannot have one data folder, so a history of its own stands on engines that
//! are reached over a network, and says so before it opens anything.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use volery_gateway::Probes;
use volery_history::node::{HistoryNode, Parts};
use volery_history::reads::Reads;
use volery_kernel::time::Clock;
use volery_node::clock::SystemClock;
use volery_node::config::{Config, LogEngine, TimelineEngine};
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_node::shutdown::{Shutdown, Signals};
use volery_ports::history::History;
use volery_rpc::{CallOptions, Doors, HistoryClient, Remote};

use crate::Failure;
use crate::engines::{OpenLog, OpenTimeline};

/// Whom to ask, and what is here of it.
pub(crate) struct OpenHistory {
    pub(crate) reads: Arc<dyn History>,
    here: Option<(HistoryNode, OpenTimeline)>,
}

impl OpenHistory {
    /// Those of `history.nodes`, or one in this process.
    pub(crate) async fn open(
        config: &Config,
        log: &OpenLog,
        clock: &Arc<dyn Clock>,
        health: &Health,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        match &config.history_nodes {
            Some(nodes) => {
                let nodes: Vec<_> = nodes.split(',').map(str::trim).collect();
                let remote = Remote::new(&nodes, CallOptions::default())?;
                let reads: Arc<dyn History> = Arc::new(HistoryClient::new(remote));
                log.trusted.agree(&reads).await;
                Ok(Self { reads, here: None })
            }
            None => Self::start(config, log, clock, health, metrics).await,
        }
    }

    async fn start(
        config: &Config,
        log: &OpenLog,
        clock: &Arc<dyn Clock>,
        health: &Health,
        metrics: &Metrics,
    ) -> Result<Self, Failure> {
        let timeline = OpenTimeline::open(config, health, metrics).await?;
        let OpenLog { log, trusted, .. } = log;
        let stored: Arc<dyn History> =
            Arc::new(Reads::new(Arc::clone(&timeline.timeline), log.partitions(), log.generation()));
        trusted.agree(&stored).await;
        let node = HistoryNode::start(Parts {
            log: Arc::clone(log),
            timeline: Arc::clone(&timeline.timeline),
            clock: Arc::clone(clock),
            metrics: metrics.clone(),
            health: health.clone(),
        })?;
        Ok(Self { reads: node.reads(), here: Some((node, timeline)) })
    }

    /// Stops what is here between two steps.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Some((node, timeline)) = self.here else { return Ok(()) };
        node.stop();
        timeline.close()
    }
}

/// `volery history`: runs until a signal stops it.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    if config.log_engine != LogEngine::Kafka || config.timeline_engine != TimelineEngine::Cassandra {
        return Err(Failure(
            "history in a process of its own shares log and timeline with others: set log.engine=kafka and \
             timeline.engine=cassandra, or run `volery up`, which has it inside"
                .to_owned(),
        ));
    }
    actix_rt::System::new().block_on(async {
        let (signals, shutdown) = (Signals::catch()?, Shutdown::new());
        actix_rt::spawn(signals.drive(shutdown.clone()));
        serve(config, shutdown).await
    })
}

async fn serve(config: &Config, shutdown: Shutdown) -> Result<(), Failure> {
    let (metrics, health) = (Metrics::new()?, Health::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = OpenLog::open(config, &clock, &health, &metrics).await?;
    let history = OpenHistory::start(config, &log, &clock, &health, &metrics).await?;
    let probes = Probes::start(config.history_probes, health.clone(), metrics)
        .map_err(|error| taken("history.probes", config.history_probes, &error))?;
    let listener = TcpListener::bind(config.history_listen)
        .await
        .map_err(|error| taken("history.listen", config.history_listen, &error))?;
    println!("ready history=http://{} probes=http://{}", listener.local_addr()?, probes.address());
    Doors::new().history(Arc::clone(&history.reads)).serve(listener, shutdown).await?;
    health.drain();
    probes.stop().await?;
    history.close()?;
    log.close();
    Ok(())
}

fn taken(key: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure(format!("{key}: {address} cannot be listened on: {error}"))
}
