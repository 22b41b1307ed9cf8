//! Mutual TLS between roles: who asks and who answers each show a certificate that the same authority signed.
//!
//! The files are looked at whenever a connection is made, so certificates are replaced without a restart;
//! connections that stand go on. Trap avoided: a peer that never ends its handshake must not keep others out.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::codegen::Service;
use tonic::transport::Uri;
pub use volery_tls::TlsError;
use volery_tls::{Look, Reloaded, authorities, certificates, private_key};

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

/// The certificates of a process, as they are on disk. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Reloaded<Configs, TlsError>>);

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
        let paths = vec![files.ca.clone(), files.cert.clone(), files.key.clone()];
        Ok(Self(Arc::new(Reloaded::open(paths, move || files.read())?)))
    }

    fn configs(&self) -> Configs {
        if let Look::Refused(error) = self.0.look() {
            tracing::warn!(%error, "new certificates are not taken yet; the old ones go on");
        }
        self.0.get()
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Configs, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (roots, chain) = (Arc::new(authorities(&self.ca)?), certificates(&self.cert)?);
        let key = private_key(&self.key)?;
        Ok(Configs {
            server: Arc::new(server_config(&provider, &roots, chain.clone(), key.clone_key())?),
            client: Arc::new(client_config(provider, roots, chain, key)?),
        })
    }
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
