//! What every role of a process is given: configuration, clock, health, metrics, and how others are asked.

use std::net::SocketAddr;
use std::sync::Arc;

use volery_kernel::map::{NodeKind, Weight};
use volery_kernel::time::Clock;
use volery_node::config::{Config, Nodes};
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_node::shutdown::Shutdown;
use volery_rpc::{CallOptions, Remote, Tls, Watched};

use crate::Failure;
use crate::certificates::Certificates;
use crate::roles::{Role, Roles};

pub(crate) struct Common<'a> {
    pub(crate) config: &'a Config,
    pub(crate) roles: Roles,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) certificates: Certificates,
}

impl<'a> Common<'a> {
    /// Refuses what cannot work, and reads certificates if there are any; opens nothing else.
    pub(crate) fn new(
        config: &'a Config,
        roles: Roles,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Result<Self, Failure> {
        roles.check(config)?;
        let (metrics, health) = (Metrics::new()?, Health::new());
        let certificates = Certificates::open(config)?;
        Ok(Self { config, roles, clock, health, metrics, shutdown, certificates })
    }

    /// What the node of this kind here is called: the same after it was started anew.
    pub(crate) fn node_name(&self, kind: NodeKind) -> String {
        node_name(self.config, kind)
    }

    /// How large the share of the nodes here is.
    pub(crate) fn weight(&self) -> Weight {
        u16::try_from(self.config.cluster_weight).ok().and_then(Weight::new).unwrap_or(Weight::ONE)
    }

    /// Whoever answers for a role that does not run here, for as long as this process runs: health says while nobody
    /// does.
    pub(crate) fn remote(&self, role: Role) -> Result<Remote, Failure> {
        let remote = self.remote_once(role)?;
        Ok(match role.asked() {
            Some((asked, part)) => remote.watched(Watched::new(asked, self.metrics.clone(), self.health.part(part))),
            None => remote,
        })
    }

    /// The same for a question at the start.
    pub(crate) fn remote_once(&self, role: Role) -> Result<Remote, Failure> {
        remote(self.config, self.certificates.roles.as_ref(), role)
    }
}

/// See [`Common::node_name`].
pub(crate) fn node_name(config: &Config, kind: NodeKind) -> String {
    let (first, next, listen) = match kind {
        NodeKind::Messaging => {
            let public = config.messaging_public_url.as_ref().map(|url| &url.0);
            (config.messaging_name.as_ref(), public, config.messaging_listen)
        }
        NodeKind::History => (config.history_name.as_ref(), config.messaging_name.as_ref(), config.history_listen),
    };
    first.or(next).cloned().unwrap_or_else(|| listen.to_string())
}

/// The URL of the WebSocket of a messaging node that listens at `address`, as clients reach it.
pub(crate) fn door_of_sessions(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.doors_tls_cert.is_some() { "wss" } else { "ws" };
    let public = config.messaging_public_url.as_ref().map(|url| url.0.clone());
    public.unwrap_or_else(|| format!("{scheme}://{address}/v1/ws"))
}

/// See [`Common::remote_once`].
pub(crate) fn remote(config: &Config, tls: Option<&Tls>, role: Role) -> Result<Remote, Failure> {
    let nodes = role.nodes(config).and_then(|(_, nodes)| nodes);
    let Nodes(nodes) = nodes.ok_or(Failure(format!("nobody is named who is {}", role.name())))?;
    Ok(match tls {
        Some(tls) => Remote::secured(nodes, CallOptions::default(), tls)?,
        None => Remote::new(nodes, CallOptions::default())?,
    })
}
