//! `volery up`: every role in one process, but those that configuration says run elsewhere. Opens no door to
//! other roles: it is a cluster for clients alone.

use std::sync::Arc;

use volery_kernel::time::Clock;
use volery_node::clock::SystemClock;
use volery_node::config::Config;
use volery_node::shutdown::{Shutdown, Signals};

use crate::common::Common;
use crate::roles::Roles;
use crate::{Failure, compose};

/// Runs until a signal stops it.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    actix_rt::System::new().block_on(async {
        let (signals, shutdown) = (Signals::catch()?, Shutdown::new());
        actix_rt::spawn(signals.drive(shutdown.clone()));
        let ready = |at: Doors| println!("ready gateway={} messaging={}", at.gateway, at.messaging);
        up(config, Arc::new(SystemClock), shutdown, ready).await
    })
}

/// Where clients find what is up.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The URL of the HTTP edge.
    pub gateway: String,
    /// The URL of the WebSocket.
    pub messaging: String,
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
    let common = Common::new(config, Roles::not_elsewhere(config), clock, shutdown)?;
    let Some(mut process) = compose::start(&common).await? else { return Ok(()) };
    process.is_up(&common, None)?;
    if let (Some(gateway), Some(messaging)) = (process.gateway(config), process.door_of_sessions(config)) {
        ready(Doors { gateway, messaging });
    }
    process.serve(&common, std::future::ready(())).await
}
