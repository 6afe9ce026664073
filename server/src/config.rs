//! The gateway's configuration: a TOML file, flags over it, one checked [`Config`].

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    cli::ServeArgs, device::DeviceChoice, governance::Governance, joint::JointPolicy, keys::KeyPolicy,
    sandbox::SandboxPolicy, tenants::Tenants,
};

mod governance;
mod joint;
mod keys;
mod limits;
mod log;
mod tenants;
#[cfg(test)]
mod tests;
mod witnesses;

pub use limits::Limits;
pub use log::LogPolicy;
pub use witnesses::{WitnessAddress, WitnessPolicy};

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
    /// A setting that only the file can make breaks a rule.
    #[error("{path}: {rule}", path = path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The rule.
        rule: &'static str,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Toml { .. } => "bad_config_file",
            Self::Rule(_) | Self::InFile { .. } => "bad_config",
        }
    }

    fn in_file(self, path: Option<&Path>) -> Self {
        match (self, path) {
            (Self::Rule(rule), Some(path)) => Self::InFile { path: path.to_owned(), rule },
            (error, _) => error,
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
    /// Revocation lists of client certificates, PEM; none are checked where there is no file.
    pub client_crls: Vec<PathBuf>,
    /// Whether the hybrid key exchange is required.
    pub require_hybrid: bool,
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
    /// Who may connect, and what they may.
    pub tenants: Tenants,
    /// Where the gateway keeps state of its own.
    pub data: Option<PathBuf>,
    /// The metrics listener's address.
    pub metrics: Option<SocketAddr>,
    /// Where bootstraps are computed.
    pub device: DeviceChoice,
    /// Whether the kernel holds the gateway to its own files.
    pub sandbox: SandboxPolicy,
    /// Limits.
    pub limits: Limits,
    /// Evaluation keys.
    pub keys: KeyPolicy,
    /// The transparency log.
    pub log: LogPolicy,
    /// Who approves models.
    pub governance: Governance,
    /// Whose joint sums are added up.
    pub joint: Option<JointPolicy>,
    /// What it was made from, to make it again.
    args: ServeArgs,
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
    sandbox: SandboxPolicy,
    tls: FileTls,
    limits: limits::FileLimits,
    keys: keys::FileKeys,
    log: log::FileLog,
    governance: Option<governance::FileGovernance>,
    joint: Option<joint::FileJoint>,
    budget: tenants::FileBudget,
    rate: tenants::FileRate,
    tenants: Vec<tenants::FileTenant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileTls {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    client_crl: Vec<PathBuf>,
    self_signed: Option<PathBuf>,
    insecure_no_client_auth: bool,
    require_hybrid: bool,
}

impl Config {
    /// Reads the file that the flags name, puts the flags over it and checks the whole. Paths in the file are
    /// relative to the file.
    pub fn from_args(args: ServeArgs) -> Result<Self, Error> {
        let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let pick = |flag: &Option<PathBuf>, file: Option<PathBuf>| flag.clone().or(file);
        let repo =
            pick(&args.repo, file.repo).ok_or(Error::Rule("name a model repository: --repo or `repo`"))?;
        let listen =
            args.listen.or(file.listen).ok_or(Error::Rule("name an address: --listen or `listen`"))?;
        let device = file.device.as_deref().map(|text| text.parse().map_err(Error::Rule)).transpose();
        let device = device.map_err(|error: Error| error.in_file(args.config.as_deref()))?;
        let device = args.device.or(device).unwrap_or(DeviceChoice::Auto);

        let client_auth = !(args.insecure_no_client_auth || file.tls.insecure_no_client_auth);
        if !client_auth && !file.tenants.is_empty() {
            return Err(Error::Rule("tenants are known by client certificates: do not switch them off"));
        }
        let in_file = |error: Error| error.in_file(args.config.as_deref());
        let tenants = tenants::check(&file.budget, &file.rate, file.tenants).map_err(in_file)?;
        let limits = file.limits.check().map_err(in_file)?;
        let keys = file.keys.check().map_err(in_file)?;
        let data = pick(&args.data, file.data);
        let log = file.log.check(data.is_some()).map_err(in_file)?;
        let governance = file.governance.map(governance::FileGovernance::check).transpose();
        let governance = governance.map_err(in_file)?.unwrap_or_default();
        let joint = file.joint.map(|joint| joint.check(data.is_some())).transpose().map_err(in_file)?;
        if tenants.any_budget() && data.is_none() {
            return Err(Error::Rule(
                "a budget must outlive the process: name a data directory, --data or `data`",
            ));
        }
        Ok(Self {
            repo,
            listen,
            tls: file.tls.over(&args, client_auth)?,
            tenants,
            data,
            metrics: args.metrics.or(file.metrics),
            device,
            sandbox: file.sandbox,
            limits,
            keys,
            log,
            governance,
            joint,
            args,
        })
    }

    /// The file that it was read from.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.args.config.as_ref()
    }

    /// Whether clients need certificates.
    #[must_use]
    pub fn client_auth(&self) -> bool {
        match &self.tls {
            TlsSource::Files(files) => files.client_ca.is_some(),
            TlsSource::SelfSigned { client_auth, .. } => *client_auth,
        }
    }

    /// Reads the same file with the same flags again. What cannot change while the gateway runs stays as it is; the
    /// names of such settings that differ come with it.
    pub fn reread(&self) -> Result<(Self, Vec<&'static str>), Error> {
        let mut new = Self::from_args(self.args.clone())?;
        let mut fixed = Vec::new();
        let mut keep = |name, differs: bool| {
            if differs {
                fixed.push(name);
            }
        };
        keep("repo", new.repo != self.repo);
        keep("listen", new.listen != self.listen);
        keep("metrics", new.metrics != self.metrics);
        keep("data", new.data != self.data);
        keep("device", new.device != self.device);
        keep("sandbox", new.sandbox != self.sandbox);
        keep("limits.connections", new.limits.connections != self.limits.connections);
        keep("limits.device_timeout", new.limits.device_timeout != self.limits.device_timeout);
        keep("limits.workers", new.limits.workers != self.limits.workers);
        keep("limits.body_mib", new.limits.body_mib != self.limits.body_mib);
        keep("keys", new.keys != self.keys);
        keep("log", new.log != self.log);
        keep("governance", new.governance != self.governance);
        keep("joint", new.joint != self.joint);
        new.keys = self.keys;
        new.device = self.device;
        new.sandbox = self.sandbox;
        new.log.clone_from(&self.log);
        new.governance.clone_from(&self.governance);
        new.joint.clone_from(&self.joint);
        new.repo.clone_from(&self.repo);
        new.data.clone_from(&self.data);
        (new.listen, new.metrics) = (self.listen, self.metrics);
        new.limits.connections = self.limits.connections;
        new.limits.workers = self.limits.workers;
        new.limits.device_timeout = self.limits.device_timeout;
        new.limits.body_mib = self.limits.body_mib;
        if new.tenants.any_budget() && new.data.is_none() {
            return Err(Error::Rule("the first budget needs a data directory, and that a restart"));
        }
        Ok((new, fixed))
    }
}

impl FileTls {
    /// The file's settings with the flags over them.
    fn over(self, args: &ServeArgs, client_auth: bool) -> Result<TlsSource, Error> {
        let pick = |flag: &Option<PathBuf>, file: Option<PathBuf>| flag.clone().or(file);
        let require_hybrid = args.require_hybrid || self.require_hybrid;
        let client_ca = pick(&args.client_ca, self.client_ca);
        let client_crls = if args.client_crl.is_empty() { self.client_crl } else { args.client_crl.clone() };
        if !client_auth && client_ca.is_some() {
            return Err(Error::Rule("a client CA and insecure-no-client-auth exclude each other"));
        }
        if client_ca.is_none() && !client_crls.is_empty() {
            return Err(Error::Rule(
                "a revocation list (client_crl) needs the client CA that signs it (client_ca)",
            ));
        }
        let (cert, key) = (pick(&args.tls_cert, self.cert), pick(&args.tls_key, self.key));
        match (cert, key, pick(&args.tls_self_signed, self.self_signed)) {
            (Some(_), Some(_), None) if client_ca.is_none() && client_auth => Err(Error::Rule(
                "name the CA of client certificates (--client-ca), or pass --insecure-no-client-auth",
            )),
            (Some(cert), Some(key), None) => {
                Ok(TlsSource::Files(TlsConfig { cert, key, client_ca, client_crls, require_hybrid }))
            }
            (None, None, Some(_)) if client_ca.is_some() => {
                Err(Error::Rule("self-signed certificates bring their own client CA"))
            }
            (None, None, Some(directory)) => {
                Ok(TlsSource::SelfSigned { directory, client_auth, require_hybrid })
            }
            _ => Err(Error::Rule(
                "name either a certificate and its key (--tls-cert, --tls-key) or --tls-self-signed DIR",
            )),
        }
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
        for path in &mut file.tls.client_crl {
            *path = base.join(&*path);
        }
        file.log.resolve(base);
        if let Some(joint) = &mut file.joint {
            joint.resolve(base);
        }
        Ok(file)
    }
}
