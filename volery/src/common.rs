//! What every role of a process is given: configuration, clock, health, metrics, and how others are asked.

use std::sync::Arc;

use volery_kernel::time::Clock;
use volery_node::config::{Config, Nodes};
use volery_node::health::Health;
use volery_node::metrics::Metrics;
use volery_node::shutdown::Shutdown;
use volery_rpc::{CallOptions, Remote, Tls, TlsFiles};

use crate::Failure;
use crate::roles::{Role, Roles};

pub(crate) struct Common<'a> {
    pub(crate) config: &'a Config,
    pub(crate) roles: Roles,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    /// Between roles.
    pub(crate) tls: Option<Tls>,
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
        Ok(Self { config, roles, clock, health, metrics, shutdown, tls: tls(config)? })
    }

    /// What the messaging node here is called: the same after it was started anew.
    pub(crate) fn node_name(&self) -> String {
        let Config { messaging_name, messaging_public_url, messaging_listen, .. } = self.config;
        let public = messaging_public_url.as_ref().map(|url| url.0.clone());
        messaging_name.clone().or(public).unwrap_or_else(|| messaging_listen.to_string())
    }

    /// Whoever answers for a role that does not run here.
    pub(crate) fn remote(&self, role: Role) -> Result<Remote, Failure> {
        let nodes = role.nodes(self.config).and_then(|(_, nodes)| nodes);
        let Nodes(nodes) = nodes.ok_or(Failure(format!("nobody is named who is {}", role.name())))?;
        Ok(match &self.tls {
            Some(tls) => Remote::secured(nodes, CallOptions::default(), tls)?,
            None => Remote::new(nodes, CallOptions::default())?,
        })
    }
}

fn tls(config: &Config) -> Result<Option<Tls>, Failure> {
    let (Some(ca), Some(cert), Some(key)) = (&config.rpc_tls_ca, &config.rpc_tls_cert, &config.rpc_tls_key) else {
        return Ok(None);
    };
    let files = TlsFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
    Ok(Some(Tls::open(files).map_err(|error| Failure(format!("rpc.tls_*: {error}")))?))
}
