//! `volery history account …`: the roles that are listed, in a process of their own. It listens once for
//! other roles, at the address of the first of its roles that is asked by any; answers probes; and says on
//! standard output where everything is.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use volery_gateway::Probes;
use volery_node::clock::SystemClock;
use volery_node::config::Config;
use volery_node::shutdown::{Shutdown, Signals};
use volery_rpc::DoorError;

use crate::Failure;
use crate::common::Common;
use crate::compose::{self, Process};
use crate::roles::{Role, Roles};

/// Runs until a signal stops it.
pub(crate) fn run(config: &Config, roles: Roles) -> Result<(), Failure> {
    actix_rt::System::new().block_on(async {
        let (signals, shutdown) = (Signals::catch()?, Shutdown::new());
        actix_rt::spawn(signals.drive(shutdown.clone()));
        serve(&Common::new(config, roles, Arc::new(SystemClock), shutdown)?).await
    })
}

async fn serve(common: &Common<'_>) -> Result<(), Failure> {
    // Before anything else, so that a start that waits for others can be seen.
    let (part, probes) = (common.health.part("roles"), probes(common)?);
    let Some(mut process) = compose::start(common).await? else { return Ok(()) };
    let door = open(common, &process).await?;
    process.is_up(common, door.as_ref().map(|door| door.url.clone()))?;
    println!("ready {}", places(common, &process, door.as_ref(), probes.as_ref()).join(" "));
    part.ready();
    process.serve(common, closed(door)).await?;
    if let Some(probes) = probes {
        probes.stop().await?;
    }
    Ok(())
}

/// Once the door's last call has ended.
async fn closed(door: Option<Door>) {
    if let Some(Door { serving, .. }) = door
        && let Err(error) = serving.await.map_err(Failure::from).and_then(|served| Ok(served?))
    {
        tracing::warn!(error = error.0, "the door to other roles did not close in order");
    }
}

/// The door to other roles.
struct Door {
    url: String,
    serving: JoinHandle<Result<(), DoorError>>,
}

async fn open(common: &Common<'_>, process: &Process) -> Result<Option<Door>, Failure> {
    let Some((key, listen)) = common.roles.iter().find_map(|role| listen(role, common.config)) else {
        return Ok(None);
    };
    let listener = TcpListener::bind(listen).await.map_err(|error| taken(key, listen, &error))?;
    let scheme = if common.certificates.roles.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    let serving = tokio::spawn(process.doors(common)?.serve(listener, common.shutdown.clone()));
    Ok(Some(Door { url, serving }))
}

/// Where a role is asked by others.
fn listen(role: Role, config: &Config) -> Option<(&'static str, SocketAddr)> {
    match role {
        Role::History => Some(("history.listen", config.history_listen)),
        Role::Account => Some(("accounts.listen", config.accounts_listen)),
        Role::Idgen => Some(("idgen.listen", config.idgen_listen)),
        Role::Config => Some(("config.listen", config.config_listen)),
        Role::Messaging | Role::Gateway => None,
    }
}

/// Health and metrics, where no gateway answers them anyway.
fn probes(common: &Common<'_>) -> Result<Option<Probes>, Failure> {
    if common.roles.has(Role::Gateway) {
        return Ok(None);
    }
    let at = |role| match role {
        Role::History => Some(("history.probes", common.config.history_probes)),
        Role::Account => Some(("accounts.probes", common.config.accounts_probes)),
        Role::Idgen => Some(("idgen.probes", common.config.idgen_probes)),
        Role::Config => Some(("config.probes", common.config.config_probes)),
        Role::Messaging => Some(("messaging.probes", common.config.messaging_probes)),
        Role::Gateway => None,
    };
    let Some((key, listen)) = common.roles.iter().find_map(at) else { return Ok(None) };
    let probes = Probes::start(listen, common.health.clone(), common.metrics.clone());
    probes.map(Some).map_err(|error| taken(key, listen, &error))
}

/// `history=http://… probes=http://…`.
fn places(common: &Common<'_>, process: &Process, door: Option<&Door>, probes: Option<&Probes>) -> Vec<String> {
    let place = |role: Role| match role {
        Role::Gateway => process.gateway(common.config),
        Role::Messaging => process.door_of_sessions(common.config),
        Role::History | Role::Account | Role::Idgen | Role::Config => door.map(|door| door.url.clone()),
    };
    let roles = common.roles.iter().filter_map(|role| Some(format!("{}={}", role.name(), place(role)?)));
    roles.chain(probes.map(|probes| format!("probes=http://{}", probes.address()))).collect()
}

fn taken(key: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure(format!("{key}: {address} cannot be listened on: {error}"))
}
