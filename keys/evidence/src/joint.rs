//! Who takes part in joint sums: a roster, the text that every clinic has, whose hash is in everything that they sign.

mod message;

use sha2::{Digest as _, Sha256};

use crate::{Error, Hash, NoteVerifier};

pub use message::{List, Message, Place, Signed, Step, chain};

const MAGIC: &str = "tiresias/joint-roster/v1";

/// The most bytes of a roster.
pub const MAXIMUM_ROSTER_BYTES: usize = 16 << 10;

const MOST: usize = 16;
const LEAST: usize = 3;

const RULE: Error = Error::Malformed {
    what: "roster",
    rule: "tiresias/joint-roster/v1, a line `name NAME`, and 3 to 16 lines `clinic KEY`, each of another name and key",
};

/// The clinics of joint sums, in order. All of them take part in each sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    name: String,
    clinics: Vec<NoteVerifier>,
}

impl Roster {
    /// A roster of this name, for a new text.
    pub fn new(name: &str, clinics: Vec<NoteVerifier>) -> Result<Self, Error> {
        let roster = Self { name: name.to_owned(), clinics };
        Self::parse(&roster.text())
    }

    /// Reads a roster. Only the canonical text is accepted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAXIMUM_ROSTER_BYTES {
            return Err(RULE);
        }
        let mut lines = text.lines().skip(1);
        let name = lines.next().and_then(|line| line.strip_prefix("name ")).ok_or(RULE)?.to_owned();
        let clinics: Vec<NoteVerifier> = lines
            .map(|line| NoteVerifier::parse(line.strip_prefix("clinic ").ok_or(RULE)?).map_err(|_| RULE))
            .collect::<Result<_, _>>()?;
        let is_name = !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain);
        let is_of_its_own = |(at, key): (usize, &NoteVerifier)| {
            let before = &clinics[..at];
            let is_new = before.iter().all(|other| other.name() != key.name() && !other.has_key_of(key));
            is_new && !key.is_cosigner() && key.name().len() <= 64 && key.name().chars().all(is_plain)
        };
        let are_clinics =
            (LEAST..=MOST).contains(&clinics.len()) && clinics.iter().enumerate().all(is_of_its_own);
        let roster = Self { name, clinics };
        // Another magic, order or spacing is another text.
        if is_name && are_clinics && roster.text() == text { Ok(roster) } else { Err(RULE) }
    }

    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> String {
        let clinics: String = self.clinics.iter().map(|clinic| format!("clinic {clinic}\n")).collect();
        format!("{MAGIC}\nname {}\n{clinics}", self.name)
    }

    /// SHA-256 of the text.
    #[must_use]
    pub fn id(&self) -> Hash {
        Sha256::digest(self.text()).into()
    }

    /// The roster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clinics' keys, in order.
    #[must_use]
    pub fn clinics(&self) -> &[NoteVerifier] {
        &self.clinics
    }

    /// The place of the clinic with this key.
    #[must_use]
    pub fn place_of(&self, key: &NoteVerifier) -> Option<usize> {
        self.clinics.iter().position(|clinic| clinic == key)
    }
}

/// Names go into paths, logs and terminals.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./".contains(c)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::LogKey;

    pub(crate) fn keys() -> Vec<LogKey> {
        let key = |at: u8| LogKey::from_seed(&format!("clinic-{at}.example"), &[at; 32]).unwrap();
        (1..=3).map(key).collect()
    }

    pub(crate) fn roster() -> Roster {
        Roster::new("study", keys().iter().map(LogKey::verifier).collect()).unwrap()
    }

    #[test]
    fn rosters_have_one_text_each() {
        let text = roster().text();
        assert_eq!(Roster::parse(&text), Ok(roster()));
        let line = text.lines().nth(2).unwrap().to_owned() + "\n";
        let cosigner = format!("clinic {}\n", keys()[0].cosignature_verifier());
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replace("name study", "name "),
            text.replace("name study", "name a b"),
            text.replace("name study", "name ../x\u{1b}"),
            text.replace(&line, ""),
            text.replace(&line, &cosigner),
            text.clone() + &line,
            text.clone() + "more\n",
            text.trim_end().to_owned(),
            text.replace('\n', "\r\n"),
        ] {
            assert!(Roster::parse(&bad).is_err(), "{bad}");
        }
        let twice = vec![keys()[0].verifier(); 3];
        assert!(Roster::new("study", twice).is_err());
        assert!(
            Roster::new(
                "study",
                (0..17)
                    .map(|at| LogKey::from_seed(&format!("c{at}"), &[at; 32]).unwrap().verifier())
                    .collect()
            )
            .is_err()
        );
    }

    #[test]
    fn clinics_are_found_by_their_whole_key() {
        let (roster, keys) = (roster(), keys());
        assert_eq!(roster.place_of(&keys[2].verifier()), Some(2));
        let namesake = LogKey::from_seed("clinic-3.example", &[9; 32]).unwrap();
        assert_eq!(roster.place_of(&namesake.verifier()), None);
    }
}
