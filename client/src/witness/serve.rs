//! HTTP/1.1 for a witness, over TLS 1.3 or plain: two routes, and limits in size, number and time.

use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tiresias_evidence::witness::{MAXIMUM_REQUEST_BYTES, PATH, Refusal, SIZE_TYPE, size_text};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Error, Witness};
use crate::files;

/// Beyond so many connections peers wait in the kernel's backlog.
const CONNECTIONS: usize = 128;
/// For a handshake, and for a body.
const PATIENCE: Duration = Duration::from_secs(10);
/// For headers, and between two requests.
const IDLE: Duration = Duration::from_secs(60);
/// A connection ends after this time, whatever its peer does; logs open another one.
const LONGEST: Duration = Duration::from_secs(600);
/// Certificates and keys are smaller.
const MAXIMUM_PEM_BYTES: u64 = 1 << 20;

/// A witness that listens.
pub struct Server {
    witness: Arc<Witness>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens; over TLS where a certificate and its key are named.
    pub async fn bind(
        witness: Witness,
        address: SocketAddr,
        tls: Option<(&Path, &Path)>,
    ) -> Result<Self, crate::Error> {
        let tls = tls.map(|(cert, key)| acceptor(cert, key)).transpose()?;
        let named = address.to_string();
        let io = Error::io(Path::new(&named));
        let listener = TcpListener::bind(address).await.map_err(&io)?;
        let address = listener.local_addr().map_err(&io)?;
        Ok(Self { witness: Arc::new(witness), listener, address, tls })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers until it is dropped.
    pub async fn run(self) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of file descriptors, mostly: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (witness, tls) = (Arc::clone(&self.witness), self.tls.clone());
            tokio::spawn(async move {
                let _place = place;
                // A peer that goes away, or does not read, harms no one.
                let _ = timeout(LONGEST, connection(stream, tls, witness)).await;
            });
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, witness: Arc<Witness>) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, witness).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                serve(stream, witness).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, witness: Arc<Witness>) {
    let service = service_fn(move |request| {
        let witness = Arc::clone(&witness);
        async move { Ok::<_, Infallible>(route(request, witness).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(64)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

async fn route<B>(request: Request<B>, witness: Arc<Witness>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    match (request.method(), request.uri().path()) {
        (&Method::POST, PATH) => add_checkpoint(request.into_body(), witness).await,
        (&Method::GET, "/health") => respond(StatusCode::OK, "application/json", r#"{"ready":true}"#),
        (_, path @ (PATH | "/health")) => {
            let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "another method");
            let allowed = HeaderValue::from_static(if path == PATH { "POST" } else { "GET" });
            response.headers_mut().insert(ALLOW, allowed);
            response
        }
        _ => refuse(StatusCode::NOT_FOUND, "unknown_route", "no such path"),
    }
}

async fn add_checkpoint<B>(body: B, witness: Arc<Witness>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let body = match timeout(PATIENCE, Limited::new(body, MAXIMUM_REQUEST_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is longer than any submission",
            );
        }
        Ok(Err(_)) => return refuse(StatusCode::BAD_REQUEST, "incomplete_body", "the body broke off"),
        Err(_) => {
            return refuse(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time");
        }
    };
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    match answer.unwrap_or(Answer::Failed) {
        Answer::Cosigned(lines) => respond(StatusCode::OK, "text/plain; charset=utf-8", lines),
        Answer::Refused(Refusal::OtherSize { size }) => {
            respond(StatusCode::CONFLICT, SIZE_TYPE, size_text(size))
        }
        Answer::Refused(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            refuse(status, refusal.code(), &refusal.to_string())
        }
        Answer::Malformed(error) => refuse(StatusCode::BAD_REQUEST, error.code(), &error.to_string()),
        Answer::Failed => {
            let rule = "the checkpoint could not be stored, and is not cosigned: try again later";
            refuse(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", rule)
        }
    }
}

fn refuse(status: StatusCode, code: &str, rule: &str) -> Response<Full<Bytes>> {
    let form = serde_json::json!({ "error": rule, "code": code });
    respond(status, "application/json", form.to_string())
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// TLS 1.3 with a certificate and its key.
fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, crate::Error> {
    let chain = files::read(cert, MAXIMUM_PEM_BYTES)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|_| crate::Error::Tls("--tls-cert is not a PEM file with certificates"))?;
    let file = std::fs::File::open(key).map_err(files::at(key))?;
    let key = PrivateKeyDer::from_pem_slice(&files::read_secret(&file, key, MAXIMUM_PEM_BYTES)?)
        .map_err(|_| crate::Error::Tls("--tls-key is not a PEM file with a private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| crate::Error::Tls("TLS 1.3 is not available"))?;
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_| crate::Error::Tls("--tls-cert and --tls-key do not belong together"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
