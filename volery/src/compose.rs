//! A set of roles in one process: opens what it needs, starts it from the log outwards, stops it from the
//! doors inwards. A role that is not in the set is asked where configuration says.
//!
//! Assembly only: nothing here decides anything about messages.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use volery_gateway::{Gateway, GatewayOptions, GatewayParts};
use volery_kernel::limits;
use volery_kernel::map::{Member, NodeKind, PartitionMap};
use volery_messaging::{MessagingNode, Options as MessagingOptions, Parts as MessagingParts};
use volery_node::config::Config;
use volery_node::shutdown::Stage;
use volery_ports::cluster::Cluster;
use volery_ports::log::Log;
use volery_rpc::{ClusterClient, Doors};
use volery_tls::DoorTls;

use crate::Failure;
use crate::accounts::OpenAccounts;
use crate::admission::Admission;
use crate::cluster::OpenCluster;
use crate::common::{Common, door_of_sessions};
use crate::engines::{OpenLog, OpenStore, open_bus};
use crate::history::OpenHistory;
use crate::numbers::OpenNumbers;
use crate::roles::Role;
use crate::settings;

/// What a node still has when it gives its lease up goes to others within a second, and its sessions are told over
/// [`limits::MOVED_WITHIN_MS`]; who is left then is told to reconnect.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

/// What runs here. What is not there is neither a role of this process nor asked by one.
pub(crate) struct Process {
    /// The data folder belongs to this process until it is dropped.
    _lock: Option<File>,
    log: Option<OpenLog>,
    numbers: Option<OpenNumbers>,
    history: Option<OpenHistory>,
    accounts: Option<OpenAccounts>,
    cluster: Option<OpenCluster>,
    messaging: Option<MessagingNode>,
    gateway: Option<Gateway>,
}

/// Starts the roles of `common`; some wait until others answer. Nothing if the process is to end before they do.
///
/// # Errors
/// What keeps them from starting, as a sentence.
pub(crate) async fn start(common: &Common<'_>) -> Result<Option<Process>, Failure> {
    tokio::select! {
        process = assemble(common) => process.map(Some),
        () = common.shutdown.draining() => Ok(None),
    }
}

async fn assemble(common: &Common<'_>) -> Result<Process, Failure> {
    let Common { config, roles, .. } = common;
    if roles.has_any(&[Role::Messaging, Role::Gateway]) {
        common.certificates.watch(common);
    }
    let mut process = Process::empty(roles.are_all().then(|| lock(&config.data_dir)).transpose()?);
    let store = if roles.use_store() { Some(open_store(common).await?) } else { None };
    let cluster = config_elsewhere(common)?;
    if roles.use_log() {
        let admission = Admission::of(config, store.as_ref(), cluster.as_ref()).await?;
        process.log = Some(open_log(common, &admission).await?);
    }
    process.start_numbers(common, store.as_ref()).await?;
    if roles.has_any(&[Role::Config, Role::History, Role::Messaging, Role::Gateway]) {
        let store = store.as_ref().map(|store| Arc::clone(&store.cluster));
        process.cluster = Some(OpenCluster::open(common, store, cluster).await?);
    }
    process.start_history(common).await?;
    process.start_accounts(common, store.as_ref()).await?;
    if roles.has(Role::Messaging) {
        process.messaging = Some(process.start_messaging(common).await?);
        let url = process.door_of_sessions(config).ok_or_else(absent)?;
        process.join(common, NodeKind::Messaging, url)?;
    }
    if roles.has(Role::Gateway) {
        process.gateway = Some(process.start_gateway(common)?);
    }
    Ok(process)
}

/// Every call of it timed, and its accounts watched where somebody here asks for them; config says itself when the
/// store is away.
async fn open_store(common: &Common<'_>) -> Result<OpenStore, Failure> {
    let store = OpenStore::open(common.config).await?.timed(&common.metrics);
    let asked = common.roles.has_any(&[Role::Account, Role::Idgen]);
    Ok(if asked { store.watched(&common.health, &common.metrics) } else { store })
}

/// The config-nodes that configuration names, if somebody here asks them.
fn config_elsewhere(common: &Common<'_>) -> Result<Option<Arc<dyn Cluster>>, Failure> {
    let roles = &common.roles;
    let asks = roles.ask(Role::Config) || roles.use_log() && !roles.use_store();
    if !asks || roles.has(Role::Config) || common.config.config_nodes.is_none() {
        return Ok(None);
    }
    // Who asks for nothing but admission asks at the start alone.
    let goes_on = roles.ask(Role::Config);
    let remote = if goes_on { common.remote(Role::Config)? } else { common.remote_once(Role::Config)? };
    Ok(Some(Arc::new(ClusterClient::new(remote))))
}

/// What is appended to another cluster's log reaches nobody.
async fn open_log(common: &Common<'_>, admission: &Admission) -> Result<OpenLog, Failure> {
    let terms = admission.terms(common.config).await?;
    let log = OpenLog::open(common.config, &common.clock, &common.health, &common.metrics).await?;
    if let Err(refused) = admission.ask(&terms, true).await {
        log.close();
        return Err(refused);
    }
    Ok(log)
}

