//! [`serve`]: the accept loop, limits in number and time, reloads, and graceful shutdown.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use rustls::HandshakeKind;
use tiresias_evidence::Event;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    budget::Budgets,
    check,
    config::{Config, Limits, TlsSource},
    data::{self, DataDirectory},
    device::{self, Device},
    gateway::{Gateway, Settings},
    joint::{self, Board},
    keys::Keys,
    log::{self, Log},
    peer::Peer,
    registry::{self, Registry},
    reload::Reloader,
    repository::Repository,
    router, tls,
};

mod metrics;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to serve.
    #[error(transparent)]
    Registry(#[from] registry::Error),
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
    /// The data directory could not be used.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The transparency log could not be opened.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Rosters of joint sums could not be read, or what clinics have sent.
    #[error(transparent)]
    Joint(#[from] joint::Error),
    /// The device that the operator named cannot be used.
    #[error(transparent)]
    Device(#[from] device::Error),
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::Tls(_) => "tls",
            Self::Listen { .. } => "listen",
            Self::Data(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Joint(error) => error.code(),
            Self::Device(_) => "device",
            Self::Entropy(_) => "entropy",
        }
    }
}

/// Where a started gateway listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The TLS listener.
    pub address: SocketAddr,
    /// The metrics listener, where there is one.
    pub metrics: Option<SocketAddr>,
    /// What verifies the transparency log, where one is kept: `name+id+base64`, the newest key first.
    pub log: Vec<String>,
}

/// Serves until `shutdown` resolves, then finishes the requests in flight. Calls `started` once it listens. Reads
/// configuration, certificates and models again for each message of `reloads`.
pub async fn serve(
    config: Config,
    started: impl FnOnce(Listening),
    shutdown: impl Future<Output = ()>,
    mut reloads: mpsc::Receiver<()>,
) -> Result<(), Error> {
    // The lock lasts until the last request is answered.
    let data = config.data.as_deref().map(DataDirectory::open).transpose()?;
    let log = open_log(&config, data.as_ref())?;
    let registry =
        Registry::open(Repository::new(&config.repo), config.governance.clone(), data.as_ref(), log.clone())?;
    let budgets = data.as_ref().map_or_else(|| Ok(Budgets::none()), Budgets::open)?;
    let settings = Settings::new(1, tls::load(&tls_files(&config.tls)?)?, &config);
    for warning in check::warnings(&config, &registry.snapshot()) {
        tracing::warn!("{warning}");
    }
    let keys = Keys::open(config.keys, data.as_ref())?;
    let device = Device::open(config.device, config.keys.device_bytes, config.limits.device_timeout)?;
    let joint = config.joint.as_ref().zip(data.as_ref());
    let joint = joint.map(|(policy, data)| Board::open(policy, data)).transpose()?;
    let gateway = Gateway::new(registry, budgets, keys, device, settings, log.clone())?;
    let gateway = Arc::new(gateway.with_joint(joint));
    let sweeping = tokio::spawn(sweep_keys(Arc::clone(&gateway)));
    let connections = Arc::new(Semaphore::new(config.limits.connections));

    let (listener, address) = listen(config.listen).await?;
    let mut metrics_address = None;
    if let Some(wanted) = config.metrics {
        let (listener, address) = listen(wanted).await?;
        metrics_address = Some(address);
        tokio::spawn(metrics::serve(listener, Arc::clone(&gateway)));
    }
    let verifiers = log.iter().flat_map(|log| log.verifiers()).map(ToString::to_string).collect();
    started(Listening { address, metrics: metrics_address, log: verifiers });

    let mut reloader = Reloader::new(Arc::clone(&gateway), config);
    let reloading = tokio::spawn(async move {
        while reloads.recv().await.is_some() {
            let reload = tokio::task::spawn_blocking(move || {
                reloader.reload();
                reloader
            });
            let Ok(done) = reload.await else { break };
            reloader = done;
        }
    });

    // Told to stop, connections finish what they have; each holds a receiver until it is gone.
    let (stop, _) = watch::channel(());
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
                gateway.metrics.accept_failures.inc();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (gateway, stopped) = (Arc::clone(&gateway), stop.subscribe());
        tokio::spawn(async move {
            let _place = place;
            connection(stream, gateway, stopped).await;
        });
    }

    gateway.stop();
    reloading.abort();
    sweeping.abort();
    drop(listener);
    tracing::info!("shutting down");
    let limit = gateway.settings.load().limits.shutdown_timeout;
    stop.send_replace(());
    if tokio::time::timeout(limit, stop.closed()).await.is_err() {
        tracing::warn!("requests were still in flight at the end of the shutdown time");
    }
    if let Some(log) = log {
        log.close();
    }
    if let Err(error) = gateway.budgets.close() {
        tracing::error!(kind = ?error.kind(), "the exact budgets could not be written: the last blocks count");
    }
    Ok(())
}

