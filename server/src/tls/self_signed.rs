//! Certificates made on first use, for demos and tests.

use std::{fs, path::Path};

use super::Error;
use crate::{config::TlsConfig, repository::write_file};

const FILES: [&str; 5] = ["ca.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"];

/// Whether [`ensure_self_signed`] would leave `directory` as it is.
pub(crate) fn is_complete(directory: &Path) -> bool {
    FILES.iter().all(|name| directory.join(name).exists())
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
        client_crls: Vec::new(),
        require_hybrid: false,
    };
    if is_complete(directory) {
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
    use crate::tls;

    #[test]
    fn self_signed_files_are_made_once_with_private_keys_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let config = ensure_self_signed(directory.path()).unwrap();
        tls::load(&config).unwrap();
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
}
