//! Sockets: HTTP/1 and HTTP/2, TLS if there is a certificate, graceful end.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections at once: above this new ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 20_000;
/// A client that has not sent a request's head by then is cut off.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// What is under way at the end gets this long.
const GOODBYE: Duration = Duration::from_secs(10);

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why the port does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("TLS file {0}: {1}")]
    TlsFile(PathBuf, String),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A bound port.
pub struct Listening {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    pub address: SocketAddr,
}

/// Binds `address`; with `tls`, speaks HTTPS there.
///
/// # Errors
/// [`ServeError`].
pub async fn listen(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Listening, ServeError> {
    let tls = tls.map(acceptor).transpose()?;
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Listen(address, error))?;
    let address = listener.local_addr().map_err(|error| ServeError::Listen(address, error))?;
    Ok(Listening { listener, tls, address })
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let chain = pem_chain(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| ServeError::TlsFile(files.key.clone(), error.to_string()))?;
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn pem_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let failed = |error: String| ServeError::TlsFile(path.to_owned(), error);
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    CertificateDer::pem_reader_iter(BufReader::new(file)).collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))
}

impl Listening {
    /// Serves until `stop` turns true, then lets what is under way end.
    pub async fn serve(self, routes: Router, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => Some(accepted),
                () = stopped(&mut stop) => None,
            };
            let (stream, peer) = match accepted {
                None => break,
                Some(Ok(accepted)) => accepted,
                Some(Err(error)) => {
                    // Out of file descriptors, mostly: serving what is there frees some.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (routes, tls, watcher) = (routes.clone(), self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                let _place = place;
                let _ = stream.set_nodelay(true);
                match tls {
                    None => connection(stream, peer, routes, watcher).await,
                    Some(tls) => match tokio::time::timeout(HEAD_PATIENCE, tls.accept(stream)).await {
                        Ok(Ok(stream)) => connection::<tokio_rustls::server::TlsStream<TcpStream>>(stream, peer, routes, watcher).await,
                        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => tracing::debug!("TLS handshake took too long"),
                    },
                }
            });
        }
        drop(self.listener);
        if tokio::time::timeout(GOODBYE, graceful.shutdown()).await.is_err() {
            tracing::info!("some connections were cut at the end");
        }
    }
}

/// Returns when `stop` has turned true, or nobody is left to say so.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection<S>(stream: S, peer: SocketAddr, routes: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30)).max_concurrent_streams(256);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, "connection ended");
    }
}
