//! The log's keys, in the text form of Go's `sumdb/note`: `PRIVATE+KEY+name+id+base64`, a key a line. The first one signs, and
//! so does the second while verifiers change over to the first.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use tiresias_evidence::{
    LogKey, NoteVerifier,
    note::secret::{self, Purpose},
};
use zeroize::Zeroizing;

use super::Error;

/// The file's name in the log's directory.
const FILE: &str = "key";

const MAXIMUM_BYTES: u64 = 4096;

const RULE: &str = "not a key file of this gateway's: one or two lines of PRIVATE+KEY+name+id+base64";

/// The keys that sign checkpoints.
pub(super) struct Keys {
    text: Zeroizing<String>,
    keys: Vec<LogKey>,
}

impl Keys {
    /// Reads the keys of a log. Makes one where there is none; it gets `origin` as its name, by default one of its own.
    pub(super) fn open(directory: &Path, origin: Option<&str>) -> Result<Self, Error> {
        let path = directory.join(FILE);
        if !path.try_exists().map_err(Error::io(&path))? {
            let text = draw(origin, &path)?;
            Self::from_text(text, &path)?.write(directory)?;
        }
        Self::read(directory)
    }

    /// Reads the keys of a log that has some.
    pub(super) fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        Self::from_text(read_own(&path)?, &path)
    }

    fn from_text(text: Zeroizing<String>, path: &Path) -> Result<Self, Error> {
        let refused = || Error::Key { path: path.to_owned(), rule: RULE };
        let keys: Vec<LogKey> = text
            .lines()
            .map(|line| secret::decode(Purpose::Sign, line))
            .collect::<Result<_, _>>()
            .map_err(|_| refused())?;
        let name = |key: &LogKey| key.verifier().name().to_owned();
        let is_pair = matches!(keys.as_slice(), [first, rest @ ..]
            if rest.len() <= 1 && rest.iter().all(|key| name(key) == name(first)));
        if is_pair { Ok(Self { text, keys }) } else { Err(refused()) }
    }

    /// The log's name.
    pub(super) fn origin(&self) -> String {
        self.verifiers().first().map(|key| key.name().to_owned()).unwrap_or_default()
    }

    /// What verifies: the newest key first.
    pub(super) fn verifiers(&self) -> Vec<NoteVerifier> {
        self.keys.iter().map(LogKey::verifier).collect()
    }

    /// A text as a note with the signatures of all keys.
    pub(super) fn sign(&self, text: &str) -> String {
        let mut note = String::new();
        for key in &self.keys {
            let signed = key.sign(text);
            // Behind the first note stand the signature lines of the others.
            note.push_str(if note.is_empty() {
                &signed
            } else {
                signed.get(text.len() + 1..).unwrap_or_default()
            });
        }
        note
    }

    /// Puts these keys in the place of the log's.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        write_own(&directory.join(FILE), self.text.as_bytes())
    }

    /// These keys with a new one, which signs beside the one there is. Refused while two sign.
    pub(super) fn rotated(&self, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        if self.keys.len() > 1 {
            return Err(Error::Key { path, rule: "two keys sign already: end that rotation with --finish" });
        }
        let new = draw(Some(&self.origin()), &path)?;
        Self::from_text(Zeroizing::new([new.as_str(), self.text.as_str()].concat()), &path)
    }

    /// These keys without the old one, which signs no more.
    pub(super) fn finished(&self, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let first = self.text.lines().next().filter(|_| self.keys.len() > 1);
        let Some(first) = first else {
            return Err(Error::Key { path, rule: "one key signs: there is no rotation to end" });
        };
        Self::from_text(Zeroizing::new(format!("{first}\n")), &path)
    }
}

/// The line of a fresh key, which gets `origin` as its name, by default one that no other has.
pub(crate) fn draw(origin: Option<&str>, path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| Error::Entropy)?;
    let refused = |_| Error::Key {
        path: path.to_owned(),
        rule: "the log's origin is at most 255 bytes without spaces and plus signs",
    };
    let name = match origin {
        Some(origin) => origin.to_owned(),
        None => {
            // A name that no other log has.
            let key = LogKey::from_seed("tiresias.local/log", &seed).map_err(refused)?;
            let verifier = key.verifier().to_string();
            format!("tiresias.local/{}", verifier.split('+').nth(1).unwrap_or_default())
        }
    };
    secret::encode(Purpose::Sign, &name, &seed).map_err(refused)
}

