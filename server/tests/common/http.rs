//! The least HTTP client that can also send what no client would: raw bytes over TLS, one reply at a time.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::Value;

use super::{Gateway, HANG};

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The bytes of a request on a connection of its own.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let framing = [("host", "localhost"), ("connection", "close"), ("content-length", length.as_str())];
    head(method, path, &[&framing, headers].concat()).into_iter().chain(body.iter().copied()).collect()
}

/// The bytes of a request's head, with these headers and no others.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    (text + "\r\n").into_bytes()
}

/// TLS 1.3 with one authority and perhaps a client certificate, `name.pem` and `name-key.pem` in a directory.
pub(crate) fn client_config(ca: &Path, identity: Option<(&Path, &str)>) -> ClientConfig {
    client_config_with(aws_lc_rs::default_provider(), ca, identity)
}

/// The same, with chosen cryptography.
pub(crate) fn client_config_with(
    provider: rustls::crypto::CryptoProvider,
    ca: &Path,
    identity: Option<(&Path, &str)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((directory, name)) => {
            let chain = CertificateDer::pem_file_iter(directory.join(format!("{name}.pem"))).unwrap();
            let chain = chain.collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}-key.pem"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// A TLS connection.
pub(crate) struct Connection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Connection {
    /// Connects; the handshake is done as far as this side can tell.
    pub(crate) fn open(address: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(HANG))?;
        socket.set_write_timeout(Some(HANG))?;
        socket.set_nodelay(true)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { stream: BufReader::new(StreamOwned::new(tls, socket)) })
    }

    /// Whether the handshake resumed an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stream.get_ref().conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The gateway's certificate.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.stream.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Asks for a path and leaves the connection open.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.write(&head("GET", path, &[("host", "localhost")]))?;
        self.reply()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_writing(&mut self) -> io::Result<()> {
        self.stream.get_mut().conn.send_close_notify();
        self.stream.get_mut().flush()?;
        self.stream.get_ref().sock.shutdown(std::net::Shutdown::Write)
    }

    /// Reads one response.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        self.read_reply(true)
    }

    fn read_reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {status_line:?}")))?;
        let mut reply = Reply { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        if has_body && !matches!(status, 100..=199 | 204 | 304) {
            reply.body = vec![0; length];
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Reads one response without a body, whatever length it states.
    pub(crate) fn head_reply(&mut self) -> io::Result<Reply> {
        self.read_reply(false)
    }

    /// One byte, or the reason why there is none.
    pub(crate) fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Gateway {
    /// Connects with the client certificate that the gateway made.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address, self.client_config()).unwrap()
    }

    /// What a client with the certificate that the gateway made brings along.
    pub(crate) fn client_config(&self) -> ClientConfig {
        client_config(&self.certificate("ca.pem"), Some((&self.path("tls"), "client")))
    }

    /// Sends these bytes on a fresh connection and reads one response. The gateway may answer before it has read
    /// all, so that writing fails.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<Reply> {
        let mut connection = self.connect();
        let _ = connection.write(bytes);
        connection.reply()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(&request("GET", path, &[], b"")).unwrap()
    }

    /// Reads a page of the metrics listener.
    pub(crate) fn get_metrics(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.metrics).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        socket.write_all(&request("GET", path, &[], b"")).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    }
}
