//! From a gateway's URL to a TLS stream: name, TCP, perhaps a proxy, TLS. Nothing of a request has been sent yet, so
//! what fails here and may heal is tried again.

use std::{io, sync::Arc, time::Duration};

use hyper::Uri;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{patience::Backoff, proxy::Proxy, socket::Socket, tls};
use crate::{
    Error,
    cli::{GatewayArgs, NetworkArgs},
    stop::Stop,
};

/// Why an attempt to connect failed.
pub(super) enum Failure {
    /// Another attempt may succeed.
    Passing(Error),
    /// Another attempt would fail as well: a certificate, a refusal.
    Lasting(Error),
}

/// How to reach one gateway.
pub(super) struct Dialer {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    proxy: Option<Proxy>,
    /// For one attempt.
    timeout: Duration,
    /// Attempts after the first.
    retries: u32,
}

impl Dialer {
    /// Checks the URL and reads the certificates. Without `network` it connects once, with no proxy.
    pub(super) fn new(args: &GatewayArgs, network: Option<&NetworkArgs>) -> Result<Self, Error> {
        let uri = parse(&args.gateway)?;
        let host = uri.host().ok_or(Error::Url)?.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| Error::Url)?;
        let connector = TlsConnector::from(Arc::new(tls::config(args)?));
        let proxy = match network {
            Some(network) => Proxy::choose(network.proxy.as_ref(), &uri)?,
            None => None,
        };
        Ok(Self {
            host,
            port: uri.port_u16().unwrap_or(443),
            name,
            connector,
            proxy,
            timeout: Duration::from_secs(network.map_or(10, |network| network.connect_timeout)),
            retries: network.map_or(0, |network| network.retries),
        })
    }

    /// Host and port, as the gateway and a proxy are told them.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Connects, with further attempts after growing pauses where the failure may pass.
    pub(super) async fn dial(&self, stop: &Stop) -> Result<TlsStream<Socket>, Error> {
        let mut backoff = Backoff::new();
        let mut left = self.retries;
        loop {
            let error = match stop.or(tokio::time::timeout(self.timeout, self.attempt())).await? {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(Failure::Lasting(error))) => return Err(error),
                Ok(Err(Failure::Passing(error))) => error,
                Err(_) => Error::Connect(format!("it took longer than {} seconds", self.timeout.as_secs())),
            };
            if left == 0 {
                return Err(error);
            }
            left -= 1;
            stop.or(tokio::time::sleep(backoff.pause())).await?;
        }
    }

    async fn attempt(&self) -> Result<TlsStream<Socket>, Failure> {
        let stream = match &self.proxy {
            Some(proxy) => proxy.tunnel(&self.authority()).await?,
            None => {
                let connected = TcpStream::connect((self.host.as_str(), self.port)).await;
                connected.map_err(|error| Failure::Passing(Error::Connect(error.to_string())))?
            }
        };
        let _ = stream.set_nodelay(true);
        let broken = |error: io::Error| match tls::objection(&error) {
            Some(objection) => Failure::Lasting(Error::Connect(objection)),
            None => Failure::Passing(Error::Connect(error.to_string())),
        };
        self.connector.connect(self.name.clone(), Socket::new(stream)).await.map_err(broken)
    }
}

fn parse(url: &str) -> Result<Uri, Error> {
    let uri: Uri = url.parse().map_err(|_| Error::Url)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(uri),
        _ => Err(Error::Url),
    }
}
