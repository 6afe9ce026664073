//! A certificate authority of the tests' own, in files as an operator keeps them, with lists of what it revoked.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tiresias_keys::Digest;

/// The settings that name the files of an authority in `tls`.
pub(crate) const TLS: &str =
    "[tls]\ncert = \"tls/server.pem\"\nkey = \"tls/server-key.pem\"\nclient_ca = \"tls/ca.pem\"\n";
/// The line for `[tls]` that names its revocation list.
pub(crate) const CRL: &str = "client_crl = [\"tls/crl.pem\"]\n";

pub(crate) struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate, which its clients show with theirs, where it is not the root.
    chain: String,
    list: &'static str,
    serials: BTreeMap<String, u64>,
    lists: Cell<u64>,
}

impl Authority {
    /// Makes `ca.pem` for an authority of the directory's name, a server certificate and one for each client, with their keys: `server.pem`, `NAME.pem`,
    /// `NAME-key.pem`.
    pub(crate) fn new(directory: &Path, clients: &[&str]) -> Self {
        fs::create_dir_all(directory).unwrap();
        let parameters = authority_parameters(directory.file_name().unwrap().to_str().unwrap());
        let key = KeyPair::generate().unwrap();
        fs::write(directory.join("ca.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(parameters, key);
        let mut authority = Self::of(directory, issuer, String::new(), "crl.pem");
        authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        for client in clients {
            authority.issue(client, ExtendedKeyUsagePurpose::ClientAuth);
        }
        authority
    }

    /// Makes an authority below this one. Its list is `sub-crl.pem`, and its certificate can be revoked as `name`.
    pub(crate) fn subordinate(&mut self, name: &str) -> Self {
        let mut parameters = authority_parameters(name);
        parameters.serial_number = Some(SerialNumber::from(self.next_serial(name)));
        let key = KeyPair::generate().unwrap();
        let chain = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Self::of(&self.directory, Issuer::new(parameters, key), chain, "sub-crl.pem")
    }

    fn of(directory: &Path, issuer: Issuer<'static, KeyPair>, chain: String, list: &'static str) -> Self {
        let (directory, serials, lists) = (directory.to_owned(), BTreeMap::new(), Cell::new(0));
        Self { directory, issuer, chain, list, serials, lists }
    }

    fn next_serial(&mut self, name: &str) -> u64 {
        let serial = self.serials.len() as u64 + 1000 * self.lists.get() + 1;
        self.serials.insert(name.to_owned(), serial);
        serial
    }

    /// Makes a certificate, in place of one that has the name already.
    pub(crate) fn issue(&mut self, name: &str, purpose: ExtendedKeyUsagePurpose) {
        self.issue_until(name, purpose, 4096);
    }

    /// The same for one that is good until a year begins.
    pub(crate) fn issue_until(&mut self, name: &str, purpose: ExtendedKeyUsagePurpose, year: i32) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![purpose];
        parameters.not_after = date_time_ymd(year, 1, 1);
        parameters.serial_number = Some(SerialNumber::from(self.next_serial(name)));
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(name), certificate.pem() + &self.chain).unwrap();
        fs::write(self.directory.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }

    /// Writes `crl.pem`, which revokes these and is good for a long time.
    pub(crate) fn revoke(&self, names: &[&str]) {
        self.write_list(names, 2100);
    }

    /// Writes a `crl.pem` that was good until some year.
    pub(crate) fn write_list(&self, names: &[&str], until: i32) {
        self.lists.set(self.lists.get() + 1);
        let revoked = |name: &&str| RevokedCertParams {
            serial_number: SerialNumber::from(self.serials[*name]),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(self.lists.get()),
            issuing_distribution_point: None,
            revoked_certs: names.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap();
        fs::write(self.directory.join(self.list), list.pem().unwrap()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pem"))
    }

    /// The lines that list a client as a tenant of its own name.
    pub(crate) fn tenant(&self, name: &str, more: &str) -> String {
        let hash = key_hash(&self.path(name));
        format!("[[tenants]]\nname = \"{name}\"\npublic_key_sha256 = \"{hash}\"\n{more}\n")
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

/// The hash of a certificate's public key, as an operator computes it.
pub(crate) fn key_hash(certificate: &Path) -> String {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = webpki::EndEntityCert::try_from(&certificate).unwrap().subject_public_key_info();
    Digest::of(&key).to_string()
}