impl Process {
    fn empty(lock: Option<File>) -> Self {
        let (log, numbers, history, accounts, cluster) = (None, None, None, None, None);
        Self { _lock: lock, log, numbers, history, accounts, cluster, messaging: None, gateway: None }
    }

    async fn start_numbers(&mut self, common: &Common<'_>, store: Option<&OpenStore>) -> Result<(), Failure> {
        let roles = &common.roles;
        if roles.has(Role::Idgen) || roles.make_ids() {
            let sessions = if roles.has(Role::Messaging) { threads(common.config) } else { 0 };
            let count = sessions + usize::from(roles.has(Role::Account));
            self.numbers = Some(OpenNumbers::open(common, store.map(|store| &store.accounts), count).await?);
        }
        Ok(())
    }

    async fn start_history(&mut self, common: &Common<'_>) -> Result<(), Failure> {
        if common.roles.has(Role::History) {
            let log = self.log.as_ref().ok_or_else(absent)?;
            let cluster = self.cluster.as_ref().ok_or_else(absent)?;
            self.history = Some(OpenHistory::start(common, log, cluster).await?);
        } else if common.roles.ask(Role::History) {
            self.history = Some(OpenHistory::elsewhere(common, self.log.as_ref()).await?);
        }
        Ok(())
    }

    async fn start_accounts(&mut self, common: &Common<'_>, store: Option<&OpenStore>) -> Result<(), Failure> {
        if common.roles.has(Role::Account) {
            let ids = self.numbers.as_mut().ok_or_else(absent)?.ids(common)?;
            let store = Arc::clone(&store.ok_or_else(absent)?.accounts);
            self.accounts = Some(OpenAccounts::start(common, store, self.log()?, ids).await?);
        } else if common.roles.ask(Role::Account) {
            self.accounts = Some(OpenAccounts::elsewhere(common)?);
        }
        Ok(())
    }

    async fn start_messaging(&mut self, common: &Common<'_>) -> Result<MessagingNode, Failure> {
        let config = common.config;
        let options = MessagingOptions {
            name: common.node_name(NodeKind::Messaging),
            listen: config.messaging_listen,
            threads: threads(config),
            rate: self.in_force(common, settings::send_rate)?,
            tail_bytes: limits::TAIL_BYTES.value,
        };
        let parts = MessagingParts {
            log: self.log()?,
            accounts: Arc::clone(&self.accounts()?.tokens),
            history: Arc::clone(&self.history()?.reads),
            bus: open_bus(common).await?,
            clock: Arc::clone(&common.clock),
            generators: self.numbers.as_mut().ok_or_else(absent)?.generators(),
            tls: common.certificates.doors.as_ref().map(DoorTls::config),
            metrics: common.metrics.clone(),
            health: common.health.clone(),
            map: self.map()?,
            refused: self.cluster.as_ref().ok_or_else(absent)?.refused(NodeKind::Messaging),
        };
        Ok(MessagingNode::start(options, parts).await?)
    }

    fn start_gateway(&self, common: &Common<'_>) -> Result<Gateway, Failure> {
        let parts = GatewayParts {
            tokens: Arc::clone(&self.accounts()?.tokens),
            accounts: Arc::clone(&self.accounts()?.service),
            history: Arc::clone(&self.history()?.reads),
            map: self.map()?,
            tls: common.certificates.doors.as_ref().map(DoorTls::config),
            clock: Arc::clone(&common.clock),
            health: common.health.clone(),
            metrics: common.metrics.clone(),
        };
        let listen = common.config.gateway_listen;
        let rates = self.in_force(common, settings::gateway_rates)?;
        Gateway::start(&GatewayOptions { listen, rates, ..GatewayOptions::default() }, parts)
            .map_err(|error| Failure(format!("the gateway cannot listen on {listen}: {error}")))
    }

    /// Who owns what.
    fn map(&self) -> Result<watch::Receiver<Arc<PartitionMap>>, Failure> {
        self.cluster.as_ref().and_then(|cluster| cluster.map(NodeKind::Messaging)).ok_or_else(absent)
    }

