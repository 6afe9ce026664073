//! The file of a long-lived key, and its evaluation key beside it.
//!
//! Layout: `TRSL`, version 1 as one byte, three zero bytes; the name of the parameter set, 32 bytes padded with zeros;
//! the id of the evaluation key (32 bytes); the key as [`LongLivedKey::export`] writes it; SHA-256 of all before. Under a
//! passphrase all of it is one age file. The mode is 0600, and other modes are refused.
//!
//! `FILE.evaluation-key` is the evaluation key's frame, public, as it was uploaded: a gateway that lost it is sent the
//! same bytes under the same id. Without it another one can be made from the secret key, under another id. It is kept
//! rather than made again from seeds, because the same masks and noise around other bits would tell secrets, and a
//! later version of this program could do that unawares.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use age::secrecy::SecretString;
use tiresias_keys::{BootstrapParameters, Digest, EvaluationKey, KeyId};
use tiresias_secret_key::LongLivedKey;
use zeroize::Zeroizing;

use crate::{
    Error,
    files::{self, Readers},
    sealed,
};

const HEADER: &[u8; 8] = b"TRSL\x01\0\0\0";
const NAME_LEN: usize = 32;

/// Longer than any key of any set, under a passphrase too.
const MAXIMUM_BYTES: u64 = 64 << 10;

const DAMAGED: &str = "the key file is damaged or of another version";

/// How a key file is protected.
#[derive(Debug, Clone)]
pub enum Protection {
    /// By a passphrase, and its mode.
    Passphrase(SecretString),
    /// By its mode alone.
    FileMode,
}

/// A long-lived key that lies in its file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    protection: Protection,
    key: LongLivedKey,
    id: KeyId,
}

/// The frame of an evaluation key.
#[derive(Debug)]
pub struct Frame {
    /// What is uploaded; its SHA-256 is the key's id.
    pub bytes: Vec<u8>,
    /// Whether the one before was missing or damaged, so that this one was made now, under an id of its own.
    pub is_new: bool,
}

impl KeyFile {
    /// Makes a key and its evaluation key, and stores both durably, the secret first. Neither file may exist.
    pub fn create(
        path: &Path,
        parameters: &'static BootstrapParameters,
        protection: Protection,
    ) -> Result<(Self, Frame), Error> {
        let beside = evaluation_key_path(path);
        if let Some(path) = [path, &beside].into_iter().find(|path| exists(path)) {
            return Err(Error::OutputExists { path: path.to_owned() });
        }
        let key = LongLivedKey::generate(parameters)?;
        let bytes = key.evaluation_key()?.to_bytes();
        let id = KeyId::of_evaluation_key(&bytes);
        let made = Self { path: path.to_owned(), protection, key, id };
        made.write(&id, false)?;
        files::write_whole(&beside, &bytes, Readers::All, false)?;
        Ok((made, Frame { bytes, is_new: false }))
    }

    /// Opens a key file; `passphrase` is called where it is protected by one.
    pub fn open(
        path: &Path,
        passphrase: impl FnOnce() -> Result<SecretString, Error>,
    ) -> Result<Self, Error> {
        let file = files::open_own_to_read(path)?;
        if let Some(reason) = files::exposure(&file).map_err(files::at(path))? {
            return Err(fault(path, reason));
        }
        let mut bytes = files::read_secret(&file, path, MAXIMUM_BYTES)?;
        let mut protection = Protection::FileMode;
        if sealed::is_sealed(&bytes) {
            let passphrase = passphrase()?;
            bytes = sealed::open(&bytes, passphrase.clone(), || fault(path, DAMAGED))?;
            protection = Protection::Passphrase(passphrase);
        }
        let (key, id) = decode(&bytes).map_err(|reason| fault(path, reason))?;
        Ok(Self { path: path.to_owned(), protection, key, id })
    }

    /// The secret key.
    #[must_use]
    pub fn key(&self) -> &LongLivedKey {
        &self.key
    }

    /// The id under which gateways know its evaluation key.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Whether a passphrase protects the file.
    #[must_use]
    pub fn has_passphrase(&self) -> bool {
        matches!(self.protection, Protection::Passphrase(_))
    }

