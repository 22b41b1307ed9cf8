//! Files of certificates and keys, all as PEM, and what can be wrong with them.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;

/// Why files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, pem::Error),
    /// One holds no certificate.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// The machine's own authorities cannot be found.
    #[error("this machine names no authorities: {0}; name a file of them")]
    Machine(String),
    /// The authorities are none.
    #[error("the authorities cannot be used: {0}")]
    Authorities(#[from] VerifierBuilderError),
    /// The key is another certificate's, or of a kind that nobody takes.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// All that is wrong with the files of one certificate; at least one thing.
#[derive(Debug)]
pub struct TlsErrors(pub Vec<TlsError>);

impl fmt::Display for TlsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<_> = self.0.iter().map(TlsError::to_string).collect();
        f.write_str(&each.join("; "))
    }
}

impl std::error::Error for TlsErrors {}

impl From<rustls::Error> for TlsErrors {
    fn from(error: rustls::Error) -> Self {
        Self(vec![error.into()])
    }
}

/// All certificates of a file, at least one.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::Empty`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error| TlsError::File(path.to_owned(), error);
    let all = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}

/// The first private key of a file.
///
/// # Errors
/// [`TlsError::File`], which is also said of a file without a key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File(path.to_owned(), error))
}

/// The certificates of a file as authorities.
///
/// # Errors
/// [`TlsError`].
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority)?;
    }
    Ok(roots)
}
