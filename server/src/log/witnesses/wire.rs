//! HTTP/1.1 to one witness, over a connection that is kept.

use std::{fmt, io, sync::Arc};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tiresias_evidence::witness::{MAXIMUM_ANSWER_BYTES, SIZE_TYPE};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    config::{WitnessAddress, WitnessPolicy},
    tls::{self, read_certificates},
};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// No connection.
    Unreachable(io::Error),
    /// The connection broke, or what came was not HTTP.
    Http(hyper::Error),
    /// The answer is longer than one may be, or broke off.
    Body,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "it cannot be reached: {error}"),
            Self::Http(error) => write!(f, "the connection broke: {error}"),
            Self::Body => f.write_str("its answer is too long, or broke off"),
        }
    }
}

/// A witness's answer.
pub(super) struct Reply {
    pub(super) status: u16,
    /// Whether its body is said to be a size.
    pub(super) is_size: bool,
    pub(super) body: Bytes,
}

pub(super) struct Wire {
    address: WitnessAddress,
    tls: TlsConnector,
    /// An open connection on which nothing is on its way.
    idle: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    pub(super) fn new(address: &WitnessAddress, tls: Arc<ClientConfig>) -> Self {
        Self { address: address.clone(), tls: tls.into(), idle: None }
    }

    /// Sends a body and reads the answer. Where this is dropped on the way, the connection ends.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<Reply, Broken> {
        if let Some(mut idle) = self.idle.take()
            && idle.ready().await.is_ok()
            && let Ok(reply) = self.exchange(idle, body.clone()).await
        {
            return Ok(reply);
        }
        // What is sent twice is answered twice, at worst by the size that the first time led to.
        let fresh = self.dial().await?;
        self.exchange(fresh, body).await
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        let WitnessAddress { host, port, is_tls, .. } = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(Broken::Unreachable)?;
        let _ = stream.set_nodelay(true);
        if !is_tls {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(host.clone())
            .map_err(|_| Broken::Unreachable(io::ErrorKind::InvalidInput.into()))?;
        handshake(self.tls.connect(name, stream).await.map_err(Broken::Unreachable)?).await
    }

    async fn exchange(&mut self, mut sender: SendRequest<Full<Bytes>>, body: Bytes) -> Result<Reply, Broken> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.address.path)
            .header(HOST, self.address.authority())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(body))
            .map_err(|_| Broken::Unreachable(io::ErrorKind::InvalidInput.into()))?;
        let response = sender.send_request(request).await.map_err(Broken::Http)?;
        let status = response.status().as_u16();
        let is_size = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == SIZE_TYPE);
        let body = Limited::new(response.into_body(), MAXIMUM_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| Broken::Body)?.to_bytes();
        self.idle = Some(sender);
        Ok(Reply { status, is_size, body })
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Broken::Http)?;
    // It ends with its sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// TLS 1.3 to witnesses, and whom to believe who they are.
pub(crate) fn client_config(policy: &WitnessPolicy) -> Result<Arc<ClientConfig>, tls::Error> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &policy.ca {
        if roots.add_parsable_certificates(read_certificates(ca)?).0 == 0 {
            return Err(tls::pem(ca, "it holds no usable certificate authority"));
        }
    } else if policy.witnesses.iter().any(|witness| witness.is_tls) {
        let found = rustls_native_certs::load_native_certs().certs;
        if roots.add_parsable_certificates(found).0 == 0 {
            return Err(tls::Error::NoRoots);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
