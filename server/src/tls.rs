//! TLS 1.3 from files: the server's certificate, and who may connect. The hybrid X25519MLKEM768 is preferred; X25519
//! is accepted unless the hybrid is required.
//!
//! Where revocation lists are given, every certificate of a client's chain below the root must be covered by one
//! that has not expired: a list that is missing or stale refuses, it never admits.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use rustls::{
    CertificateError, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject as _,
};

use crate::config::TlsConfig;

mod self_signed;

pub use self_signed::ensure_self_signed;
pub(crate) use self_signed::is_complete;

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
    /// rustls refused the certificate or its key.
    #[error("TLS: {path}: {source}")]
    Certificate {
        /// The certificate's file.
        path: String,
        /// What rustls says.
        source: rustls::Error,
    },
    /// rustls refused its settings.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The system has no certificate authorities.
    #[error("no certificate authority to know witnesses by: name one as witness_ca")]
    NoRoots,
    /// Certificates could not be made.
    #[error("self-signed certificates could not be made")]
    Generate(#[from] rcgen::Error),
}

/// What the files amount to.
#[derive(Debug, Clone)]
pub struct Tls {
    /// For new connections. Sessions of another `Tls` cannot be resumed with it.
    pub(crate) server: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the server's certificate expires, in seconds since 1970; 0 where that cannot be told.
    expiry: i64,
}

impl Tls {
    pub(crate) fn expiry(&self) -> i64 {
        self.expiry
    }

    /// The configuration of a server for new connections.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Whether a client with this chain would be let in now. A connection may be older than the files.
    pub(crate) fn admits(&self, certificates: &[CertificateDer<'_>]) -> bool {
        match (&self.verifier, certificates) {
            (None, _) => true,
            (Some(_), []) => false,
            (Some(verifier), [client, intermediates @ ..]) => {
                verifier.verify_client_cert(client, intermediates, UnixTime::now()).is_ok()
            }
        }
    }
}

/// Reads the files.
pub fn load(config: &TlsConfig) -> Result<Tls, Error> {
    let mut provider = aws_lc_rs::default_provider();
    if config.require_hybrid {
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    }
    let provider = Arc::new(provider);
    let verifier = match &config.client_ca {
        None => None,
        Some(ca) => Some(client_verifier(ca, &config.client_crls, Arc::clone(&provider))?),
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&config.key)?)
        .map_err(|_| pem(&config.key, "not a PEM file with a private key"))?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier.clone().unwrap_or_else(WebPkiClientVerifier::no_client_auth));
    let chain = read_certificates(&config.cert)?;
    let expiry = chain.first().map_or(0, expiry);
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|source| Error::Certificate { path: config.cert.display().to_string(), source })?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { server: Arc::new(server), verifier, expiry })
}

/// When a certificate expires, as the verifier tells who asks at the end of time: it looks at that before anything else.
fn expiry(certificate: &CertificateDer<'_>) -> i64 {
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::from(u32::MAX) << 8));
    let verified = webpki::EndEntityCert::try_from(certificate).map(|certificate| {
        let usage = webpki::KeyUsage::server_auth();
        certificate.verify_for_usage(&[], &[], &[], end, usage, None, None).map(drop)
    });
    match verified {
        Ok(Err(webpki::Error::CertExpired { not_after, .. })) => not_after.as_secs() as i64,
        _ => 0,
    }
}

fn client_verifier(
    ca: &Path,
    crls: &[impl AsRef<Path>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read_certificates(ca)?);
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    for path in crls {
        verifier = verifier.with_crls(read_crls(path.as_ref())?);
    }
    // The whole chain is checked and an unknown status refused, which are the defaults; so is a stale list.
    verifier
        .enforce_revocation_expiration()
        .build()
        .map_err(|_| pem(ca, "the client CA file holds no usable certificate authority"))
}

/// Why a handshake failed, for the log: the peer's fault in a word, nothing of its certificate.
pub(crate) fn failure(error: &io::Error) -> &'static str {
    let error = match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(error)) => error,
        Some(rustls::Error::InvalidCertRevocationList(_)) => {
            return "a revocation list is not signed by the client's authority";
        }
        _ => return "no TLS handshake that this gateway speaks",
    };
    match error {
        CertificateError::Revoked => "the client certificate is revoked",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the client certificate has expired"
        }
        CertificateError::UnknownIssuer => "the client certificate is of another authority",
        CertificateError::UnknownRevocationStatus => "no revocation list covers the client certificate",
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "a revocation list has expired: fetch the next one and reload"
        }
        _ => "the client certificate is not valid",
    }
}

pub(crate) fn pem(path: &Path, rule: &'static str) -> Error {
    Error::Pem { path: path.display().to_string(), rule }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
}

pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(pem(path, "not a PEM file with certificates")),
    }
}

fn read_crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let crls: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect();
    match crls {
        Ok(crls) if !crls.is_empty() => {
            if crls.iter().any(|crl| webpki::BorrowedCertRevocationList::from_der(crl).is_err()) {
                return Err(pem(path, "a revocation list in it is malformed or of an unknown kind"));
            }
            Ok(crls)
        }
        _ => Err(pem(path, "not a PEM file with certificate revocation lists")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_when_it_expires() {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 5, 6);
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(expiry(certificate.der()), 1_935_792_000);
        assert_eq!(expiry(&CertificateDer::from(vec![0x30, 0])), 0);
        let own = load(&ensure_self_signed(directory.path()).unwrap()).unwrap();
        assert!(own.expiry() > 1_935_792_000);
    }

    #[test]
    fn files_of_the_wrong_kind_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let good = ensure_self_signed(directory.path()).unwrap();
        let none = directory.path().join("none.pem");
        for (bad, named) in [
            (TlsConfig { cert: good.key.clone(), ..good.clone() }, &good.key),
            (TlsConfig { key: good.cert.clone(), ..good.clone() }, &good.cert),
            (TlsConfig { client_ca: Some(good.key.clone()), ..good.clone() }, &good.key),
            (TlsConfig { client_crls: vec![good.cert.clone()], ..good.clone() }, &good.cert),
            (TlsConfig { cert: none.clone(), ..good.clone() }, &none),
            (TlsConfig { key: directory.path().join("client-key.pem"), ..good.clone() }, &good.cert),
        ] {
            let error = load(&bad).unwrap_err().to_string();
            assert!(error.contains(named.to_str().unwrap()), "{error}");
        }
    }
}
