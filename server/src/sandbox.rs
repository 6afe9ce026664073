//! Landlock: once its configuration is read, the gateway gives up, for good, every file and every connection that it has no
//! use for. Whoever takes the process over can then read its models and certificates, write its data, and nothing else.
//!
//! It is the kernel that refuses, from Linux 5.13 on (files) and 6.7 on (TCP), whatever user the gateway runs as. A thread
//! that is already there stays free, so this comes before the first one is started.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    config::{Config, TlsSource},
    device::DeviceChoice,
};

#[cfg(target_os = "linux")]
mod landlock;

/// `sandbox`: what becomes of a gateway that the kernel cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxPolicy {
    /// It starts, and says so.
    #[default]
    Auto,
    /// It does not start.
    Required,
    /// It is not to be held.
    Off,
}

/// Why a gateway that must be held is not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Landlock here.
    #[error(
        "sandbox: {0}, and the configuration requires it: use Linux 5.13 or newer with landlock, or say sandbox = \"auto\""
    )]
    Unavailable(&'static str),
    /// A directory of the gateway's own could not be made.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "no_sandbox",
            Self::Io { .. } => "io",
        }
    }
}

/// What a gateway of some configuration needs from here on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// Files, and directories whose files it reads. With a certificate's directory rather than its file, a new file of the same name is read too.
    read: Vec<PathBuf>,
    /// Directories whose files it reads, writes, makes and removes.
    write: Vec<PathBuf>,
    /// Ports that it listens on.
    listen: Vec<u16>,
    /// Whether it opens connections, to witnesses.
    connect: bool,
}

impl Needs {
    fn of(config: &Config) -> Self {
        let mut needs = Self { listen: vec![config.listen.port()], ..Self::default() };
        needs.listen.extend(config.metrics.map(|address| address.port()));
        needs.read.push(config.repo.clone());
        // Receipts name the hash of the program.
        needs.read.extend(std::env::current_exe().ok());
        match &config.tls {
            TlsSource::SelfSigned { directory, .. } => needs.write.push(directory.clone()),
            TlsSource::Files(files) => {
                let files =
                    [&files.cert, &files.key].into_iter().chain(&files.client_ca).chain(&files.client_crls);
                needs.read_beside(files);
            }
        }
        needs.read_beside(config.file());
        needs.read_beside(config.joint.iter().flat_map(|joint| &joint.rosters));
        // Without a data directory, evaluation keys go with the process.
        needs.write.push(config.data.clone().unwrap_or_else(std::env::temp_dir));
        if let Some(witnesses) = &config.log.witnesses {
            needs.connect = true;
            needs.read_beside(&witnesses.ca);
            // Names of hosts, and the system's authorities.
            needs.read.extend(["/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve"].map(PathBuf::from));
        }
        needs
    }

    /// The directories of these files, where they are named and where links lead.
    fn read_beside<'a>(&mut self, files: impl IntoIterator<Item = &'a PathBuf>) {
        for file in files {
            let real = file.canonicalize().ok();
            for file in std::iter::once(file.as_path()).chain(real.as_deref()) {
                let parent = match file.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                if !self.read.iter().any(|known| known == parent) {
                    self.read.push(parent.to_owned());
                }
            }
        }
    }
}

/// Gives up what the gateway of this configuration does not need. To be called while the process has one thread.
pub fn enter(config: &Config) -> Result<(), Error> {
    let held = match (config.sandbox, config.device) {
        (SandboxPolicy::Off, _) => Err("it is switched off"),
        // Its worker is started again when it fails, and needs the driver's files.
        (_, DeviceChoice::Cuda(_) | DeviceChoice::CpuWorker) => {
            Err("a device's worker needs more than it leaves")
        }
        (_, DeviceChoice::Auto) if cfg!(feature = "gpu") => {
            Err("a device's worker needs more than it leaves")
        }
        (_, DeviceChoice::Auto | DeviceChoice::Cpu) => {
            let needs = Needs::of(config);
            for path in &needs.write {
                std::fs::create_dir_all(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            }
            hold(&needs)
        }
    };
    match (held, config.sandbox) {
        (Ok(how), _) => tracing::info!(how, "landlock holds the gateway"),
        (Err(why), SandboxPolicy::Required) => return Err(Error::Unavailable(why)),
        (Err(why), SandboxPolicy::Auto) => tracing::warn!(why, "landlock does not hold the gateway"),
        (Err(_), SandboxPolicy::Off) => {}
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn hold(needs: &Needs) -> Result<&'static str, &'static str> {
    landlock::hold(needs)
}

#[cfg(not(target_os = "linux"))]
fn hold(_: &Needs) -> Result<&'static str, &'static str> {
    Err("this system has no landlock")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn needs(flags: &[&str]) -> Needs {
        let flags = [&["tiresias-gateway", "serve", "--repo", "models"], flags].concat();
        let Command::Serve(args) = Cli::try_parse_from(flags).unwrap().command else {
            panic!("it says serve")
        };
        Needs::of(&Config::from_args(args).unwrap())
    }

    fn program() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    fn a_gateway_writes_its_data_reads_its_models_and_certificates_and_listens_twice() {
        let flags = ["--listen", "127.0.0.1:8443", "--metrics", "127.0.0.1:9090", "--data", "data"];
        let certificates = ["--tls-cert", "tls/c.pem", "--tls-key", "k.pem", "--client-ca", "tls/ca.pem"];
        let needs = needs(&[&flags[..], &certificates].concat());
        assert_eq!(needs.read, [PathBuf::from("models"), program(), "tls".into(), ".".into()]);
        assert_eq!(needs.write, [PathBuf::from("data")]);
        assert_eq!((needs.listen.as_slice(), needs.connect), (&[8443, 9090][..], false));
    }

    #[test]
    fn certificates_that_are_made_are_written_and_without_data_keys_are_temporary() {
        let needs = needs(&["--listen", "127.0.0.1:0", "--tls-self-signed", "trial"]);
        assert_eq!(needs.read, [PathBuf::from("models"), program()]);
        assert_eq!(needs.write, [PathBuf::from("trial"), std::env::temp_dir()]);
    }

    #[cfg(unix)]
    #[test]
    fn where_a_certificate_is_a_link_the_place_that_it_leads_to_is_read_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().canonicalize().unwrap().join(name);
        for name in ["live", "archive"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("archive/cert1.pem"), "").unwrap();
        std::os::unix::fs::symlink("../archive/cert1.pem", path("live/cert.pem")).unwrap();
        let mut needs = Needs::default();
        needs.read_beside(&[path("live/cert.pem")]);
        assert_eq!(needs.read, [path("live"), path("archive")]);
    }
}