    /// The evaluation key that lies beside the file. Where it is missing or damaged, another one is made and stored, and
    /// the id changes.
    pub fn evaluation_key(&mut self) -> Result<Frame, Error> {
        let path = evaluation_key_path(&self.path);
        let length = EvaluationKey::encoded_len(self.key.parameters()) as u64;
        match files::read(&path, length) {
            Ok(bytes) if KeyId::of_evaluation_key(&bytes) == self.id => {
                return Ok(Frame { bytes, is_new: false });
            }
            Ok(_) | Err(Error::TooLarge { .. }) => {}
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let bytes = self.key.evaluation_key()?.to_bytes();
        let id = KeyId::of_evaluation_key(&bytes);
        self.write(&id, true)?;
        self.id = id;
        files::write_whole(&path, &bytes, Readers::All, true)?;
        Ok(Frame { bytes, is_new: true })
    }

    fn write(&self, id: &KeyId, replace: bool) -> Result<(), Error> {
        let mut bytes = encode(&self.key, id);
        if let Protection::Passphrase(passphrase) = &self.protection {
            bytes = Zeroizing::new(sealed::seal(&bytes, passphrase.clone())?);
        }
        files::write_whole(&self.path, &bytes, Readers::Owner, replace)
    }
}

/// Where the evaluation key of a key file lies.
#[must_use]
pub fn evaluation_key_path(path: &Path) -> PathBuf {
    let mut beside = OsString::from(path);
    beside.push(".evaluation-key");
    beside.into()
}

/// Whether there is something of this name, be it a link that leads nowhere.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn fault(path: &Path, reason: &'static str) -> Error {
    Error::KeyFile { path: path.to_owned(), reason }
}

fn encode(key: &LongLivedKey, id: &KeyId) -> Zeroizing<Vec<u8>> {
    let (name, bits) = (key.parameters().name().as_bytes(), key.export());
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER.len() + NAME_LEN + 32 + bits.len() + 32));
    bytes.extend_from_slice(HEADER);
    bytes.extend_from_slice(name);
    bytes.resize(HEADER.len() + NAME_LEN, 0);
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&bits);
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<(LongLivedKey, KeyId), &'static str> {
    let (content, digest) = bytes.split_last_chunk::<32>().ok_or(DAMAGED)?;
    let rest = content.strip_prefix(HEADER).ok_or(DAMAGED)?;
    if Digest::of(content).as_bytes() != digest {
        return Err(DAMAGED);
    }
    let (name, rest) = rest.split_first_chunk::<NAME_LEN>().ok_or(DAMAGED)?;
    let (id, bits) = rest.split_first_chunk::<32>().ok_or(DAMAGED)?;
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN);
    let (name, padding) = name.split_at(length);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(DAMAGED);
    }
    let parameters = std::str::from_utf8(name).ok().and_then(|name| BootstrapParameters::by_name(name).ok());
    let parameters = parameters.ok_or("the key is of a parameter set that this program does not have")?;
    let key = LongLivedKey::import(parameters, bits).map_err(|_| DAMAGED)?;
    Ok((key, KeyId::from_bytes(*id)))
}

#[cfg(test)]
mod tests {
    use tiresias_keys::bootstrap_parameters::{N918_N2048_Q50, N918_N2048_Q50_L2};

    use super::*;

    fn passphrase(text: &'static str) -> impl FnOnce() -> Result<SecretString, Error> {
        move || Ok(SecretString::from(text))
    }

    fn no_passphrase() -> Result<SecretString, Error> {
        Err(Error::Passphrase("asked for one where none is needed"))
    }

