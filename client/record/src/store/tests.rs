//! What a record withstands: writers at once, and all that can be done to its file.

use std::{fs, path::PathBuf, thread};

use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;
use crate::{
    Book, Key, Verdict,
    case::tests::{case, column, far_out},
    decision::tests::to,
    export, rates,
};

struct Folder {
    directory: TempDir,
    key: Vec<u8>,
}

impl Folder {
    fn new() -> Self {
        use age::secrecy::ExposeSecret as _;
        let key = Key::generate();
        let folder = Self {
            directory: tempfile::tempdir().unwrap(),
            key: key.text().expose_secret().as_bytes().to_vec(),
        };
        fs::write(folder.path(), b"").unwrap();
        Store::create(&folder.path(), &key.recipient(), b"under a passphrase").unwrap();
        folder
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("record")
    }

    fn store(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }

    fn read(&self) -> Result<Book, Error> {
        Book::read(&mut self.store(), Key::parse(&self.key).unwrap())
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

fn accept(folder: &Folder, number: u64, again: bool) -> Result<u64, Error> {
    let mut book = folder.read()?;
    book.record(&mut folder.store(), (number, again), Verdict::Accept, ("AB", "seen", 9))
}

#[test]
fn cases_and_decisions_come_back() {
    let folder = Folder::new();
    assert_eq!(folder.store().sealed_key(), b"under a passphrase");
    assert_eq!(folder.read().unwrap().rows(), 0);
    assert_eq!(folder.store().add(&[]).unwrap(), None);
    let cases = [case("ill", 0.5), far_out(case("well", 2.0))];
    folder.store().expect_writable().unwrap();
    assert_eq!(folder.store().add(&cases).unwrap(), Some(1..=2));
    let mut book = folder.read().unwrap();
    let mut store = folder.store();
    let new = |verdict, by: &str| (verdict, by.to_owned());
    let (verdict, by) = new(to(&["well"]), "AB");
    assert_eq!(book.record(&mut store, (1, false), verdict, (&by, "seen", 9)).unwrap(), 3);
    assert!(matches!(accept(&folder, 1, false), Err(Error::Decided(1))));
    assert_eq!(accept(&folder, 1, true).unwrap(), 4);
    assert!(matches!(accept(&folder, 3, false), Err(Error::NoCase(3))));
    // A book that was read before sees what came since.
    book.refresh(&mut store).unwrap();
    let found: Vec<_> = book.entries().map(|(number, entry)| (number, entry.case().clone())).collect();
    assert!(found == [(1, cases[0].clone()), (2, cases[1].clone())]);
    let entry = book.entry(1).unwrap();
    assert_eq!((entry.decisions().len(), entry.label().as_deref()), (2, Some("ill")));
    let undecided = book.entry(2).unwrap();
    assert!(undecided.is_hidden() && undecided.label().is_none() && !entry.is_hidden());
    let head = *folder.read().unwrap().head();
    assert_eq!((book.rows(), *book.head(), book.find_head(&head).unwrap()), (4, head, 4));
    assert!(matches!(book.find_head(&[1; 32]), Err(Error::OtherHead)));
}

#[test]
fn nothing_of_a_case_or_decision_is_in_the_files() {
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5)]).unwrap();
    accept(&folder, 1, false).unwrap();
    let bytes = fs::read(folder.path()).unwrap();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in ["Anna", "chest", "well", "seen", "AB\"", "truth", "margin", "AGE-SECRET-KEY"] {
        assert!(!has(&bytes, text), "{text}");
    }
    // The search finds what lies there in the clear, and what lies in a row that was not sealed.
    assert!(has(&bytes, "age1") && has(&bytes, "age-encryption.org"));
    assert!(has(&row::of_case(&case("ill", 0.5)).unwrap(), "Anna"));
}

