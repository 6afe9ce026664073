//! A relay between the clinic and the gateway that keeps what passes: inside TLS, as the gateway reads it, and outside, as the
//! network does. It holds the answer to a run's only request for inference back until it is told to go on, so that client and
//! gateway can be looked at while the one has the keys and the other has the request.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hyper::Uri;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tap::{Kept, Tap};
use crate::{Error, cli::GatewayArgs, files, http::tls};

/// How a request for inference is told from others.
const INFERENCE: &[u8] = b"/infer HTTP/1.1\r\n";

/// What was kept of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    /// Inside TLS, from the clinic.
    pub(super) asked: Kept,
    /// Inside TLS, from the gateway.
    pub(super) answered: Kept,
    /// Outside TLS, to the gateway.
    pub(super) sent: Kept,
    /// Outside TLS, from the gateway.
    pub(super) received: Kept,
}

impl Conversation {
    /// Each stream: what it is in words, the name of its file, and its bytes.
    pub(super) fn streams(&self) -> [(&'static str, &'static str, &Kept); 4] {
        [
            ("requests inside TLS", "inside-tls-from-clinic", &self.asked),
            ("answers inside TLS", "inside-tls-from-gateway", &self.answered),
            ("bytes of the network to the gateway", "network-to-gateway", &self.sent),
            ("bytes of the network from the gateway", "network-from-gateway", &self.received),
        ]
    }
}

/// The relay. It ends when this is dropped.
pub(super) struct Relay {
    pub(super) url: String,
    pub(super) authority: PathBuf,
    conversations: Arc<Mutex<Vec<Conversation>>>,
    answered: watch::Receiver<bool>,
    go_on: watch::Sender<bool>,
    task: AbortHandle,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every connection needs.
struct Ways {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    host: String,
    port: u16,
    name: ServerName<'static>,
    answered: watch::Sender<bool>,
    go_on: watch::Receiver<bool>,
}

impl Relay {
    /// Listens on a loopback port, with a certificate made for it, which is written to the folder for the client to trust.
    pub(super) async fn start(gateway: &GatewayArgs, folder: &Path, name: &str) -> Result<Self, Error> {
        let uri: Uri = gateway.gateway.parse().map_err(|_| Error::Url)?;
        let host = uri.host().ok_or(Error::Url)?.trim_matches(['[', ']']).to_owned();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .map_err(|_| Error::Tls("no certificate could be made for the audit's relay"))?;
        let authority = folder.join(format!("{name}.pem"));
        std::fs::write(&authority, made.cert.pem()).map_err(files::at(&authority))?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| Error::Tls("TLS 1.3 is not available"))?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .map_err(|_| Error::Tls("no certificate could be made for the audit's relay"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let at = |error: std::io::Error| Error::Audit(format!("no loopback port for its relay: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(at)?;
        let port = listener.local_addr().map_err(at)?.port();
        let (answers, answered) = watch::channel(false);
        let (go_on, wait) = watch::channel(false);
        let ways = Arc::new(Ways {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            connector: TlsConnector::from(Arc::new(tls::config(gateway)?)),
            name: ServerName::try_from(host.clone()).map_err(|_| Error::Url)?,
            port: uri.port_u16().unwrap_or(443),
            host,
            answered: answers,
            go_on: wait,
        });
        let conversations = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&conversations);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let conversation = Conversation::default();
                all.lock().unwrap_or_else(PoisonError::into_inner).push(conversation.clone());
                let ways = Arc::clone(&ways);
                // A connection that breaks is the client's to report.
                tokio::spawn(async move { relay(&ways, stream, conversation).await.ok() });
            }
        });
        let url = format!("https://localhost:{port}");
        Ok(Self { url, authority, conversations, answered, go_on, task: task.abort_handle() })
    }

    /// What a client needs to come by way of the relay.
    pub(super) fn as_gateway(&self) -> GatewayArgs {
        GatewayArgs { gateway: self.url.clone(), ca: Some(self.authority.clone()), cert: None, key: None }
    }

    /// Waits until the gateway has begun to answer a request for inference. The answer is held back.
    pub(super) async fn answered(&mut self) {
        // The sender lives as long as the relay.
        let _ = self.answered.wait_for(|answered| *answered).await;
    }

    /// Lets the answer pass.
    pub(super) fn go_on(&self) {
        self.go_on.send_replace(true);
    }

    /// What has passed so far, a connection each.
    pub(super) fn conversations(&self) -> Vec<Conversation> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn relay(ways: &Ways, client: TcpStream, conversation: Conversation) -> std::io::Result<()> {
    let client = ways.acceptor.accept(client).await?;
    let stream = TcpStream::connect((ways.host.as_str(), ways.port)).await?;
    let tapped = Tap::new(stream, conversation.sent, conversation.received);
    let gateway = ways.connector.connect(ways.name.clone(), tapped).await?;
    let (from_client, to_client) = split(client);
    let (from_gateway, to_gateway) = split(gateway);
    let forth = pass(from_client, to_gateway, &conversation.asked, None);
    let back = pass(from_gateway, to_client, &conversation.answered, Some((ways, &conversation.asked)));
    tokio::try_join!(forth, back).map(|_| ())
}

/// Hands on what is read, after it was kept. An answer is held where what was asked before is an inference.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    kept: &Kept,
    hold: Option<(&Ways, &Kept)>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        kept.add(bytes);
        if let Some((ways, asked)) = hold
            && asked.bytes().windows(INFERENCE.len()).any(|window| window == INFERENCE)
        {
            ways.answered.send_replace(true);
            let mut go_on = ways.go_on.clone();
            // The relay ends with its other end.
            let _ = go_on.wait_for(|go_on| *go_on).await;
        }
        to.write_all(bytes).await?;
        to.flush().await?;
    }
    to.shutdown().await
}
