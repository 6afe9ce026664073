//! Who cosigns the checkpoints of the transparency log, and where they are asked.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use hyper::Uri;
use serde::Deserialize;
use tiresias_evidence::{NoteVerifier, witness};

use super::Error;

/// Each may take its time, and each answer is a line of the checkpoint.
const MAXIMUM_WITNESSES: usize = 16;

/// What the configuration says of witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    /// The witnesses.
    pub witnesses: Vec<WitnessAddress>,
    /// How many of them must have cosigned a checkpoint before it is published.
    pub quorum: usize,
    /// The time between two checkpoints that they are asked to cosign, at least.
    pub every: Duration,
    /// The authority of their certificates, PEM; the system's by default.
    pub ca: Option<PathBuf>,
}

impl WitnessPolicy {
    /// What verifies their cosignatures.
    #[must_use]
    pub fn keys(&self) -> Vec<NoteVerifier> {
        self.witnesses.iter().map(|witness| witness.key.clone()).collect()
    }
}

/// One witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAddress {
    /// Its host, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path that takes checkpoints.
    pub path: String,
    /// Whether it is asked over TLS.
    pub is_tls: bool,
    /// What verifies its cosignatures.
    pub key: NoteVerifier,
}

impl WitnessAddress {
    /// Host and port, as an HTTP header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// An entry of `[log] witnesses`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileWitness {
    url: String,
    key: String,
}

/// Checks the `witness...` settings of `[log]` together.
pub(super) fn check(
    witnesses: Vec<FileWitness>,
    every: Option<u64>,
    quorum: Option<usize>,
    ca: Option<PathBuf>,
) -> Result<Option<WitnessPolicy>, Error> {
    let count = witnesses.len();
    if count == 0 {
        return match every.is_none() && quorum.is_none() && ca.is_none() {
            true => Ok(None),
            false => Err(Error::Rule("log: witness_every, witness_quorum and witness_ca need witnesses")),
        };
    }
    if count > MAXIMUM_WITNESSES {
        return Err(Error::Rule("log: at most 16 witnesses"));
    }
    let witnesses: Vec<WitnessAddress> =
        witnesses.into_iter().map(FileWitness::check).collect::<Result<_, _>>()?;
    let is_twice = |at: usize| witnesses[..at].iter().any(|other| other.key == witnesses[at].key);
    if (0..count).any(is_twice) {
        return Err(Error::Rule("log: each witness stands once"));
    }
    // More than half, so that the log goes on while some of them do not answer.
    let quorum = quorum.unwrap_or(count / 2 + 1);
    if !(1..=count).contains(&quorum) {
        return Err(Error::Rule("log: witness_quorum 1 to the number of witnesses"));
    }
    let every = every.unwrap_or(10);
    if !(1..=3600).contains(&every) {
        return Err(Error::Rule("log: witness_every 1 to 3600 seconds"));
    }
    Ok(Some(WitnessPolicy { witnesses, quorum, every: Duration::from_secs(every), ca }))
}

impl FileWitness {
    fn check(self) -> Result<WitnessAddress, Error> {
        const URL: Error = Error::Rule(
            "log: a witness's url is https://HOST[:PORT][/PATH], or http:// on this machine, a loopback address",
        );
        let uri: Uri = self.url.parse().map_err(|_| URL)?;
        let host = uri.host().ok_or(URL)?.trim_matches(['[', ']']).to_owned();
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            // What is sent and answered is public and signed; but who is in between could keep the witness from the log unseen.
            Some("http") if is_loopback => false,
            _ => return Err(URL),
        };
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if uri.query().is_some() || has_user {
            return Err(URL);
        }
        let key = NoteVerifier::parse(&self.key).ok().filter(NoteVerifier::is_cosigner);
        Ok(WitnessAddress {
            host,
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: format!("{}{}", uri.path().trim_end_matches('/'), witness::PATH),
            is_tls,
            key: key.ok_or(Error::Rule(
                "log: a witness's key is name+id+base64 of a cosigning Ed25519 key, as the witness prints it",
            ))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::LogKey;

    use super::{super::log::FileLog, *};

    fn key(seed: u8) -> String {
        LogKey::from_seed("witness.example/w1", &[seed; 32]).unwrap().cosignature_verifier().to_string()
    }

    fn check(text: &str) -> Result<Option<WitnessPolicy>, Error> {
        Ok(toml::from_str::<FileLog>(text).unwrap().check(true)?.witnesses)
    }

    fn one(url: &str) -> Result<Option<WitnessPolicy>, Error> {
        check(&format!("witnesses = [{{ url = \"{url}\", key = \"{}\" }}]", key(1)))
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (url, authority, path, is_tls) in [
            ("https://witness.example", "witness.example:443", "/add-checkpoint", true),
            ("https://witness.example/", "witness.example:443", "/add-checkpoint", true),
            ("https://[::1]:8443/a/b/", "[::1]:8443", "/a/b/add-checkpoint", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "/add-checkpoint", false),
            ("http://localhost", "localhost:80", "/add-checkpoint", false),
            ("http://[::1]", "[::1]:80", "/add-checkpoint", false),
        ] {
            let policy = one(url).unwrap().unwrap();
            let found = &policy.witnesses[0];
            assert_eq!((&*found.authority(), &*found.path, found.is_tls), (authority, path, is_tls), "{url}");
            assert_eq!((policy.quorum, policy.every), (1, Duration::from_secs(10)));
        }
        for bad in [
            "",
            "witness.example",
            "http://witness.example",
            "http://10.0.0.1",
            "ftp://witness.example",
            "https://witness.example/?a=b",
            "https://user@witness.example",
            "/add-checkpoint",
        ] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let entry = |seed| format!("{{ url = \"https://witness.example\", key = \"{}\" }}", key(seed));
        let list = |seeds: &[u8]| {
            let entries: Vec<String> = seeds.iter().map(|&seed| entry(seed)).collect();
            format!("witnesses = [{}]\n", entries.join(", "))
        };
        assert_eq!(check("").unwrap(), None);
        let of = |count: u8| check(&list(&(0..count).collect::<Vec<_>>())).unwrap().unwrap().quorum;
        assert_eq!([1, 2, 3, 16].map(of), [1, 2, 2, 9]);
        let note_key = LogKey::from_seed("witness.example/w1", &[1; 32]).unwrap().verifier();
        for bad in [
            "witness_every = 10".to_owned(),
            "witness_quorum = 1".to_owned(),
            "witness_ca = \"ca.pem\"".to_owned(),
            list(&[1, 2, 1]),
            list(&(0..17).collect::<Vec<_>>()),
            list(&[1, 2]) + "witness_quorum = 3",
            list(&[1, 2]) + "witness_quorum = 0",
            list(&[1]) + "witness_every = 0",
            list(&[1]) + "witness_every = 3601",
            format!("witnesses = [{{ url = \"https://witness.example\", key = \"{note_key}\" }}]"),
            "witnesses = [{ url = \"https://witness.example\", key = \"x\" }]".to_owned(),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