#[test]
fn what_is_done_to_rows_is_seen() {
    for (name, sql, row) in [
        (
            "a flipped byte",
            "UPDATE rows SET sealed = CAST(substr(sealed, 1, 99) || x'00' || substr(sealed, 101) AS BLOB) WHERE seq = 2",
            2,
        ),
        ("a hash", "UPDATE rows SET hash = zeroblob(32) WHERE seq = 2", 2),
        ("a short hash", "UPDATE rows SET hash = x'00' WHERE seq = 2", 2),
        (
            "swapped rows",
            "UPDATE rows SET seq = -seq WHERE seq IN (1, 2); UPDATE rows SET seq = 3 + seq WHERE seq < 0",
            1,
        ),
        ("the first row is gone", "DELETE FROM rows WHERE seq = 1", 1),
        ("a row is gone", "DELETE FROM rows WHERE seq = 2", 2),
        (
            "a row is gone, and the next took its number",
            "DELETE FROM rows WHERE seq = 2; UPDATE rows SET seq = 2 WHERE seq = 3",
            2,
        ),
        ("a huge row", "UPDATE rows SET sealed = zeroblob(3000000) WHERE seq = 3", 3),
        ("an empty row", "UPDATE rows SET sealed = zeroblob(0) WHERE seq = 1", 1),
        (
            "a row with the next number that is not chained",
            "INSERT INTO rows SELECT 4, sealed, hash FROM rows WHERE seq = 1",
            4,
        ),
        ("a number below the first", "UPDATE rows SET seq = -5 WHERE seq = 1", 1),
    ] {
        let folder = Folder::new();
        folder.store().add(&[case("ill", 0.5), case("well", 0.5), case("ill", 0.7)]).unwrap();
        let mut earlier = folder.read().unwrap();
        folder.sql(sql);
        assert!(
            matches!(folder.read(), Err(Error::Damaged(found)) if found == row),
            "{name}: {:?}",
            folder.read().err()
        );
        if name.contains("gone") && row == 3 {
            assert!(earlier.refresh(&mut folder.store()).is_err());
        }
    }
    // Rows at the end leave no gap: a kept head shows it, and so does a book that was read before.
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5), case("well", 0.5)]).unwrap();
    let mut earlier = folder.read().unwrap();
    folder.sql("DELETE FROM rows WHERE seq = 2");
    let shorter = folder.read().unwrap();
    assert!(matches!(shorter.find_head(earlier.head()), Err(Error::OtherHead)));
    assert!(matches!(earlier.refresh(&mut folder.store()), Err(Error::Damaged(2))));
}

/// Writes all rows anew, chained as they must be: what anyone can do who can write the file.
fn chain_anew(folder: &Folder, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let connection = Connection::open(folder.path()).unwrap();
    let mut read = connection.prepare("SELECT sealed FROM rows ORDER BY seq").unwrap();
    let mut rows: Vec<Vec<u8>> = read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    change(&mut rows);
    connection.execute("DELETE FROM rows", []).unwrap();
    let mut hash = root(folder.store().recipient());
    for (row, sealed) in (1_u64..).zip(rows) {
        hash = chain(&hash, row, &sealed);
        let insert = "INSERT INTO rows VALUES (?1, ?2, ?3)";
        connection.execute(insert, params![row.cast_signed(), sealed, hash]).unwrap();
    }
}

#[test]
fn decisions_cannot_be_forged_nor_what_stands_before_them_replaced() {
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5), case("well", 0.5)]).unwrap();
    accept(&folder, 1, false).unwrap();
    chain_anew(&folder, |_| {});
    assert_eq!(folder.read().unwrap().rows(), 3, "the control: the same rows");
    let recipient = folder.store().recipient().clone();
    // A case that anyone can seal, in the place of one that stood before the decision.
    let other = recipient.seal(&row::of_case(&case("well", 9.0)).unwrap()).unwrap();
    chain_anew(&folder, |rows| rows[1].clone_from(&other));
    assert!(matches!(folder.read(), Err(Error::Forged(3))));

    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5)]).unwrap();
    accept(&folder, 1, false).unwrap();
    // The same decision again, and one of another key.
    chain_anew(&folder, |rows| rows.push(rows[1].clone()));
    assert!(matches!(folder.read(), Err(Error::Forged(3))));
    let forged = crate::Decision::new((1, &case("ill", 0.5)), Verdict::Accept, "XY", "seen", 9).unwrap();
    let place = row::Place { row: 3, before: *Folder::new().read().unwrap().head() };
    let forged = row::of_decision(&forged, &Key::generate(), place).unwrap();
    let sealed = folder.store().recipient().seal(&forged).unwrap();
    chain_anew(&folder, |rows| rows[2].clone_from(&sealed));
    assert!(matches!(folder.read(), Err(Error::Forged(3))));
}

