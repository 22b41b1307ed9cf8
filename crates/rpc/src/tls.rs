//! Mutual TLS between roles: who asks and who answers each show a certificate that the same authority signed.
//!
//! The files are looked at whenever a connection is made, and read again if they changed, so certificates
//! are replaced without a restart; connections that stand go on. Traps avoided: a new certificate whose key
//! is not written yet must end nothing, so what was good last stays until the next is whole; and a peer that
//! never ends its handshake must not keep others out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures::Stream;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::codegen::Service;
use tonic::transport::Uri;

use crate::limits::{ACCEPT_AGAIN, HANDSHAKE_WITHIN, HANDSHAKES_AT_ONCE};

/// What gRPC is spoken over.
const HTTP2: &[u8] = b"h2";

/// Where the certificates are, all as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities that sign the roles' certificates.
    pub ca: PathBuf,
    /// This process' certificate, and what lies between it and an authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, pem::Error),
    /// One holds no certificate.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// The authorities are none.
    #[error("the authorities cannot be used: {0}")]
    Authorities(#[from] VerifierBuilderError),
    /// The key is another certificate's, or of a kind that nobody takes.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// The certificates of a process, as they are on disk. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    /// When each file was written that was read last, good or bad.
    written: [Option<SystemTime>; 3],
    configs: Configs,
}

#[derive(Clone)]
struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which says what of which file.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let written = files.written();
        let current = Mutex::new(Current { written, configs: files.read()? });
        Ok(Self(Arc::new(Shared { files, current })))
    }

    fn configs(&self) -> Configs {
        let Shared { files, current } = &*self.0;
        let mut current = current.lock();
        let written = files.written();
        if written != current.written {
            current.written = written;
            match files.read() {
                Ok(configs) => current.configs = configs,
                Err(error) => tracing::warn!(%error, "new certificates are not taken yet; the old ones go on"),
            }
        }
        current.configs.clone()
    }
}

impl TlsFiles {
    fn written(&self) -> [Option<SystemTime>; 3] {
        [&self.ca, &self.cert, &self.key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
    }

    fn read(&self) -> Result<Configs, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.ca)? {
            roots.add(authority)?;
        }
        let (roots, chain) = (Arc::new(roots), certificates(&self.cert)?);
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| TlsError::File(self.key.clone(), error))?;
        Ok(Configs {
            server: Arc::new(server_config(&provider, &roots, chain.clone(), key.clone_key())?),
            client: Arc::new(client_config(provider, roots, chain, key)?),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error| TlsError::File(path.to_owned(), error);
    let all = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider)).build()?;
    let config = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(&[&TLS13])?;
    let mut config = config.with_client_cert_verifier(callers).with_single_cert(chain, key)?;
    config.alpn_protocols.push(HTTP2.into());
    Ok(config)
}

fn client_config(
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let mut config = config.with_root_certificates(roots).with_client_auth_cert(chain, key)?;
    config.alpn_protocols.push(HTTP2.into());
    Ok(config)
}

/// Connections of callers whose handshake is done, until the stream is dropped.
pub(crate) fn accepted(
    listener: TcpListener,
    tls: Tls,
) -> impl Stream<Item = io::Result<server::TlsStream<TcpStream>>> {
    let (done, mut ready) = mpsc::channel(HANDSHAKES_AT_ONCE);
    tokio::spawn(accept(listener, tls, done));
    futures::stream::poll_fn(move |cx| ready.poll_recv(cx).map(|connection| connection.map(Ok)))
}

/// A place in the channel is taken before a connection is, so handshakes under way are bounded.
async fn accept(listener: TcpListener, tls: Tls, done: mpsc::Sender<server::TlsStream<TcpStream>>) {
    while let Ok(place) = done.clone().reserve_owned().await {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            () = done.closed() => return,
        };
        let Ok((connection, peer)) = connection else {
            // Too many open files, most likely: others may close some.
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let acceptor = TlsAcceptor::from(tls.configs().server);
        tokio::spawn(async move {
            // Answers are small, and callers wait.
            let _ = connection.set_nodelay(true);
            match timeout(HANDSHAKE_WITHIN, acceptor.accept(connection)).await {
                Ok(Ok(secured)) => drop(place.send(secured)),
                Ok(Err(error)) => tracing::warn!(%peer, %error, "a caller was refused"),
                Err(_) => tracing::debug!(%peer, "a caller did not end its handshake"),
            }
        });
    }
}

/// Connects by TLS, with the certificates as they are then.
#[derive(Clone)]
pub(crate) struct Dialer(pub(crate) Tls);

impl Service<Uri> for Dialer {
    type Response = TokioIo<client::TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = TlsConnector::from(self.0.configs().client);
        Box::pin(async move { connect(connector, &uri).await.map(TokioIo::new) })
    }
}

async fn connect(connector: TlsConnector, uri: &Uri) -> io::Result<client::TlsStream<TcpStream>> {
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a host and a port are needed"));
    };
    // As IPv6 stands in a URL.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|error| io::Error::other(error.to_string()))?;
    let connection = TcpStream::connect((host, port)).await?;
    connection.set_nodelay(true)?;
    connector.connect(name, connection).await
}
