//! What stands between a clinic and its gateway, and misbehaves on request: a relay of bytes, and a relay of requests
//! that ends TLS with the gateway's own certificate.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;

use crate::gateway::{
    Gateway, HANG,
    http::{Connection, Reply},
};

/// Listens on a loopback port and hands each connection, with its number, to a thread of its own.
fn listen(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (serve, stream) = (Arc::clone(&serve), stream.unwrap());
            stream.set_read_timeout(Some(HANG)).unwrap();
            thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// Relays bytes. `decide` is told the number of each connection, may talk on it first, and says where it leads:
/// nowhere, and it is closed.
pub(crate) struct Bytes {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Bytes {
    pub(crate) fn start(
        decide: impl Fn(usize, &mut TcpStream) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        let address = listen(move |number, mut client| {
            log.lock().unwrap().push(Vec::new());
            let Some(target) = decide(number, &mut client) else { return };
            let server = TcpStream::connect(target).unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(Shutdown::Both);
            });
            let mut buffer = [0; 1 << 14];
            while let Ok(read @ 1..) = client.read(&mut buffer) {
                log.lock().unwrap()[number].extend_from_slice(&buffer[..read]);
                if (&server).write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = server.shutdown(Shutdown::Both);
        });
        Self { address, sent }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What clients sent behind the talk of `decide`, a connection each.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.sent.lock().unwrap().clone()
    }
}

/// Reads the head of a plain HTTP request.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// What a relay of requests does with one.
pub(crate) enum Act {
    /// Lets a gateway answer.
    Forward(Backend),
    /// Lets a gateway answer, and changes the answer.
    Change(Backend, fn(&Seen, &mut Reply)),
    /// Lets a gateway answer, then closes without notice.
    ForwardAndClose(Backend),
    /// Answers itself.
    Reply(Vec<u8>),
    /// Closes the connection instead of an answer.
    Cut,
}

/// A gateway as the relay reaches it.
#[derive(Clone)]
pub(crate) struct Backend {
    address: SocketAddr,
    config: ClientConfig,
}

impl Backend {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self { address: gateway.address, config: gateway.client_config() }
    }

    /// Lets the gateway answer the bytes of a request.
    pub(crate) fn answer(&self, request: &[u8]) -> Reply {
        let mut connection = Connection::open(self.address, self.config.clone()).unwrap();
        connection.write(request).unwrap();
        connection.reply().unwrap()
    }
}

/// A request as the relay saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The number of its connection.
    pub(crate) connection: usize,
}

impl Seen {
    /// All its bytes.
    pub(crate) fn whole(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// Relays requests over TLS. `decide` is told each request and how many for the same method and path came before.
pub(crate) struct Requests {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: mpsc::Receiver<()>,
}

impl Requests {
    pub(crate) fn start(
        gateway: &Gateway,
        decide: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::start_early(gateway, |_| None, decide)
    }

    /// `early` may answer a request of which only the head was read.
    pub(crate) fn start_early(
        gateway: &Gateway,
        early: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static,
        decide: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let certificate = CertificateDer::from_pem_file(gateway.certificate("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(gateway.certificate("server-key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let (config, seen) = (Arc::new(config), Arc::new(Mutex::new(Vec::<Seen>::new())));
        let log = Arc::clone(&seen);
        let (closes, closed) = mpsc::channel();
        let address = listen(move |connection, socket| {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(tls, socket));
            while let Some(mut request) = read_head_of(&mut stream, connection) {
                if let Some(reply) = early(&request) {
                    log.lock().unwrap().push(request);
                    stream.get_mut().write_all(&reply).and_then(|()| stream.get_mut().flush()).unwrap();
                    // Read and thrown away, without end: a socket closed over unread bytes takes the answer back.
                    let _ = io::copy(&mut stream.get_mut().sock, &mut io::sink());
                    break;
                }
                if read_body(&mut stream, &mut request).is_none() {
                    break;
                }
                let before = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.iter().filter(|other| other.target == request.target).count() - 1
                };
                let whole = request.whole();
                let (reply, close) = match decide(&request, before) {
                    Act::Forward(backend) => (raw(&backend.answer(&whole)), false),
                    Act::Change(backend, change) => {
                        let mut reply = backend.answer(&whole);
                        change(&request, &mut reply);
                        (raw(&reply), false)
                    }
                    Act::ForwardAndClose(backend) => (raw(&backend.answer(&whole)), true),
                    Act::Reply(reply) => (reply, false),
                    Act::Cut => break,
                };
                let written = stream.get_mut().write_all(&reply).and_then(|()| stream.get_mut().flush());
                // A client may have read enough.
                if close || written.is_err() {
                    break;
                }
            }
            let _ = stream.get_ref().sock.shutdown(Shutdown::Both);
            // The test may have ended.
            let _ = closes.send(());
        });
        Self { url: format!("https://localhost:{}", address.port()), seen, closed }
    }

    /// Waits until one more connection is closed.
    pub(crate) fn wait_for_close(&self) {
        self.closed.recv_timeout(HANG).unwrap();
    }

    /// All requests, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests for inference.
    pub(crate) fn inferences(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.target.ends_with("/infer")).collect()
    }
}

fn read_head_of(
    stream: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
    connection: usize,
) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let target = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Some(Seen { target, head, body: Vec::new(), connection })
}

fn read_body(
    stream: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
    request: &mut Seen,
) -> Option<()> {
    let length = request.head.lines().find_map(|line| line.strip_prefix("content-length: "));
    request.body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut request.body).ok()
}

/// The bytes of an answer.
pub(crate) fn raw(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} relayed\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [(head + "\r\n").as_bytes(), &reply.body].concat()
}

/// A refusal as the gateway writes it.
pub(crate) fn refusal(status: u16, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} refused\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}
