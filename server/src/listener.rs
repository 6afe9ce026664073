//! [`serve`]: the accept loop, limits in number and time, and graceful shutdown.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::TcpListener,
    net::TcpStream,
    sync::{Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    config::{Config, Limits, TlsSource},
    handlers::{Gateway, respond},
    repository::{self, Repository},
    router, tls,
};

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model repository could not be loaded.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// An address could not be listened on.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's word on it.
        source: std::io::Error,
    },
    /// The data directory could not be made.
    #[error("the data directory could not be made: {0}")]
    Data(std::io::Error),
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
    /// The repository is empty.
    #[error("the model repository holds no model: import one first")]
    NoModels,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Tls(_) => "tls",
            Self::Listen { .. } => "listen",
            Self::Data(_) => "io",
            Self::Entropy(_) => "entropy",
            Self::NoModels => "no_models",
        }
    }
}

/// Where a started gateway listens.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The TLS listener.
    pub address: SocketAddr,
    /// The metrics listener, where there is one.
    pub metrics: Option<SocketAddr>,
}

/// Serves until `shutdown` resolves, then finishes the requests in flight. Calls `started` once it listens.
pub async fn serve(
    config: Config,
    started: impl FnOnce(Listening),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let models = Repository::new(&config.repo).load_all()?;
    if models.is_empty() {
        return Err(Error::NoModels);
    }
    if let Some(data) = &config.data {
        std::fs::create_dir_all(data).map_err(Error::Data)?;
    }
    let tls_config = match &config.tls {
        TlsSource::Files(files) => files.clone(),
        TlsSource::SelfSigned { directory, client_auth, require_hybrid } => {
            let mut files = tls::ensure_self_signed(directory)?;
            files.require_hybrid = *require_hybrid;
            files.client_ca = files.client_ca.filter(|_| *client_auth);
            files
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(&tls_config)?));
    let gateway = Arc::new(Gateway::new(models, config.limits.clone())?);

    let (listener, address) = listen(config.listen).await?;
    let mut metrics_address = None;
    if let Some(wanted) = config.metrics {
        let (listener, address) = listen(wanted).await?;
        metrics_address = Some(address);
        tokio::spawn(serve_metrics(listener, Arc::clone(&gateway)));
    }
    started(Listening { address, metrics: metrics_address });

    let connections = Arc::new(Semaphore::new(config.limits.connections));
    let tenants = Arc::new(config.tenants);
    let graceful = GracefulShutdown::new();
    // Dropped at shutdown: handshakes have no request in flight and are not waited for.
    let (serving, _) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A place is taken before a connection is accepted: beyond the limit peers wait in the kernel's backlog.
        let place = Arc::clone(&connections).acquire_owned();
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            pair = async { (place.await, listener.accept().await) } => pair,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to come back.
                tracing::warn!(kind = ?error.kind(), "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (acceptor, gateway, tenants) = (acceptor.clone(), Arc::clone(&gateway), Arc::clone(&tenants));
        let (watcher, limits) = (graceful.watcher(), config.limits.clone());
        let mut stopped = serving.subscribe();
        tokio::spawn(async move {
            let _place = place;
            let Some(stream) = (tokio::select! {
                stream = handshake(stream, &acceptor, &limits, &gateway) => stream,
                _ = stopped.changed() => None,
            }) else {
                return;
            };
            gateway.metrics.connections.inc();
            let tenant = tenants.of_peer(stream.get_ref().1.peer_certificates());
            let service = service_fn(|request| {
                let (gateway, tenant) = (Arc::clone(&gateway), tenant.clone());
                async move { Ok::<_, Infallible>(router::route(gateway, tenant, request).await) }
            });
            if serve_connection(stream, service, limits.header_timeout, watcher).await.is_err() {
                tracing::debug!("a connection ended with a protocol error");
            }
            gateway.metrics.connections.dec();
        });
    }

    drop(listener);
    drop(serving);
    tracing::info!("shutting down");
    if tokio::time::timeout(config.limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight at the end of the shutdown time");
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let bound = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    Ok((listener, bound))
}

type Stream = TlsStream<Pin<Box<TimeoutStream<TcpStream>>>>;

/// Serves one connection in the version that the peer chose by ALPN: nothing is guessed from its bytes, so a silent
/// peer runs into the header timeout.
async fn serve_connection<S>(
    stream: Stream,
    service: S,
    header_timeout: Duration,
    watcher: Watcher,
) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    if is_http2 {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(TokioTimer::new())
            .max_concurrent_streams(32)
            .max_header_list_size(16 << 10)
            .initial_stream_window_size(256 << 10)
            .initial_connection_window_size(1 << 20)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(header_timeout);
        watcher.watch(server.serve_connection(stream, service)).await
    } else {
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_headers(64)
            .max_buf_size(64 << 10);
        watcher.watch(server.serve_connection(stream, service)).await
    }
}

async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    limits: &Limits,
    gateway: &Gateway,
) -> Option<Stream> {
    // Answers are written whole; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    // A peer that stops reading its answer is cut off.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.body_timeout));
    match tokio::time::timeout(limits.header_timeout, acceptor.accept(Box::pin(stream))).await {
        Ok(Ok(stream)) => {
            let group = stream.get_ref().1.negotiated_key_exchange_group();
            gateway.metrics.handshake(group.map_or("unknown".into(), |group| format!("{:?}", group.name())));
            Some(stream)
        }
        Ok(Err(_)) | Err(_) => {
            gateway.metrics.handshake_failures.inc();
            tracing::info!("a TLS handshake failed or took too long");
            None
        }
    }
}

/// Serves `/metrics` and `/health` in plain HTTP, on an address that stays inside.
async fn serve_metrics(listener: TcpListener, gateway: Arc<Gateway>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = metrics_response(&gateway, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that goes away harms no one.
            let _ = connection.await;
        });
    }
}

fn metrics_response(gateway: &Gateway, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            gateway.update_gauges();
            respond(StatusCode::OK, OPEN_METRICS, gateway.metrics.encode().into())
        }
        (&Method::GET, "/health") => {
            respond(StatusCode::OK, "application/json", Bytes::from_static(b"{\"ready\":true}"))
        }
        _ => respond(StatusCode::NOT_FOUND, "text/plain", Bytes::from_static(b"not found\n")),
    }
}
