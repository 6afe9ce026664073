//! The load: the least HTTP/1.1 client there is, so that most of the machine is the server's.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, client::Resumption, crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};

use crate::{Failure, servers, targets::Target};

/// TLS 1.3 with the certificates that the gateway made.
pub(crate) fn client_config(directory: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let path = |name: &str| directory.join("tls").join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path("ca.pem"))?)?;
    let certificate = CertificateDer::from_pem_file(path("client.pem"))?;
    let key = PrivateKeyDer::from_pem_file(path("client-key.pem"))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every connection costs a full handshake.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// How a server is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Threads, each with one connection at a time.
    pub(crate) connections: usize,
    /// A new connection for each request.
    pub(crate) reconnect: bool,
    /// For how long.
    pub(crate) time: Duration,
}

/// What a slice of load came to.
pub(crate) struct Slice {
    pub(crate) requests: u64,
    pub(crate) wall_s: f64,
    pub(crate) server_cpu_s: f64,
}

/// Loads one server, with connections that are open and warm before time is taken.
pub(crate) fn run(target: &Target, client: &Arc<ClientConfig>, load: &Load) -> Result<Slice, Failure> {
    let ready = Barrier::new(load.connections + 1);
    thread::scope(|scope| {
        let worker = || -> Result<u64, Failure> {
            let warm = Connection::open(target.address, client).and_then(|mut connection| {
                connection.exchange(&target.request)?;
                Ok(connection)
            });
            // Waits even where it failed: the others count on it.
            ready.wait();
            let (mut connection, end) = (warm?, Instant::now() + load.time);
            let mut requests = 0;
            while Instant::now() < end {
                if load.reconnect {
                    connection = Connection::open(target.address, client)?;
                }
                connection.exchange(&target.request)?;
                requests += 1;
            }
            Ok(requests)
        };
        let workers: Vec<_> = (0..load.connections).map(|_| scope.spawn(worker)).collect();
        ready.wait();
        let (started, cpu) = (Instant::now(), servers::cpu_s(target.process));
        let mut requests = 0;
        for worker in workers {
            requests += worker.join().map_err(|_| "a thread of the load panicked")??;
        }
        let (wall_s, server_cpu_s) = (started.elapsed().as_secs_f64(), servers::cpu_s(target.process) - cpu);
        Ok(Slice { requests, wall_s, server_cpu_s })
    })
}

/// An answer.
pub(crate) struct Reply<'a> {
    /// Bytes of JSON, where binary tensor data follows.
    pub(crate) header_length: Option<usize>,
    pub(crate) body: &'a [u8],
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, client: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        let connection = ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost")?)?;
        let stream = BufReader::with_capacity(16 << 10, StreamOwned::new(connection, socket));
        Ok(Self { stream, line: String::new(), body: Vec::new() })
    }

    /// Sends a request and reads the whole answer, which must be a 200.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>, Failure> {
        self.stream.get_mut().write_all(request)?;
        self.stream.get_mut().flush()?;
        if !self.line()?.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the answer is {}", self.line.trim_end()).into());
        }
        let (mut length, mut header_length) = (0, None);
        loop {
            let Some((name, value)) = self.line()?.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            } else if name.eq_ignore_ascii_case("inference-header-content-length") {
                header_length = Some(value.parse()?);
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(Reply { header_length, body: &self.body })
    }

    fn line(&mut self) -> Result<&str, Failure> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(&self.line)
    }
}
