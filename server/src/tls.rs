//! TLS 1.3, and who the peer is: a tenant is the SHA-256 of a client certificate's public key, with a name where the
//! configuration gives one. The hybrid X25519MLKEM768 is preferred; X25519 is accepted unless the hybrid is required.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tiresias_keys::Digest;

use crate::{config::TlsConfig, repository::write_file};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path}: {rule}")]
    Pem {
        /// The file.
        path: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// rustls refused the certificates or keys.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The client CA cannot verify clients.
    #[error("the client CA file holds no usable certificate authority")]
    ClientCa,
    /// Certificates could not be made.
    #[error("self-signed certificates could not be made")]
    Generate(#[from] rcgen::Error),
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// SHA-256 of the client certificate's SubjectPublicKeyInfo; `None` without client authentication.
    key: Option<Digest>,
    name: Option<Arc<str>>,
}

impl Tenant {
    /// A name for logs: the configured one, else the first 16 digits of the key's hash, else `anonymous`.
    #[must_use]
    pub fn log_name(&self) -> String {
        match (&self.name, &self.key) {
            (Some(name), _) => name.to_string(),
            (None, Some(key)) => key.to_string()[..16].to_owned(),
            (None, None) => "anonymous".to_owned(),
        }
    }
}

/// The configured tenants. An empty list admits every certificate of the client CA.
#[derive(Debug, Default)]
pub struct Tenants(BTreeMap<Digest, Arc<str>>);

impl Tenants {
    /// From pairs of public key hash and name.
    pub fn new(tenants: impl IntoIterator<Item = (Digest, String)>) -> Self {
        Self(tenants.into_iter().map(|(key, name)| (key, name.into())).collect())
    }

    /// The tenant of a connection, from the peer's certificate chain. `None` where a list is configured and does not
    /// name the key, or where the certificate cannot be read.
    pub(crate) fn of_peer(&self, certificates: Option<&[CertificateDer<'_>]>) -> Option<Tenant> {
        let Some(certificate) = certificates.and_then(<[_]>::first) else {
            return self.0.is_empty().then_some(Tenant { key: None, name: None });
        };
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let key = Digest::of(&certificate.subject_public_key_info());
        let name = self.0.get(&key).cloned();
        (self.0.is_empty() || name.is_some()).then_some(Tenant { key: Some(key), name })
    }
}

/// Builds the server's TLS configuration from files.
pub fn server_config(config: &TlsConfig) -> Result<ServerConfig, Error> {
    let mut provider = aws_lc_rs::default_provider();
    if config.require_hybrid {
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    }
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(read_certificates(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|_| Error::ClientCa)?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&config.key)?).map_err(|_| Error::Pem {
        path: config.key.display().to_string(),
        rule: "not a PEM file with a private key",
    })?;
    let mut server = builder.with_single_cert(read_certificates(&config.cert)?, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let rule = |rule| Error::Pem { path: path.display().to_string(), rule };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(rule("not a PEM file with certificates")),
    }
}

/// Makes a CA, a server certificate for localhost and a client certificate in `directory`, where they are not there
/// yet: `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`, private keys 0600. For demos and
/// tests: the CA's own key is not kept.
pub fn ensure_self_signed(directory: &Path) -> Result<TlsConfig, Error> {
    let path = |name: &str| directory.join(name);
    let config = TlsConfig {
        cert: path("server.pem"),
        key: path("server-key.pem"),
        client_ca: Some(path("ca.pem")),
        require_hybrid: false,
    };
    const FILES: [&str; 5] = ["ca.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"];
    if FILES.iter().all(|name| path(name).exists()) {
        return Ok(config);
    }

    let named = |name: &str| {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters
    };
    let mut ca_parameters = named("Tiresias self-signed CA");
    ca_parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    ca_parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let ca_key = rcgen::KeyPair::generate()?;
    let ca = ca_parameters.self_signed(&ca_key)?;
    let issuer = rcgen::Issuer::new(ca_parameters, ca_key);

    let mut server_parameters = named("Tiresias gateway");
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    server_parameters.subject_alt_names = rcgen::CertificateParams::new(names)?.subject_alt_names;
    server_parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = rcgen::KeyPair::generate()?;
    let server = server_parameters.signed_by(&server_key, &issuer)?;

    let mut client_parameters = named("Tiresias clinic");
    client_parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client_key = rcgen::KeyPair::generate()?;
    let client = client_parameters.signed_by(&client_key, &issuer)?;

    let io = |source| Error::Io { path: directory.display().to_string(), source };
    fs::create_dir_all(directory).map_err(io)?;
    // What an interrupted first start left behind goes first: the five belong together.
    for name in FILES {
        let _ = fs::remove_file(path(name));
    }
    for (name, text, mode) in [
        ("server-key.pem", server_key.serialize_pem(), 0o600),
        ("client-key.pem", client_key.serialize_pem(), 0o600),
        ("server.pem", server.pem(), 0o644),
        ("client.pem", client.pem(), 0o644),
        ("ca.pem", ca.pem(), 0o644),
    ] {
        write_file(&path(name), text.as_bytes(), mode).map_err(io)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_signed_files_are_made_once_with_private_keys_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let config = ensure_self_signed(directory.path()).unwrap();
        server_config(&config).unwrap();
        let before = fs::read(&config.cert).unwrap();
        ensure_self_signed(directory.path()).unwrap();
        assert_eq!(fs::read(&config.cert).unwrap(), before);
        #[cfg(unix)]
        for name in ["server-key.pem", "client-key.pem"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn tenants_are_named_by_their_public_key() {
        let directory = tempfile::tempdir().unwrap();
        ensure_self_signed(directory.path()).unwrap();
        let client = read_certificates(&directory.path().join("client.pem")).unwrap();
        let open = Tenants::default();
        let tenant = open.of_peer(Some(&client)).unwrap();
        assert_eq!(open.of_peer(None).unwrap().log_name(), "anonymous");
        assert_eq!(tenant.log_name().len(), 16);

        let listed = Tenants::new([(tenant.key.unwrap(), "clinic-a".to_owned())]);
        assert_eq!(listed.of_peer(Some(&client)).unwrap().log_name(), "clinic-a");
        let server = read_certificates(&directory.path().join("server.pem")).unwrap();
        assert_eq!(listed.of_peer(Some(&server)), None);
        assert_eq!(listed.of_peer(None), None);
    }

    #[test]
    fn files_of_the_wrong_kind_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let good = ensure_self_signed(directory.path()).unwrap();
        for bad in [
            TlsConfig { cert: good.key.clone(), ..good.clone() },
            TlsConfig { key: good.cert.clone(), ..good.clone() },
            TlsConfig { client_ca: Some(good.key.clone()), ..good.clone() },
            TlsConfig { cert: directory.path().join("none.pem"), ..good.clone() },
            TlsConfig { key: directory.path().join("client-key.pem"), ..good },
        ] {
            assert!(server_config(&bad).is_err());
        }
    }
}
