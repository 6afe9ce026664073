//! One encrypted evaluation beside one new TLS 1.3 connection: the server's side of a full handshake by rustls and
//! aws-lc-rs with the gateway's own settings, both ends in memory, nothing resumed.
//!
//! `cargo bench -p tiresias-benches --bench handshake`. One thread; rounds of all contenders in turn.

use std::{
    hint::black_box,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    client::Resumption,
    crypto::{SupportedKxGroup, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tiresias_benches::{
    Fixture,
    stats::{Ratio, median},
};
use tiresias_keys::{Digest, xof::SecretSeed};
use tiresias_server::{config::TlsConfig, tls};

type Failure = Box<dyn std::error::Error>;

/// Calls of one contender in one round.
const CALLS: u32 = 20;
const SHAPE: (usize, usize) = (512, 14);
const PRIVACIES: [&str; 2] = ["flooded", "open-weights"];

fn main() -> Result<(), Failure> {
    // `cargo bench` says so; under `cargo test --benches` one round shows that all of it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 51 } else { 1 };
    let directory = tempfile::tempdir()?;
    let files = tls::ensure_self_signed(directory.path())?;

    let mut names = Vec::new();
    let mut contenders: Vec<Box<dyn Fn() -> Result<Duration, Failure>>> = Vec::new();
    for privacy in PRIVACIES {
        names.push(format!("evaluate {}x{} {privacy}", SHAPE.0, SHAPE.1));
        contenders.push(evaluation(privacy)?);
    }
    for (group_name, group) in
        [("X25519MLKEM768", aws_lc_rs::kx_group::X25519MLKEM768), ("X25519", aws_lc_rs::kx_group::X25519)]
    {
        for client_certificate in [true, false] {
            let with = if client_certificate { "client certificate" } else { "no client certificate" };
            names.push(format!("TLS connection, {group_name}, {with}"));
            let (server, client) = configurations(&files, directory.path(), group, client_certificate)?;
            contenders.push(Box::new(move || handshake(&server, &client)));
        }
    }

    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let mut total = Duration::ZERO;
            for _ in 0..CALLS {
                total += contender()?;
            }
            times.push(total.as_secs_f64() * 1e6 / f64::from(CALLS));
        }
    }

    let evaluations = PRIVACIES.len();
    let mut table = Table::new();
    let mut header = vec!["server's CPU".to_owned(), "us".to_owned()];
    header.extend(names[..evaluations].iter().map(|name| format!("{name} / this")));
    table.load_style(ASCII_MARKDOWN).set_header(header);
    for (name, own) in names.iter().zip(&times) {
        let mut row = vec![name.clone(), format!("{:.1}", median(own))];
        row.extend(times[..evaluations].iter().map(|evaluation| Ratio::new(evaluation, own).to_string()));
        table.add_row(row);
    }
    writeln!(io::stdout(), "{table}")?;
    Ok(())
}

fn evaluation(privacy: &str) -> Result<Box<dyn Fn() -> Result<Duration, Failure>>, Failure> {
    let fixture = Fixture::new(SHAPE.0, SHAPE.1, privacy.parse()?);
    let request = fixture.encrypt(&fixture.key());
    let (digest, seed) = (Digest::of(b"bench"), SecretSeed::from_bytes([2; 32]));
    Ok(Box::new(move || {
        let started = Instant::now();
        black_box(fixture.head.evaluate(black_box(&request), digest, &seed, 0)?);
        Ok(started.elapsed())
    }))
}

fn configurations(
    files: &TlsConfig,
    directory: &Path,
    group: &'static dyn SupportedKxGroup,
    client_certificate: bool,
) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Failure> {
    let mut files = files.clone();
    files.client_ca = files.client_ca.filter(|_| client_certificate);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("ca.pem"))?)?;
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![group];
    let client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut client = if client_certificate {
        let certificate = CertificateDer::from_pem_file(directory.join("client.pem"))?;
        let key = PrivateKeyDer::from_pem_file(directory.join("client-key.pem"))?;
        client.with_client_auth_cert(vec![certificate], key)?
    } else {
        client.with_no_client_auth()
    };
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.resumption = Resumption::disabled();
    Ok((tls::load(&files)?.server(), Arc::new(client)))
}

/// Shakes hands and returns what the server's side took, from its first byte to the last of its tickets.
fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Duration, Failure> {
    let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost")?)?;
    let mut spent = Duration::ZERO;
    let mut server = timed(&mut spent, || ServerConnection::new(Arc::clone(server)))?;
    let (mut up, mut down) = (Vec::new(), Vec::new());
    while client.is_handshaking() || server.is_handshaking() {
        up.clear();
        while client.wants_write() {
            client.write_tls(&mut up)?;
        }
        down.clear();
        timed(&mut spent, || -> Result<(), Failure> {
            let mut unread = up.as_slice();
            while !unread.is_empty() {
                server.read_tls(&mut unread)?;
                server.process_new_packets()?;
            }
            while server.wants_write() {
                server.write_tls(&mut down)?;
            }
            Ok(())
        })?;
        if up.is_empty() && down.is_empty() {
            return Err("the handshake came to a halt".into());
        }
        let mut unread = down.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread)?;
            client.process_new_packets()?;
        }
    }
    Ok(spent)
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *spent += started.elapsed();
    result
}