    /// What a part goes by, now and from now on.
    fn in_force<T: PartialEq + Send + Sync + 'static>(
        &self,
        common: &Common<'_>,
        pick: fn(&Config) -> T,
    ) -> Result<watch::Receiver<T>, Failure> {
        let told = self.cluster.as_ref().and_then(OpenCluster::settings).ok_or_else(absent)?;
        Ok(settings::in_force(common.config, told, pick))
    }

    /// The node of this kind here is up, and asked at this URL.
    fn join(&mut self, common: &Common<'_>, kind: NodeKind, url: String) -> Result<(), Failure> {
        let member = Member { weight: common.weight(), ..Member::new(common.node_name(kind), url) };
        let log = self.log.as_ref().ok_or_else(absent)?;
        self.cluster.as_mut().ok_or_else(absent)?.join(common, kind, member, log)
    }

    /// Whatever other roles may ask here, they may now; at this URL, if at any.
    pub(crate) fn is_up(&mut self, common: &Common<'_>, url: Option<String>) -> Result<(), Failure> {
        if common.roles.has(Role::History) {
            self.join(common, NodeKind::History, url.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Where clients find the messaging node here, if one is.
    pub(crate) fn door_of_sessions(&self, config: &Config) -> Option<String> {
        self.messaging.as_ref().map(|messaging| door_of_sessions(config, messaging.address()))
    }

    /// The URL of the HTTP edge, if it is here.
    pub(crate) fn gateway(&self, config: &Config) -> Option<String> {
        let scheme = if config.doors_tls_cert.is_some() { "https" } else { "http" };
        Some(format!("{scheme}://{}", self.gateway.as_ref()?.address()))
    }

    /// What other processes may ask of this one.
    pub(crate) fn doors(&self, common: &Common<'_>) -> Result<Doors, Failure> {
        let mut doors = Doors::new();
        if common.roles.has(Role::History) {
            doors = doors.history(Arc::clone(&self.history()?.reads));
        }
        if common.roles.has(Role::Account) {
            doors = doors.accounts(Arc::clone(&self.accounts()?.service));
        }
        if common.roles.has(Role::Idgen) {
            doors = doors.numbers(Arc::clone(&self.numbers.as_ref().ok_or_else(absent)?.office));
        }
        if common.roles.has(Role::Config) {
            doors = doors.cluster(self.cluster.as_ref().and_then(OpenCluster::role).ok_or_else(absent)?);
        }
        Ok(match &common.certificates.roles {
            Some(tls) => doors.secured(tls.clone()),
            None => doors,
        })
    }

    /// Serves until `shutdown` drains, then ends in two stages; the first waits for `others` too.
    pub(crate) async fn serve(mut self, common: &Common<'_>, others: impl Future<Output = ()>) -> Result<(), Failure> {
        let shutdown = &common.shutdown;
        tokio::select! {
            () = shutdown.draining() => {}
            () = self.sample(common) => {}
        }
        tracing::info!("stopping: nothing new is taken, sessions are told to reconnect");
        common.health.drain();
        let deadline = Duration::from_millis(common.config.shutdown_deadline_ms.0);
        let orderly = async { tokio::join!(self.drain(deadline), others) };
        tokio::select! {
            _ = tokio::time::timeout(deadline, orderly) => {}
            () = shutdown.dropping() => tracing::warn!("dropped at once, as a second signal says"),
        }
        shutdown.advance(Stage::Dropping);
        self.close()
    }

    /// Copies what the log counts into the metrics, without an end.
    async fn sample(&self, common: &Common<'_>) {
        match &self.log {
            Some(log) => log.sample(&common.metrics).await,
            None => std::future::pending().await,
        }
    }

    async fn drain(&mut self, deadline: Duration) {
        if let Some(cluster) = &mut self.cluster {
            cluster.leave(NodeKind::History).await;
            if let Some(messaging) = &self.messaging {
                hand_over(cluster, messaging, deadline).await;
            }
        }
        if let Some(messaging) = &mut self.messaging {
            messaging.drain(deadline).await;
        }
        if let Some(gateway) = self.gateway.take()
            && let Err(error) = gateway.stop(true).await
        {
            tracing::warn!(%error, "the gateway did not stop in order");
        }
    }

    fn close(self) -> Result<(), Failure> {
        let Self { log, numbers, history, messaging, .. } = self;
        numbers.into_iter().for_each(OpenNumbers::close);
        messaging.into_iter().for_each(MessagingNode::stop);
        history.map_or(Ok(()), OpenHistory::close)?;
        log.into_iter().for_each(OpenLog::close);
        tracing::info!("stopped");
        Ok(())
    }

    fn log(&self) -> Result<Arc<dyn Log>, Failure> {
        Ok(Arc::clone(&self.log.as_ref().ok_or_else(absent)?.log))
    }

    fn history(&self) -> Result<&OpenHistory, Failure> {
        self.history.as_ref().ok_or_else(absent)
    }

    fn accounts(&self) -> Result<&OpenAccounts, Failure> {
        self.accounts.as_ref().ok_or_else(absent)
    }
}

/// Partition by partition while there is time, the rest at once; a part of it is left for those who are told to
/// reconnect.
async fn hand_over(cluster: &mut OpenCluster, messaging: &MessagingNode, deadline: Duration) {
    let at_once = HAND_OVER_WITHIN.min(deadline / 4);
    if cluster.drain(NodeKind::Messaging).await {
        messaging.hand_over(deadline.saturating_sub(2 * at_once)).await;
    }
    if cluster.leave(NodeKind::Messaging).await {
        messaging.hand_over(at_once).await;
    }
}

/// A role asks for what its set does not say that it needs.
pub(crate) fn absent() -> Failure {
    Failure("a role was started before what it stands on: this is a mistake of ours".to_owned())
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

fn threads(config: &Config) -> usize {
    match config.messaging_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    }
}
