//! All of a record, opened and checked: cases with the decisions about them.

use std::collections::BTreeMap;

use rusqlite::Transaction;

use crate::{
    Case, Decision, Error, Key, Reason, Store, Verdict,
    row::{self, Place, Row},
    store::{self, Hash},
};

/// A record that was opened.
#[derive(Debug)]
pub struct Book {
    key: Key,
    entries: BTreeMap<u64, Entry>,
    /// The hash of each row, from the first.
    hashes: Vec<Hash>,
    root: Hash,
}

/// A case and what was decided about it, the last decision last.
#[derive(Debug)]
pub struct Entry {
    case: Box<Case>,
    decisions: Vec<Decision>,
}

impl Entry {
    /// The case.
    #[must_use]
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// All decisions.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The decision that counts.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decisions.last()
    }

    /// Why a human is asked; nothing once one has decided.
    #[must_use]
    pub fn open_reasons(&self, low_margin: f64) -> Vec<Reason> {
        if self.decisions.is_empty() { self.case.reasons(low_margin) } else { Vec::new() }
    }

    /// Whether scores and margin are kept from view: there is no result, and no human has decided yet. As in reports, a number of
    /// what is no result would be read as one, and would weigh on the decision that is asked for.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.decisions.is_empty() && self.case.is_withheld()
    }

    /// The label that holds: the human's, or the model's result where no one has decided.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        match self.decision() {
            Some(decision) => Some(decision.label(&self.case)),
            None => self.case.result(),
        }
    }
}

impl Book {
    /// Opens and checks all rows.
    pub fn read(store: &mut Store, key: Key) -> Result<Self, Error> {
        if key.recipient().to_string() != store.recipient().to_string() {
            return Err(Error::OtherKey);
        }
        let root = store::root(store.recipient());
        let mut book = Self { key, entries: BTreeMap::new(), hashes: Vec::new(), root };
        book.refresh(store)?;
        Ok(book)
    }

    /// Opens and checks the rows that came since. Those that were read before must still end with the same hash.
    pub fn refresh(&mut self, store: &mut Store) -> Result<(), Error> {
        self.extend(&store.view()?)
    }

    /// Adds a decision about a case. One that was decided before must be meant to be decided `again`.
    pub fn decide(
        &mut self,
        store: &mut Store,
        case: u64,
        again: bool,
        decide: impl FnOnce(&Case) -> Result<Decision, Error>,
    ) -> Result<u64, Error> {
        let recipient = store.recipient().clone();
        let transaction = store.begin()?;
        self.extend(&transaction)?;
        let entry = self.entry(case)?;
        if !entry.decisions.is_empty() && !again {
            return Err(Error::Decided(case));
        }
        let decision = decide(&entry.case)?;
        let place = Place { row: self.rows() + 1, before: *self.head() };
        let sealed = recipient.seal(&row::of_decision(&decision, &self.key, place)?)?;
        let hash = store::append(&transaction, place.row, &place.before, &sealed)?;
        transaction.commit()?;
        self.hashes.push(hash);
        self.take(place.row, Row::Decision(decision))?;
        Ok(place.row)
    }

    /// Accepts or overrides, as [`Book::decide`] does.
    pub fn record(
        &mut self,
        store: &mut Store,
        (case, again): (u64, bool),
        verdict: Verdict,
        (by, reason, at): (&str, &str, u64),
    ) -> Result<u64, Error> {
        self.decide(store, case, again, |found| Decision::new((case, found), verdict, by, reason, at))
    }

    /// Cases by their numbers.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(number, entry)| (*number, entry))
    }

    /// One case.
    pub fn entry(&self, number: u64) -> Result<&Entry, Error> {
        self.entries.get(&number).ok_or(Error::NoCase(number))
    }

    /// How many rows there are, cases and decisions.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The hash of the last row, and so of all: whoever keeps it will see whether a row of these is changed or gone.
    #[must_use]
    pub fn head(&self) -> &Hash {
        self.hashes.last().unwrap_or(&self.root)
    }

    /// The row that had this hash when it was the head; 0 where the record was empty.
    pub fn find_head(&self, head: &Hash) -> Result<u64, Error> {
        if *head == self.root {
            return Ok(0);
        }
        let row = self.hashes.iter().position(|hash| hash == head).ok_or(Error::OtherHead)?;
        Ok(row as u64 + 1)
    }

    /// The hash of a row.
    #[must_use]
    pub fn hash(&self, row: u64) -> Option<&Hash> {
        self.hashes.get(usize::try_from(row.checked_sub(1)?).ok()?)
    }

    fn extend(&mut self, at: &Transaction<'_>) -> Result<(), Error> {
        let known = self.rows();
        let mut seen = 0;
        store::each_from(at, known.max(1), |row, sealed, hash| {
            seen = row;
            if row == known {
                return if hash == self.head() { Ok(()) } else { Err(Error::Damaged(row)) };
            }
            let before = *self.head();
            let sealed = sealed.ok_or(Error::Damaged(row))?;
            let chained = store::chain(&before, row, sealed);
            if hash != chained {
                return Err(Error::Damaged(row));
            }
            let plain = self.key.open(sealed).ok_or(Error::Damaged(row))?;
            let read = row::read(&plain, &self.key, Place { row, before })?;
            self.take(row, read)?;
            self.hashes.push(chained);
            Ok(())
        })?;
        if seen < known { Err(Error::Damaged(known)) } else { Ok(()) }
    }

    fn take(&mut self, row: u64, read: Row) -> Result<(), Error> {
        match read {
            Row::Case(case) => {
                self.entries.insert(row, Entry { case, decisions: Vec::new() });
            }
            Row::Decision(decision) => {
                let entry = self.entries.get_mut(&decision.case()).ok_or(Error::Damaged(row))?;
                entry.decisions.push(decision);
            }
        }
        Ok(())
    }
}
