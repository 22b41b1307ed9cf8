//! Whom a client believes: the authorities of its machine, or those of a file and no others.
//!
//! Trap avoided: reading a machine's authorities takes longer than a connection, so it is done when the first
//! encrypted one is made, once; a file that somebody named is read at once, so that a mistake in it is told.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::pem::{TlsError, authorities};

/// See the module. Cheap to clone; clones share what was read.
#[derive(Clone, Debug, Default)]
pub struct Trust(Arc<OnceLock<Arc<ClientConfig>>>);

impl Trust {
    /// The machine's authorities; `SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded.
    #[must_use]
    pub fn machine() -> Self {
        Self::default()
    }

    /// Those of a PEM file alone.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn file(path: &Path) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(OnceLock::from(believing(authorities(path)?)?))))
    }

    /// Those of the file if there is one, else the machine's.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn of(file: Option<&Path>) -> Result<Self, TlsError> {
        file.map_or_else(|| Ok(Self::machine()), Self::file)
    }

    /// For the next connection.
    ///
    /// # Errors
    /// [`TlsError::Machine`] if the machine has none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        match self.0.get() {
            Some(config) => Ok(Arc::clone(config)),
            None => {
                let config = believing(of_machine()?)?;
                Ok(Arc::clone(self.0.get_or_init(|| config)))
            }
        }
    }

    /// For a client that connects unencrypted and has to be given something: believes nobody.
    ///
    /// # Errors
    /// None that can come.
    pub fn nobody() -> Result<Arc<ClientConfig>, TlsError> {
        believing(RootCertStore::empty())
    }
}

fn believing(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

/// A machine's store may hold some that nobody can read: the others count.
fn of_machine() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::Machine(if why.is_empty() { "none were found".to_owned() } else { why.join("; ") }));
    }
    Ok(roots)
}
