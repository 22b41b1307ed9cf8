//! Health and metrics of a process that has no gateway: the same routes, and nothing else.

use std::io;
use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;
use volery_node::health::Health;
use volery_node::metrics::Metrics;

use crate::routes::health::{self, Probed};

/// A listener that answers probes. Dropped without [`Probes::stop`], it goes on until its runtime ends.
pub struct Probes {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Probes {
    /// Binds and serves, on a thread of its own.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(listen: SocketAddr, health: Health, metrics: Metrics) -> io::Result<Self> {
        let probed = Data::new(Probed { health, metrics });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(probed.clone())
                .service(health::healthz)
                .service(health::livez)
                .service(health::readyz)
                .service(health::startupz)
                .service(health::metrics)
        });
        let server = server.workers(1).disable_signals().bind(listen)?;
        let address = server.addrs().first().copied().unwrap_or(listen);
        let server = server.run();
        Ok(Self { address, handle: server.handle(), task: tokio::spawn(server) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it.
    ///
    /// # Errors
    /// If the listener had failed.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        self.task.await.map_err(io::Error::other)?
    }
}
