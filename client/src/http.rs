//! One TLS 1.3 connection to a gateway, HTTP/1.1.

use std::{path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, ETAG, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde::Deserialize;
use tiresias_circuits::card::MAXIMUM_CARD_BYTES;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    Error, Model,
    cli::GatewayArgs,
    oip::{self, Answer, Body},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    has_certificate: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to the gateway that the options name.
    pub async fn open(args: &GatewayArgs) -> Result<Self, Error> {
        let uri: Uri = args.gateway.parse().map_err(|_| Error::Url)?;
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(Error::Url);
        };
        let address = (host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(443));
        let name = ServerName::try_from(address.0.clone()).map_err(|_| Error::Url)?;
        let connector = TlsConnector::from(Arc::new(tls_config(args)?));

        let connect = async {
            let stream =
                TcpStream::connect(&address).await.map_err(|error| Error::Connect(error.to_string()))?;
            let _ = stream.set_nodelay(true);
            connector.connect(name, stream).await.map_err(|error| Error::Connect(tls_failure(&error)))
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| Error::Connect("it took longer than 10 seconds".into()))??;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Error::Transport("the connection broke"))?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told by its own error.
            let _ = connection.await;
        });
        let host = uri.authority().map_or_else(|| address.0.clone(), ToString::to_string);
        Ok(Self { sender, host, has_certificate: args.cert.is_some() })
    }

    /// Fetches and checks the circuit card of a model.
    pub async fn fetch_model(&mut self, name: &str, version: Option<u32>) -> Result<Model, Error> {
        tiresias_circuits::card::check_name(name)?;
        let path = format!("{}/config", model_path(name, version));
        let request = Request::builder().method(Method::GET).uri(path);
        let response = self.send(request, Bytes::new()).await?;
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let model = Model::from_card(read_body(response, MAXIMUM_CARD_BYTES).await?)?;
        if etag.is_some_and(|etag| etag.trim_matches('"') != model.config().to_string()) {
            return Err(Error::CardId);
        }
        if model.card().name() != name || version.is_some_and(|version| version != model.card().version()) {
            return Err(Error::Protocol("the card is another model's than the one asked for"));
        }
        Ok(model)
    }

    /// Sends an inference request of `batch` elements and reads the answer.
    pub async fn infer(&mut self, model: &Model, body: Body, batch: usize) -> Result<Answer, Error> {
        let card = model.card();
        let path = format!("{}/infer", model_path(card.name(), Some(card.version())));
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(oip::HEADER_LENGTH, body.header_length);
        let response = self.send(request, body.bytes.into()).await?;
        let header_length = response
            .headers()
            .get(oip::HEADER_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or(Error::Protocol("the response has no Inference-Header-Content-Length"))?;
        let limit = oip::maximum_response(batch, card.plan().response_shape().encoded_len());
        oip::read_response(&read_body(response, limit).await?, header_length)
    }

    /// Sends one request; any status but 200 is the gateway's error.
    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let request = request.header(HOST, &self.host).body(Full::new(body)).map_err(|_| Error::Url)?;
        let exchange = async {
            let broken = |_| match self.has_certificate {
                true => Error::Transport("the connection broke"),
                false => Error::Transport(
                    "the connection broke; a gateway that asks for client certificates does that without \
                     --cert and --key",
                ),
            };
            self.sender.ready().await.map_err(broken)?;
            self.sender.send_request(request).await.map_err(broken)
        };
        let response = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| Error::Transport("it took longer than 60 seconds"))??;
        if response.status() == hyper::StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        Err(gateway_error(status, &read_body(response, 16 << 10).await.unwrap_or_default()))
    }
}

/// What a failed handshake means for the caller.
fn tls_failure(error: &std::io::Error) -> String {
    let unknown = error.to_string().contains("UnknownIssuer");
    let hint = if unknown { "; name the authority of its certificate with --ca" } else { "" };
    format!("{error}{hint}")
}

fn model_path(name: &str, version: Option<u32>) -> String {
    match version {
        Some(version) => format!("/v2/models/{name}/versions/{version}"),
        None => format!("/v2/models/{name}"),
    }
}

async fn read_body(response: Response<Incoming>, limit: usize) -> Result<Vec<u8>, Error> {
    let collect = Limited::new(response.into_body(), limit).collect();
    match tokio::time::timeout(ANSWER_TIMEOUT, collect).await {
        Err(_) => Err(Error::Transport("it took longer than 60 seconds")),
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Error::Protocol("the body is longer than the card allows"))
        }
        Ok(Err(_)) => Err(Error::Transport("the connection broke")),
    }
}

fn gateway_error(status: u16, body: &[u8]) -> Error {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Form {
        error: String,
        code: String,
        action: String,
    }
    // The text is the peer's: cut it and keep it on one line.
    let clean = |text: String, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    let form: Form = serde_json::from_slice(body).unwrap_or_default();
    let code = if form.code.is_empty() { "http_error".to_owned() } else { clean(form.code, 64) };
    Error::Gateway { status, code, action: clean(form.action, 64), message: clean(form.error, 300) }
}

fn tls_config(args: &GatewayArgs) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match &args.ca {
        Some(path) => {
            roots.add_parsable_certificates(read_certificates(path)?);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Error::Tls("no certificate authority to verify the gateway with: pass --ca FILE"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| Error::Tls("TLS 1.3 is not available"))?
        .with_root_certificates(roots);
    let mut config = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key)?)
                .map_err(|_| Error::Tls("--key is not a PEM file with a private key"))?;
            builder
                .with_client_auth_cert(read_certificates(cert)?, key)
                .map_err(|_| Error::Tls("--cert and --key do not belong together"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(Error::Usage("--cert and --key go together")),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::Tls("a certificate file is not PEM")),
    }
}