    fn reason(error: &Error) -> &'static str {
        match error {
            Error::KeyFile { reason, .. } => reason,
            other => unreachable!("{other}"),
        }
    }

    /// A key file and the path of its evaluation key.
    fn made(directory: &Path, protection: Protection) -> (KeyFile, Frame, PathBuf) {
        let path = directory.join("clinic.key");
        let (file, frame) = KeyFile::create(&path, &N918_N2048_Q50, protection).unwrap();
        assert!(!frame.is_new);
        assert_eq!(*file.id(), KeyId::of_evaluation_key(&frame.bytes));
        (file, frame, evaluation_key_path(&path))
    }

    #[test]
    fn a_key_survives_its_file_and_only_the_passphrase_opens_it() {
        let directory = tempfile::tempdir().unwrap();
        let protection = Protection::Passphrase(SecretString::from("right"));
        let (file, frame, beside) = made(directory.path(), protection);
        let sealed = fs::read(&file.path).unwrap();
        assert!(sealed::is_sealed(&sealed));
        assert!(!sealed.windows(4).any(|bytes| bytes == b"TRSL" || bytes == b"N918"));
        assert_eq!(fs::read(&beside).unwrap(), frame.bytes);

        assert!(matches!(KeyFile::open(&file.path, passphrase("Right")), Err(Error::WrongPassphrase)));
        let mut opened = KeyFile::open(&file.path, passphrase("right")).unwrap();
        assert!(opened.has_passphrase() && !format!("{opened:?}").contains("right"));
        assert_eq!(opened.key().export(), file.key().export());
        assert_eq!((opened.key().parameters(), opened.id()), (&N918_N2048_Q50, file.id()));
        let again = opened.evaluation_key().unwrap();
        assert!(again.bytes == frame.bytes && !again.is_new);

        // A lost evaluation key makes a new one of the same secret, still under the passphrase.
        fs::remove_file(&beside).unwrap();
        let other = opened.evaluation_key().unwrap();
        assert!(other.is_new && other.bytes != frame.bytes);
        assert_ne!(opened.id(), file.id());
        let mut reopened = KeyFile::open(&file.path, passphrase("right")).unwrap();
        assert_eq!((reopened.id(), reopened.key().export()), (opened.id(), file.key().export()));
        assert!(!reopened.evaluation_key().unwrap().is_new);
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "no temporary file is left: {names:?}");
    }

    #[test]
    fn a_damaged_evaluation_key_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, frame, beside) = made(directory.path(), Protection::FileMode);
        let mut flipped = frame.bytes.clone();
        flipped[1000] ^= 1;
        let longer = [frame.bytes.as_slice(), &[0]].concat();
        for damaged in [flipped.as_slice(), &frame.bytes[..1000], &[], &longer] {
            fs::write(&beside, damaged).unwrap();
            let before = *file.id();
            let made = file.evaluation_key().unwrap();
            assert!(made.is_new && *file.id() != before);
            EvaluationKey::from_bytes(&made.bytes, &N918_N2048_Q50).unwrap();
            assert!(fs::read(&beside).unwrap() == made.bytes);
        }
        assert_eq!(KeyFile::open(&file.path, no_passphrase).unwrap().id(), file.id());
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (file, ..) = made(directory.path(), Protection::FileMode);
        let good = fs::read(&file.path).unwrap();
        assert_eq!(good.len(), 8 + 32 + 32 + 256 + 115 + 32);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(decode(&bad).unwrap_err(), DAMAGED, "byte {at}");
            assert!(decode(&good[..at]).is_err());
        }
        assert!(decode(&[good.as_slice(), &[0]].concat()).is_err());
        fs::write(&file.path, &good[1..]).unwrap();
        assert_eq!(reason(&KeyFile::open(&file.path, no_passphrase).unwrap_err()), DAMAGED);
        assert!(fs::read(&file.path).unwrap() == good[1..]);

        // Whole by its digest, but not of this program.
        let with = |at: usize, bytes: &[u8]| {
            let mut content = good[..good.len() - 32].to_vec();
            content[at..at + bytes.len()].copy_from_slice(bytes);
            let digest = Digest::of(&content);
            [content.as_slice(), digest.as_bytes()].concat()
        };
        assert!(decode(&with(0, b"TRSL\x01")).is_ok());
        assert_eq!(decode(&with(4, &[2])).unwrap_err(), DAMAGED);
        assert_eq!(decode(&with(71 - 32, b"x")).unwrap_err(), DAMAGED, "padding of the name");
        assert!(decode(&with(8, b"M918")).unwrap_err().contains("parameter set"));
        assert!(decode(&with(8, b"INSECURE_N64_N256_Q50\0")).unwrap_err().contains("parameter set"));
        let (name, other) = (N918_N2048_Q50.name(), N918_N2048_Q50_L2.name());
        assert!(good[8..].starts_with(name.as_bytes()));
        assert_eq!(decode(&with(8, other.as_bytes())).unwrap().0.parameters(), &N918_N2048_Q50_L2);
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let (file, _, beside) = made(directory.path(), Protection::FileMode);
        let (path, good) = (file.path.clone(), fs::read(&file.path).unwrap());
        let create = || KeyFile::create(&path, &N918_N2048_Q50, Protection::FileMode);
        assert!(matches!(create(), Err(Error::OutputExists { path: found }) if found == path));
        assert!(matches!(file.write(file.id(), false), Err(Error::OutputExists { .. })));
        assert!(fs::read(&path).unwrap() == good);
        fs::remove_file(&path).unwrap();
        assert!(matches!(create(), Err(Error::OutputExists { path: found }) if found == beside));
        assert!(!exists(&path));
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_its_owners_alone() {
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

        let directory = tempfile::tempdir().unwrap();
        let (file, _, beside) = made(directory.path(), Protection::FileMode);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.path), mode(&beside) & 0o700), (0o600, 0o600));
        for shared in [0o640, 0o604, 0o620, 0o660] {
            fs::set_permissions(&file.path, fs::Permissions::from_mode(shared)).unwrap();
            let error = KeyFile::open(&file.path, no_passphrase).unwrap_err();
            assert!(reason(&error).contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o400)).unwrap();
        KeyFile::open(&file.path, no_passphrase).unwrap();

        // Only root can give a file away.
        if chown(&file.path, Some(65_534), None).is_ok() {
            let error = KeyFile::open(&file.path, no_passphrase).unwrap_err();
            assert!(reason(&error).contains("another user"), "{error}");
        }

        let link = directory.path().join("link");
        symlink(&file.path, &link).unwrap();
        assert!(matches!(KeyFile::open(&link, no_passphrase), Err(Error::NotRegular { .. })));
        assert!(matches!(
            KeyFile::create(&link, &N918_N2048_Q50, Protection::FileMode),
            Err(Error::OutputExists { .. })
        ));
    }
}