/// Reads the line of a key.
pub(crate) fn parse(line: &str) -> Option<LogKey> {
    secret::decode(Purpose::Sign, line).ok()
}

/// Reads a file that must be its user's alone.
pub(crate) fn read_own(path: &Path) -> Result<Zeroizing<String>, Error> {
    let io = Error::io(path);
    let file = File::open(path).map_err(&io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let refused = |rule| Err(Error::Key { path: path.to_owned(), rule });
        let found = file.metadata().map_err(&io)?;
        if found.mode() & 0o077 != 0 {
            return refused("other users can reach this secret: chmod 600 it");
        }
        // Whose file it is knows the key, or chose it.
        if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
            return refused("this secret belongs to another user");
        }
    }
    let mut text = Zeroizing::new(String::with_capacity(MAXIMUM_BYTES as usize + 1));
    file.take(MAXIMUM_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// Writes a file for its user alone, whole or not at all, and on the disk when this returns.
pub(crate) fn write_own(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = || -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_directory(parent)
    };
    written().map_err(Error::io(path))
}

/// Makes new names in a directory outlive a crash.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tiresias_evidence::note::Note;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let made = Keys::open(directory.path(), None).unwrap();
        let again = Keys::open(directory.path(), Some("other.example/log")).unwrap();
        assert_eq!(made.verifiers(), again.verifiers());
        assert!(made.origin().starts_with("tiresias.local/"));
        let elsewhere = tempfile::tempdir().unwrap();
        let named = Keys::open(elsewhere.path(), Some("gateway.example/log")).unwrap();
        assert_eq!(named.origin(), "gateway.example/log");
        assert_ne!(named.verifiers(), made.verifiers());
        let third = tempfile::tempdir().unwrap();
        for bad in ["", "a b", "a+b"] {
            assert!(matches!(Keys::open(third.path(), Some(bad)), Err(Error::Key { .. })), "{bad}");
        }
    }

    #[test]
    fn two_keys_sign_while_verifiers_change_over() {
        let directory = tempfile::tempdir().unwrap();
        let old = Keys::open(directory.path(), Some("gateway.example/log")).unwrap();
        assert!(old.finished(directory.path()).is_err());
        let both = old.rotated(directory.path()).unwrap();
        assert_eq!(Keys::read(directory.path()).unwrap().verifiers(), old.verifiers());
        both.write(directory.path()).unwrap();
        let both = Keys::read(directory.path()).unwrap();
        assert!(both.rotated(directory.path()).is_err());
        let [new_key, old_key] = both.verifiers().try_into().unwrap();
        assert_eq!(vec![old_key.clone()], old.verifiers());
        assert_eq!((new_key.name(), both.origin().as_str()), (old_key.name(), "gateway.example/log"));
        let text = "gateway.example/log\n5\nAAAA\n";
        let note = both.sign(text);
        let note = Note::parse(&note).unwrap();
        assert_eq!((note.text(), note.verify(&new_key), note.verify(&old_key)), (text, Ok(None), Ok(None)));
        let new = both.finished(directory.path()).unwrap();
        new.write(directory.path()).unwrap();
        assert_eq!(new.verifiers(), std::slice::from_ref(&new_key));
        assert_eq!(Keys::read(directory.path()).unwrap().verifiers(), [new_key]);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Keys::open(directory.path(), Some("a")).unwrap();
        let path = directory.path().join(FILE);
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            String::new(),
            "\n".into(),
            good.replace("KEY+a", "KEY+b"),
            good.replace("PRIVATE", "PUBLIC"),
            good.trim_end()[..good.len() - 3].to_owned(),
            good.repeat(3),
        ] {
            write_own(&path, bad.as_bytes()).unwrap();
            assert!(matches!(Keys::read(directory.path()), Err(Error::Key { .. })), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        Keys::open(directory.path(), None).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Keys::open(directory.path(), None).err().unwrap().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