#[test]
fn other_keys_and_other_files_are_refused() {
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5)]).unwrap();
    assert!(matches!(Book::read(&mut folder.store(), Key::generate()), Err(Error::OtherKey)));
    assert!(matches!(Key::parse(b"AGE-SECRET-KEY-1"), Err(Error::OtherKey)));
    // Whoever changes the public key reads what is recorded from then on, until the record is opened again.
    let other = Key::generate().recipient().to_string();
    folder.sql(&format!("UPDATE meta SET value = CAST('{other}' AS BLOB) WHERE name = 'recipient'"));
    assert!(matches!(folder.read(), Err(Error::OtherKey)));

    let refused = |name: &str, folder: &Folder| {
        assert!(matches!(Store::open(&folder.path()), Err(Error::NotARecord)), "{name}");
    };
    for bytes in [&b""[..], b"SQLite", b"{\"index\":0}\n........................", &[7; 5000]] {
        fs::write(folder.path(), bytes).unwrap();
        refused("no database", &folder);
    }
    fs::write(folder.path(), [&MAGIC[..], &[7; 5000]].concat()).unwrap();
    refused("a database by its first bytes alone", &folder);
    for sql in [
        "DROP TABLE rows",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 1",
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END",
        "DROP TABLE rows; CREATE VIEW rows AS SELECT 1 AS seq, x'00' AS sealed, x'00' AS hash",
        "DELETE FROM meta WHERE name = 'recipient'",
        "UPDATE meta SET value = x'ff' WHERE name = 'recipient'",
        "UPDATE meta SET value = zeroblob(100000) WHERE name = 'sealed_key'",
    ] {
        let folder = Folder::new();
        folder.sql(sql);
        refused(sql, &folder);
    }
    let foreign = Folder::new();
    fs::remove_file(foreign.path()).unwrap();
    foreign.sql("CREATE TABLE patients (name TEXT)");
    refused("a foreign database", &foreign);
    fs::remove_file(foreign.path()).unwrap();
    assert!(matches!(Store::open(&foreign.path()), Err(Error::Unwritable)));
    assert!(!foreign.path().exists(), "a missing record is not made by opening it");
}

#[test]
fn writers_at_once_lose_no_row() {
    let folder = Folder::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut store = folder.store();
                for _ in 0..5 {
                    store.add(&[case("ill", 0.5), case("well", 0.5)]).unwrap();
                }
            });
        }
    });
    assert_eq!(folder.read().unwrap().rows(), 40);
}

#[test]
fn rates_count_the_last_decisions_about_results() {
    let folder = Folder::new();
    let mut cases: Vec<_> = (0..6).map(|_| case("ill", 0.5)).collect();
    cases[1].about[0] = column("sex", "m");
    cases[5] = far_out(case("ill", 0.5));
    folder.store().add(&cases).unwrap();
    let mut book = folder.read().unwrap();
    let mut store = folder.store();
    for (number, verdict) in
        [(1, Verdict::Accept), (2, to(&["well"])), (3, to(&["well"])), (6, Verdict::Accept)]
    {
        book.record(&mut store, (number, false), verdict, ("AB", "seen", 9)).unwrap();
    }
    book.record(&mut store, (3, true), Verdict::Accept, ("CD", "a second look", 9)).unwrap();
    let found = rates::rates(&book, &["sex".into()], 2).unwrap();
    let counts = |rate: &rates::Rate| (rate.cases, rate.accepted, rate.overridden, rate.left_to_humans);
    assert_eq!(found.iter().map(counts).collect::<Vec<_>>(), [(6, 2, 1, 1), (5, 2, 0, 1), (1, 0, 1, 0)]);
    assert_eq!(found[0].agreement, tiresias_fairness::interval::wilson((2, 3)));
    assert_eq!(found[0].override_rate, tiresias_fairness::interval::wilson((1, 3)));
    assert!(found[2].is_too_small && found[2].agreement.is_none());
    assert!(matches!(rates::rates(&book, &["age".into()], 2), Err(Error::NoColumn)));
    // By itself it takes the columns that can be groups: all truths here are the same.
    assert_eq!(rates::rates(&book, &[], 2).unwrap(), found);
}

