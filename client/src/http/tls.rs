//! TLS 1.3 with client certificates, and what its failures mean.

use std::{error::Error as StdError, fs::File, io, path::Path, sync::Arc};

use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{Error, cli::GatewayArgs, files};

/// Certificates and keys are smaller; bundles of authorities are larger.
const MAXIMUM_PEM_BYTES: u64 = 16 << 20;

/// The settings for every connection to a gateway.
pub(crate) fn config(args: &GatewayArgs) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match &args.ca {
        Some(path) => {
            roots.add_parsable_certificates(read_certificates(path)?);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Error::Tls("no certificate authority to verify the gateway with: pass --ca FILE"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| Error::Tls("TLS 1.3 is not available"))?
        .with_root_certificates(roots);
    let mut config = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => {
            let file = File::open(key).map_err(files::at(key))?;
            let key = files::read_secret(&file, key, MAXIMUM_PEM_BYTES)?;
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|_| Error::Tls("--key is not a PEM file with a private key"))?;
            builder
                .with_client_auth_cert(read_certificates(cert)?, key)
                .map_err(|_| Error::Tls("--cert and --key do not belong together"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(Error::Usage("--cert and --key go together")),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = files::read(path, MAXIMUM_PEM_BYTES)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::Tls("a certificate file is not PEM")),
    }
}

/// What TLS itself objected to, where a failure comes from it: another attempt would meet the same objection. `None`
/// where the connection broke.
pub(super) fn objection(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(explain(error));
        }
        // An io::Error holds its cause, but names the cause of its cause as source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(explain(error));
        }
        next = error.source();
    }
    None
}

fn explain(error: &rustls::Error) -> String {
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            format!("{error}; name the authority of its certificate with --ca")
        }
        rustls::Error::AlertReceived(Alert::CertificateRequired) => {
            "the gateway asks for a client certificate: pass --cert and --key".into()
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError),
        ) => format!("the gateway does not accept this clinic's certificate ({alert:?}): ask its operator"),
        error => error.to_string(),
    }
}
