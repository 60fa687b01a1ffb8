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
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::patience::{Patience, Watched};

/// Connections at once: above this new ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 20_000;
/// A client that has not sent a request's head (or made its TLS handshake) by then is cut off; one that asks for nothing is kept.
const PATIENCE: Patience = Patience { head: Duration::from_secs(15), idle: Duration::from_secs(120) };
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
                    None => connection(stream, peer, routes, watcher, PATIENCE).await,
                    Some(tls) => match tokio::time::timeout(PATIENCE.head, tls.accept(stream)).await {
                        Ok(Ok(stream)) => connection(stream, peer, routes, watcher, PATIENCE).await,
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

async fn connection<S>(stream: S, peer: SocketAddr, routes: Router, watcher: hyper_util::server::graceful::Watcher, patience: Patience)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, heads) = Watched::new(stream, patience.head);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        heads.came(request.version());
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, heads) = (routes.clone().oneshot(request), heads.clone());
        async move {
            let answer = answer.await?;
            heads.answered(answer.status());
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.idle);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30)).max_concurrent_streams(256);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    fn line(graceful: &GracefulShutdown, patience: Patience) -> DuplexStream {
        let (ours, theirs) = duplex(64 << 10);
        let routes = Router::new().route("/", get(|| async { "served" }));
        tokio::spawn(connection(theirs, SocketAddr::from(([127, 0, 0, 1], 1)), routes, graceful.watcher(), patience));
        ours
    }

    async fn served(line: &mut DuplexStream) {
        line.write_all(REQUEST).await.expect("the line stands");
        let mut text = Vec::new();
        while !text.ends_with(b"served") {
            assert_ne!(line.read_buf(&mut text).await.expect("the line stands"), 0, "closed before the answer");
        }
    }

    /// A pool's idle line is not closed under its next request; a head that never ends is.
    #[tokio::test]
    async fn an_idle_line_stays_and_a_slow_head_is_cut_off() {
        let graceful = GracefulShutdown::new();
        let patience = Patience { head: Duration::from_millis(50), idle: Duration::from_secs(3_600) };
        let mut idle = line(&graceful, patience);
        served(&mut idle).await;
        // Each of these begins after the other line fell idle, and is cut off: so that one has been idle for longer than a head may take.
        for begun in [&b""[..], b"GET / HTTP/1.1\r\nho"] {
            let mut slow = line(&graceful, patience);
            slow.write_all(begun).await.expect("the line stands");
            assert_eq!(slow.read(&mut [0; 64]).await.unwrap_or(0), 0, "it is cut off");
        }
        served(&mut idle).await;
        // On a line that was good before, too.
        idle.write_all(b"GET / HT").await.expect("the line stands");
        assert_eq!(idle.read(&mut [0; 64]).await.unwrap_or(0), 0, "it is cut off");
    }
}