#[test]
fn a_table_hides_what_is_withheld_until_it_is_decided() {
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5), far_out(case("well", 1.25))]).unwrap();
    let settings = export::Settings { low_margin: 1.0, time: |seconds| seconds.to_string() };
    let book = folder.read().unwrap();
    let text = String::from_utf8(export::csv(&book, settings).unwrap()).unwrap();
    assert!(!text.contains("1.25") && text.contains("0.5"), "{text}");
    let lines = export::json_lines(&book, settings);
    assert_eq!((&lines[0]["record"]["rows"], &lines[2]["prediction"]), (&2.into(), &"review".into()));
    assert_eq!(lines[1]["scores"]["ill"], 0.5);
    assert!(
        lines[2].get("scores").is_none()
            && lines[2].get("margin").is_none()
            && lines[2].get("computed").is_none()
    );
    accept(&folder, 2, false).unwrap();
    let lines = export::json_lines(&folder.read().unwrap(), settings);
    assert_eq!((&lines[2]["prediction"], &lines[2]["decided"]), (&"review".into(), &"well".into()));
    assert_eq!((&lines[2]["margin"], &lines[2]["decisions"][0]["by"]), (&1.25.into(), &"AB".into()));
}

#[test]
fn a_crash_while_rows_are_written_leaves_those_that_were_acknowledged() {
    let folder = Folder::new();
    folder.store().add(&[case("ill", 0.5), case("well", 0.5)]).unwrap();
    let mut store = folder.store();
    // Pages go to the file before the commit.
    store.connection.pragma_update(None, "cache_size", 1).unwrap();
    let (recipient, image) = (store.recipient().clone(), Folder::new());
    let sealed = recipient.seal(&row::of_case(&case("ill", 0.5)).unwrap()).unwrap();
    let transaction = store.begin().unwrap();
    let mut hash = last(&transaction, &recipient).unwrap().1;
    for row in 3..300 {
        hash = append(&transaction, row, &hash, &sealed).unwrap();
    }
    // What a crash leaves: the file half written, and the journal that undoes it.
    let journal = |folder: &Folder| folder.directory.path().join("record-journal");
    fs::copy(folder.path(), image.path()).unwrap();
    fs::copy(journal(&folder), journal(&image)).unwrap();
    let image = Folder { key: folder.key.clone(), ..image };
    assert!(image.path().metadata().unwrap().len() > 100_000, "rows were in the file");
    assert_eq!(image.read().unwrap().rows(), 2);
    assert!(!journal(&image).exists());
    assert!(image.path().metadata().unwrap().len() < 100_000, "and are gone from it");
    transaction.commit().unwrap();
    assert_eq!(folder.read().unwrap().rows(), 299);
}

/// `cargo test -p tiresias-record --lib -- --ignored --nocapture ten_thousand`: prints what writing and reading take.
#[test]
#[ignore = "a measurement"]
fn ten_thousand_cases() {
    let folder = Folder::new();
    let cases: Vec<_> = (0..10_000).map(|_| case("ill", 0.5)).collect();
    let started = std::time::Instant::now();
    folder.store().add(&cases).unwrap();
    let written = started.elapsed();
    let book = folder.read().unwrap();
    assert_eq!(book.rows(), 10_000);
    let (read, bytes) = (started.elapsed() - written, folder.path().metadata().unwrap().len());
    println!("10,000 cases: written in {written:.1?}, read and checked in {read:.1?}, {bytes} bytes");
}