/// The transparency log, where there is a directory for it and the configuration does not switch it off.
fn open_log(config: &Config, data: Option<&DataDirectory>) -> Result<Option<Arc<Log>>, log::Error> {
    let Some(data) = data.filter(|_| config.log.enabled) else {
        tracing::warn!(
            "answers carry no receipts: the transparency log needs a data directory and [log] enabled"
        );
        return Ok(None);
    };
    let log = Log::open(data, &config.log)?;
    for key in log.verifiers() {
        tracing::info!(%key, "answers carry receipts of the transparency log");
    }
    Ok(Some(Arc::new(log)))
}

/// Deletes evaluation keys whose time is over, now and then.
async fn sweep_keys(gateway: Arc<Gateway>) {
    let mut hours = tokio::time::interval(Duration::from_secs(3600));
    loop {
        hours.tick().await;
        let gateway = Arc::clone(&gateway);
        let sweep = move || {
            for id in gateway.keys.sweep() {
                if let Some(log) = &gateway.log {
                    log.record(&log.facts().key(Event::KeyRemoved, &id));
                }
            }
        };
        if tokio::task::spawn_blocking(sweep).await.is_err() {
            tracing::error!("expired evaluation keys could not be looked for");
        }
    }
}

/// The certificate files of a configuration, made where they are to be and are not there.
pub(crate) fn tls_files(source: &TlsSource) -> Result<crate::config::TlsConfig, tls::Error> {
    match source {
        TlsSource::Files(files) => Ok(files.clone()),
        TlsSource::SelfSigned { directory, client_auth, require_hybrid } => {
            let mut files = tls::ensure_self_signed(directory)?;
            files.require_hybrid = *require_hybrid;
            files.client_ca = files.client_ca.filter(|_| *client_auth);
            Ok(files)
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let bound = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    Ok((listener, bound))
}

type Stream = TlsStream<Pin<Box<TimeoutStream<TcpStream>>>>;

/// One connection, from its handshake to its end.
async fn connection(stream: TcpStream, gateway: Arc<Gateway>, mut stopped: watch::Receiver<()>) {
    let settings = gateway.settings.load();
    // A handshake has no request in flight and is not waited for.
    let stream = tokio::select! {
        stream = handshake(stream, &settings, &gateway) => stream,
        _ = stopped.changed() => None,
    };
    let Some(stream) = stream else { return };
    let state = stream.get_ref().1;
    let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
    let certificates = state.peer_certificates().unwrap_or_default();
    let peer = Arc::new(Peer::new(certificates, &settings, resumed));
    let header_timeout = settings.limits.header_timeout;
    drop(settings);

    gateway.metrics.connections.inc();
    let service = service_fn({
        let (gateway, peer) = (Arc::clone(&gateway), Arc::clone(&peer));
        move |request| {
            let (gateway, peer) = (Arc::clone(&gateway), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(router::route(gateway, &peer, request).await) }
        }
    });
    if serve_connection(stream, service, header_timeout, &peer, stopped).await.is_err() {
        tracing::debug!("a connection ended with a protocol error");
    }
    gateway.metrics.connections.dec();
}

async fn handshake(stream: TcpStream, settings: &Settings, gateway: &Gateway) -> Option<Stream> {
    // Answers are written whole; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    // A peer that stops reading its answer is cut off.
    let mut stream = TimeoutStream::new(stream);
    let Limits { body_timeout, header_timeout, .. } = settings.limits;
    stream.set_write_timeout(Some(body_timeout));
    let acceptor = TlsAcceptor::from(Arc::clone(&settings.tls.server));
    let why = match tokio::time::timeout(header_timeout, acceptor.accept(Box::pin(stream))).await {
        Ok(Ok(stream)) => {
            let group = stream.get_ref().1.negotiated_key_exchange_group();
            gateway.metrics.handshake(group.map_or("unknown".into(), |group| format!("{:?}", group.name())));
            return Some(stream);
        }
        Ok(Err(error)) => tls::failure(&error),
        Err(_) => "it took too long",
    };
    gateway.metrics.handshake_failures.inc();
    tracing::info!(why, "a TLS handshake failed");
    None
}

/// Serves one connection in the version that the peer chose by ALPN: nothing is guessed from its bytes, so a silent
/// peer runs into the header timeout.
async fn serve_connection<S>(
    stream: Stream,
    service: S,
    header_timeout: Duration,
    peer: &Peer,
    stopped: watch::Receiver<()>,
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
        until_told(server.serve_connection(stream, service), peer, stopped).await
    } else {
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_headers(64)
            .max_buf_size(64 << 10);
        until_told(server.serve_connection(stream, service), peer, stopped).await
    }
}

/// Drives a connection to its end. Told to end, by the gateway's shutdown or because its peer is no longer let in,
/// it answers what it has read and takes nothing more.
async fn until_told<C>(connection: C, peer: &Peer, mut stopped: watch::Receiver<()>) -> hyper::Result<()>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        () = peer.closed() => {}
        _ = stopped.changed() => {}
        result = connection.as_mut() => return result,
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}
