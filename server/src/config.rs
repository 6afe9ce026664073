//! The gateway's configuration: a TOML file, flags over it, one checked [`Config`].

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tiresias_keys::Digest;

use crate::{cli::ServeArgs, protocol::LARGEST_BATCH, tls::Tenants};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's word on it.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{path}: {source}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the TOML reader found, with line and key.
        source: Box<toml::de::Error>,
    },
    /// The settings do not go together.
    #[error("{0}")]
    Rule(&'static str),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Toml { .. } => "bad_config_file",
            Self::Rule(_) => "bad_config",
        }
    }
}

/// Certificate files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate chain, PEM.
    pub cert: PathBuf,
    /// The server's private key, PEM.
    pub key: PathBuf,
    /// The CA that signs client certificates; `None` switches client authentication off.
    pub client_ca: Option<PathBuf>,
    /// Whether the hybrid key exchange is required.
    pub require_hybrid: bool,
}

/// Limits in number, bytes and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Vectors in one request.
    pub batch: usize,
    /// Evaluations at once; the number of cores where not given.
    pub workers: usize,
    /// Requests waiting for a worker.
    pub queue: usize,
    /// Memory for bodies of requests in flight, in MiB.
    pub body_mib: usize,
    /// TLS handshake and request headers.
    pub header_timeout: Duration,
    /// A whole body.
    pub body_timeout: Duration,
    /// Requests in flight at shutdown.
    pub shutdown_timeout: Duration,
}

/// Where the server's certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// Given files.
    Files(TlsConfig),
    /// Files made in a directory on first use.
    SelfSigned {
        /// The directory.
        directory: PathBuf,
        /// Whether client certificates are asked for.
        client_auth: bool,
        /// Whether the hybrid key exchange is required.
        require_hybrid: bool,
    },
}

/// Everything that `serve` needs, checked.
#[derive(Debug)]
pub struct Config {
    /// The model repository.
    pub repo: PathBuf,
    /// The TLS listener's address.
    pub listen: SocketAddr,
    /// Certificates.
    pub tls: TlsSource,
    /// Who may connect.
    pub tenants: Tenants,
    /// Where the gateway keeps state of its own.
    pub data: Option<PathBuf>,
    /// The metrics listener's address.
    pub metrics: Option<SocketAddr>,
    /// Limits.
    pub limits: Limits,
}

