//! The certificate of the doors that clients come to. One configuration stands as long as the door does; the
//! certificate in it is the newest that was good.
//!
//! TLS 1.3 alone: everything that speaks WebSocket has it, and there is nothing to choose wrongly. Sessions
//! are not resumed: it would save a client one signature, and a door would have to remember it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use volery_kernel::time::Timestamp;

use crate::pem::{TlsErrors, certificates, private_key};
use crate::reloaded::{Look, Reloaded};
use crate::validity;

/// Where the certificate is, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorFiles {
    /// The certificate, and behind it what lies between it and an authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct DoorTls {
    held: Arc<Reloaded<Held, TlsErrors>>,
    config: Arc<ServerConfig>,
}

#[derive(Clone)]
struct Held {
    shown: Arc<CertifiedKey>,
    ends: Option<Timestamp>,
}

impl DoorTls {
    /// Reads the files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn open(files: DoorFiles) -> Result<Self, TlsErrors> {
        let paths = vec![files.cert.clone(), files.key.clone()];
        let held = Arc::new(Reloaded::open(paths, move || read(&files))?);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_protocol_versions(&[&TLS13])?.with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(Newest(Arc::clone(&held))));
        config.send_tls13_tickets = 0;
        Ok(Self { held, config: Arc::new(config) })
    }

    /// What a door needs; it shows the newest certificate with every connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// When the certificate ends that is shown; `None` if it does not say so in a form that is read here.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.held.get().ends
    }

    /// Reads the files again if they have changed.
    #[must_use]
    pub fn look(&self) -> Look<TlsErrors> {
        self.held.look()
    }
}

fn read(files: &DoorFiles) -> Result<Held, TlsErrors> {
    let (chain, key) = match (certificates(&files.cert), private_key(&files.key)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(TlsErrors(chain.err().into_iter().chain(key.err()).collect())),
    };
    let ends = chain.first().and_then(|certificate| validity::ends(certificate));
    Ok(Held { shown: Arc::new(CertifiedKey::from_der(chain, key, &ring::default_provider())?), ends })
}

struct Newest(Arc<Reloaded<Held, TlsErrors>>);

impl std::fmt::Debug for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Newest")
    }
}

impl ResolvesServerCert for Newest {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get().shown)
    }
}