/// The file; see `server/gateway.toml` for a commented example.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    repo: Option<PathBuf>,
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    metrics: Option<SocketAddr>,
    device: Option<String>,
    tls: FileTls,
    limits: FileLimits,
    tenants: Vec<FileTenant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileTls {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    self_signed: Option<PathBuf>,
    insecure_no_client_auth: bool,
    require_hybrid: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimits {
    connections: usize,
    batch: usize,
    workers: Option<usize>,
    queue: usize,
    body_mib: usize,
    header_timeout_s: u64,
    body_timeout_s: u64,
    shutdown_timeout_s: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            batch: 256,
            workers: None,
            queue: 64,
            body_mib: 256,
            header_timeout_s: 10,
            body_timeout_s: 30,
            shutdown_timeout_s: 30,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTenant {
    name: String,
    public_key_sha256: String,
}

impl Config {
    /// Reads the file that the flags name, puts the flags over it and checks the whole. Paths in the file are
    /// relative to the file.
    pub fn from_args(args: ServeArgs) -> Result<Self, Error> {
        let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let repo = args.repo.or(file.repo).ok_or(Error::Rule("name a model repository: --repo or `repo`"))?;
        let listen =
            args.listen.or(file.listen).ok_or(Error::Rule("name an address: --listen or `listen`"))?;
        check_device(args.device.as_deref().or(file.device.as_deref()).unwrap_or("auto"))?;

        let no_client_auth = args.insecure_no_client_auth || file.tls.insecure_no_client_auth;
        let require_hybrid = args.require_hybrid || file.tls.require_hybrid;
        let client_ca = args.client_ca.or(file.tls.client_ca);
        if no_client_auth && client_ca.is_some() {
            return Err(Error::Rule("a client CA and insecure-no-client-auth exclude each other"));
        }
        let cert = args.tls_cert.or(file.tls.cert);
        let key = args.tls_key.or(file.tls.key);
        let tls = match (cert, key, args.tls_self_signed.or(file.tls.self_signed)) {
            (Some(cert), Some(key), None) => {
                if client_ca.is_none() && !no_client_auth {
                    return Err(Error::Rule(
                        "name the CA of client certificates (--client-ca), or pass --insecure-no-client-auth",
                    ));
                }
                TlsSource::Files(TlsConfig { cert, key, client_ca, require_hybrid })
            }
            (None, None, Some(_)) if client_ca.is_some() => {
                return Err(Error::Rule("self-signed certificates bring their own client CA"));
            }
            (None, None, Some(directory)) => {
                TlsSource::SelfSigned { directory, client_auth: !no_client_auth, require_hybrid }
            }
            _ => {
                return Err(Error::Rule(
                    "name either a certificate and its key (--tls-cert, --tls-key) or --tls-self-signed DIR",
                ));
            }
        };
        if no_client_auth && !file.tenants.is_empty() {
            return Err(Error::Rule("tenants are known by client certificates: do not switch them off"));
        }
        Ok(Self {
            repo,
            listen,
            tls,
            tenants: read_tenants(file.tenants)?,
            data: args.data.or(file.data),
            metrics: args.metrics.or(file.metrics),
            limits: file.limits.check()?,
        })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(io)?;
        let mut file: Self = toml::from_str(&text)
            .map_err(|source| Error::Toml { path: path.to_owned(), source: Box::new(source) })?;
        let base = path.parent().unwrap_or(Path::new(""));
        for path in [
            &mut file.repo,
            &mut file.data,
            &mut file.tls.cert,
            &mut file.tls.key,
            &mut file.tls.client_ca,
            &mut file.tls.self_signed,
        ] {
            *path = path.take().map(|path| base.join(path));
        }
        Ok(file)
    }
}

impl FileLimits {
    fn check(&self) -> Result<Limits, Error> {
        let workers =
            self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let in_range = (1..=100_000).contains(&self.connections)
            && (1..=LARGEST_BATCH).contains(&self.batch)
            && (1..=1024).contains(&workers)
            && self.queue <= 100_000
            && (64..=65_536).contains(&self.body_mib)
            && [self.header_timeout_s, self.body_timeout_s, self.shutdown_timeout_s]
                .iter()
                .all(|seconds| (1..=3600).contains(seconds));
        if !in_range {
            return Err(Error::Rule(
                "limits: connections 1 to 100000, batch 1 to 4096, workers 1 to 1024, queue at most 100000, \
                 body_mib 64 to 65536, timeouts 1 to 3600 seconds",
            ));
        }
        Ok(Limits {
            connections: self.connections,
            batch: self.batch,
            workers,
            queue: self.queue,
            body_mib: self.body_mib,
            header_timeout: Duration::from_secs(self.header_timeout_s),
            body_timeout: Duration::from_secs(self.body_timeout_s),
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout_s),
        })
    }
}

fn read_tenants(tenants: Vec<FileTenant>) -> Result<Tenants, Error> {
    let tenants = tenants.into_iter().map(|tenant| {
        let key = Digest::from_hex(&tenant.public_key_sha256)
            .map_err(|_| Error::Rule("a tenant's public_key_sha256 is 64 lowercase hexadecimal digits"))?;
        if tenant.name.is_empty() || tenant.name.len() > 64 || tenant.name.contains(char::is_control) {
            return Err(Error::Rule("a tenant's name is 1 to 64 bytes without control characters"));
        }
        Ok((key, tenant.name))
    });
    Ok(Tenants::new(tenants.collect::<Result<Vec<_>, Error>>()?))
}

fn check_device(device: &str) -> Result<(), Error> {
    match device {
        "auto" | "cpu" => Ok(()),
        _ => Err(Error::Rule("this build evaluates on the CPU alone: --device auto or cpu")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn config(flags: &[&str]) -> Result<Config, Error> {
        let cli = Cli::try_parse_from([&["tiresias-gateway", "serve"], flags].concat()).unwrap();
        match cli.command {
            Command::Serve(args) => Config::from_args(args),
            _ => unreachable!("the test parses `serve`"),
        }
    }

    #[test]
    fn flags_alone_make_a_configuration() {
        let config =
            config(&["--repo", "models", "--listen", "127.0.0.1:0", "--tls-self-signed", "tls"]).unwrap();
        let expected =
            TlsSource::SelfSigned { directory: "tls".into(), client_auth: true, require_hybrid: false };
        assert_eq!(config.tls, expected);
        assert_eq!(config.limits.batch, 256);
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let base = ["--repo", "models", "--listen", "127.0.0.1:0"];
        for flags in [
            &[][..],
            &["--tls-cert", "c"],
            &["--tls-cert", "c", "--tls-key", "k"],
            &["--tls-cert", "c", "--tls-key", "k", "--tls-self-signed", "d"],
            &["--tls-cert", "c", "--tls-key", "k", "--client-ca", "a", "--insecure-no-client-auth"],
            &["--tls-self-signed", "d", "--client-ca", "a"],
            &["--tls-self-signed", "d", "--device", "cuda:0"],
        ] {
            let error = config(&[&base, flags].concat()).unwrap_err();
            assert!(matches!(error, Error::Rule(_)), "{flags:?}");
        }
    }

    #[test]
    fn the_commented_example_is_a_valid_configuration_and_unknown_keys_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        let example = include_str!("../gateway.toml");
        std::fs::write(&path, example).unwrap();
        let config = config(&["--config", path.to_str().unwrap()]).unwrap();
        assert_eq!(config.repo, directory.path().join("models"));

        std::fs::write(&path, format!("colour = 1\n{example}")).unwrap();
        assert!(matches!(File::read(&path), Err(Error::Toml { .. })));
    }
}
