use std::{fs, path::Path, sync::Arc};

use tiresias_evidence::{
    Checkpoint, Event, Hash, Leaf, LogKey, NoteVerifier, Receipt,
    merkle::{Frontier, Hashes, leaf_hash, prove_consistency, verify_consistency},
    note::Note,
    tile,
};
use tiresias_keys::KeyId;

use super::*;

fn policy() -> LogPolicy {
    LogPolicy { enabled: true, origin: None, retention_days: 30, witnesses: None }
}

fn seed() -> Seed {
    Box::new([5; 32].into())
}

/// The log of a data directory that goes with the test.
struct Open {
    log: Arc<Log>,
    _data: DataDirectory,
}

impl Open {
    fn new(directory: &Path) -> Result<Self, Error> {
        let data = DataDirectory::open(directory).unwrap();
        Ok(Self { log: Arc::new(Log::open(&data, &policy())?), _data: data })
    }

    fn close(self) {
        self.log.close();
    }

    fn key(&self) -> NoteVerifier {
        self.log.verifiers()[0].clone()
    }

    fn leaf(&self, number: u8) -> Leaf {
        self.log.facts().key(Event::KeyUploaded, &KeyId::from_bytes([number; 32]))
    }
}

/// A log as someone sees it who has its public files alone.
struct Public<'a>(&'a Path);

impl Hashes for Public<'_> {
    type Error = ();

    fn node(&self, level: u32, index: u64) -> Result<Hash, ()> {
        let (level, index, range) = tile::place(level, index);
        let end = range.end;
        let path =
            if end == 256 { tile::path(level, index, 256) } else { tile::path(level, index, end as u64) };
        let bytes = files::read_tile(self.0, &path).ok_or(())?;
        let hashes: Vec<Hash> = bytes.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect();
        tile::root(&hashes[range]).ok_or(())
    }
}

fn public(directory: &Path) -> PathBuf {
    directory.join("log/public")
}

fn published_checkpoint(directory: &Path, key: &NoteVerifier) -> Checkpoint {
    Checkpoint::open(&fs::read_to_string(public(directory).join("checkpoint")).unwrap(), key).unwrap()
}

/// Every entry that the public files have is under the root that they state.
fn check_public(directory: &Path, key: &NoteVerifier) -> Vec<Hash> {
    let checkpoint = published_checkpoint(directory, key);
    let mut entries: Vec<Hash> = Vec::new();
    while (entries.len() as u64) < checkpoint.size {
        let index = entries.len() as u64 / 256;
        let width = (checkpoint.size - 256 * index).min(256);
        let bundle = files::read_tile(&public(directory), &tile::entries_path(index, width)).unwrap();
        entries.extend(tile::unbundle(&bundle).unwrap().iter().map(|entry| Hash::try_from(*entry).unwrap()));
    }
    let mut tree = Frontier::default();
    entries.iter().for_each(|entry| drop(tree.append(leaf_hash(entry))));
    assert_eq!((tree.size(), tree.root()), (checkpoint.size, checkpoint.root));
    assert_eq!(Frontier::read(&Public(&public(directory)), checkpoint.size).unwrap(), tree, "from the tiles");
    entries
}

async fn append_many(open: &Open, count: usize) -> Vec<Receipt> {
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let (log, leaf) = (Arc::clone(&open.log), open.leaf(number as u8));
            tokio::spawn(async move { log.append(log.coming(), leaf, seed()).await })
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap().unwrap());
    }
    receipts
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_has_its_receipt_and_the_public_files_agree() {
    let directory = tempfile::tempdir().unwrap();
    let open = Open::new(directory.path()).unwrap();
    let key = open.key();
    let receipts = append_many(&open, 1000).await;
    let mut indices: Vec<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..1000).collect::<Vec<_>>());
    for receipt in &receipts {
        let again = Receipt::parse(&receipt.to_text()).unwrap();
        again.verify(&key).unwrap();
    }
    open.close();
    let entries = check_public(directory.path(), &key);
    for receipt in &receipts {
        assert_eq!(entries[receipt.index as usize], receipt.leaf.entry(&receipt.salt));
    }
    let last = published_checkpoint(directory.path(), &key);
    for receipt in &receipts {
        let seen = receipt.verify(&key).unwrap();
        let files = public(directory.path());
        let proof = prove_consistency(&Public(&files), seen.size, last.size).unwrap();
        verify_consistency((seen.size, &seen.root), (last.size, &last.root), &proof).unwrap();
    }
}

#[tokio::test]
async fn a_log_goes_on_where_it_stood() {
    let directory = tempfile::tempdir().unwrap();
    let mut before: Vec<Receipt> = Vec::new();
    let mut keys = Vec::new();
    for round in 0..4 {
        let open = Open::new(directory.path()).unwrap();
        keys.push(open.key());
        before.extend(append_many(&open, 100 + round).await);
        assert_eq!(
            open.log.append(open.log.coming(), open.leaf(1), seed()).await.unwrap().index,
            before.len() as u64 + round as u64
        );
        open.close();
    }
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(check_public(directory.path(), &keys[0]).len(), before.len() + 4);
    // Whatever happens to the public files, they are made again.
    let checkpoint = published_checkpoint(directory.path(), &keys[0]);
    fs::remove_dir_all(public(directory.path())).unwrap();
    Open::new(directory.path()).unwrap().close();
    assert_eq!(published_checkpoint(directory.path(), &keys[0]), checkpoint);
    check_public(directory.path(), &keys[0]);
}

#[tokio::test]
async fn a_damaged_log_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let open = Open::new(directory.path()).unwrap();
    append_many(&open, 300).await;
    open.close();
    let journal = directory.path().join("log/journal");
    let good = fs::read(&journal).unwrap();
    let refusal = |bytes: &[u8]| {
        fs::write(&journal, bytes).unwrap();
        Open::new(directory.path()).err().map(|error| error.code())
    };
    let mut flipped = good.clone();
    flipped[36 * 299] ^= 1;
    assert_eq!(refusal(&flipped), Some("log_damaged"));
    assert_eq!(refusal(&good[..36 * 299]), Some("log_damaged"));
    assert_eq!(refusal(&good[..good.len() - 1]), Some("log_damaged"));

    // The journal of another log, as long as this one.
    let other = tempfile::tempdir().unwrap();
    let open = Open::new(other.path()).unwrap();
    append_many(&open, 300).await;
    open.close();
    assert_eq!(refusal(&fs::read(other.path().join("log/journal")).unwrap()), Some("log_forked"));

    let torn = [good.as_slice(), &[7; 36 * 5 + 11]].concat();
    assert_eq!(refusal(&torn), None, "no one was told of what a crash left behind the last commit");
    assert_eq!(fs::read(&journal).unwrap(), good);

    let key = directory.path().join("log/key");
    fs::rename(&key, directory.path().join("elsewhere")).unwrap();
    assert_eq!(refusal(&good), Some("io"), "a log that lost its key gets no other one");
}

#[tokio::test]
async fn what_has_happened_is_logged_without_a_waiter() {
    let directory = tempfile::tempdir().unwrap();
    let open = Open::new(directory.path()).unwrap();
    open.log.record(&open.leaf(1));
    open.log.record(&open.leaf(2));
    assert_eq!(open.log.append(open.log.coming(), open.leaf(3), seed()).await.unwrap().index, 2);
    let key = open.key();
    open.close();
    assert_eq!(check_public(directory.path(), &key).len(), 3);
}

#[tokio::test]
async fn a_rotation_is_signed_by_both_keys_and_announced_by_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let open = Open::new(directory.path()).unwrap();
    let old = open.key();
    append_many(&open, 3).await;
    open.close();

    let mut out = Vec::new();
    let data = directory.path().to_owned();
    let rotate = |finish, out: &mut Vec<u8>| {
        let args = crate::cli::RotateArgs { data: data.clone(), finish };
        run(&crate::cli::LogCommand::Rotate(args), out)
    };
    rotate(false, &mut out).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let new = NoteVerifier::parse(line["keys"][0].as_str().unwrap()).unwrap();
    assert_eq!(line["keys"][1], old.to_string());
    let receipt = Receipt::parse(line["receipt"].as_str().unwrap()).unwrap();
    receipt.verify(&old).unwrap();
    assert!(receipt.verify(&new).is_err(), "the old key alone vouches for the new one");
    assert_eq!(receipt.leaf.event, Event::LogKey);
    assert_eq!(receipt.leaf.key, Some(*tiresias_keys::Digest::of(new.to_string().as_bytes()).as_bytes()));
    assert!(rotate(false, &mut Vec::new()).is_err());

    let open = Open::new(directory.path()).unwrap();
    let receipt = open.log.append(open.log.coming(), open.leaf(9), seed()).await.unwrap();
    assert_eq!((receipt.verify(&old).unwrap().size, receipt.verify(&new).unwrap().size), (5, 5));
    assert!(rotate(true, &mut Vec::new()).is_err(), "a gateway uses the directory");
    open.close();
    rotate(true, &mut Vec::new()).unwrap();

    let open = Open::new(directory.path()).unwrap();
    let receipt = open.log.append(open.log.coming(), open.leaf(10), seed()).await.unwrap();
    assert!(receipt.verify(&new).is_ok() && receipt.verify(&old).is_err());
    open.close();
    let mut out = Vec::new();
    run(&crate::cli::LogCommand::Key { data }, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{new}\n"));
    check_public(directory.path(), &new);
}

#[test]
fn where_the_public_files_cannot_follow_the_log_stops_before_memory_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make(&path).unwrap();
    let mut book = Book::open(&path, None, None).unwrap();
    // A file stands where a directory must be made.
    let obstacle = path.join("public/tile");
    fs::write(&obstacle, b"").unwrap();
    let batch: Vec<Hash> = (0..256).map(records::tests::entry).collect();
    let mut commits = 0;
    while book.commit(&batch, &[]).is_ok() {
        book.publish();
        assert!(!book.is_published());
        commits += 1;
    }
    assert_eq!(commits, 4096 / 256 + 1);
    fs::remove_file(&obstacle).unwrap();
    book.publish();
    assert!(book.is_published());
    assert_eq!(book.commit(&batch, &[]).unwrap(), commits * 256);
}

#[tokio::test]
async fn all_that_a_failing_disk_held_up_is_logged_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let open = Open::new(directory.path()).unwrap();
    let key = open.key();
    let obstacle = public(directory.path()).join("tile");
    fs::write(&obstacle, b"").unwrap();
    (0..6000_u16).for_each(|number| open.log.record(&open.leaf(number as u8)));
    assert!(open.log.append(open.log.coming(), open.leaf(1), seed()).await.is_err(), "the log has stopped");
    fs::remove_file(&obstacle).unwrap();
    open.close();
    assert_eq!(
        check_public(directory.path(), &key).len(),
        6000,
        "and what it held is more than one commit takes"
    );
}

/// What is published of a book whose checkpoints one witness cosigns.
#[test]
fn the_published_checkpoint_is_cosigned_and_never_becomes_smaller() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make(&path).unwrap();
    let witness = LogKey::from_seed("witness.example/w1", &[1; 32]).unwrap();
    let quorum = Quorum { keys: vec![witness.cosignature_verifier()], count: 1 };
    let open = |quorum: Option<&Quorum>| Book::open(&path, Some("gateway.example/log"), quorum).unwrap();
    let grow = |book: &mut Book, leaves: u64| {
        let size = book.size();
        let entries: Vec<Hash> = (size..size + leaves).map(records::tests::entry).collect();
        book.commit(&entries, &[]).unwrap();
        book.publish();
    };
    let cosigned = |book: &Book| {
        let Signed { note, size } = book.newest();
        let text = Note::parse(&note).unwrap().text().to_owned();
        Signed { note: format!("{note}{}", witness.cosign(&text, 5)).into(), size }
    };
    let shown = |book: &Book| {
        let note = fs::read_to_string(path.join("public/checkpoint")).unwrap();
        assert_eq!(*note, *book.shown().note);
        let is_cosigned = Note::parse(&note).unwrap().verify(&quorum.keys[0]).is_ok();
        (Checkpoint::open(&note, &book.verifiers()[0]).unwrap().size, is_cosigned)
    };
    let mut book = open(Some(&quorum));
    grow(&mut book, 3);
    assert_eq!((shown(&book), book.awaits_witnesses()), ((0, false), true));
    let of_3 = cosigned(&book);
    grow(&mut book, 2);
    book.publish_cosigned(of_3.clone());
    assert_eq!((shown(&book), book.awaits_witnesses()), ((3, true), true));
    grow(&mut book, 1);
    assert_eq!(shown(&book), (3, true));
    drop(book);
    let mut book = open(Some(&quorum));
    assert_eq!((shown(&book), book.size(), book.cosigned_size()), ((3, true), 6, 3), "over a restart");

    // Too few witnesses answer: it is the newest, and what they say too late counts no more.
    book.publish_alone();
    assert_eq!((shown(&book), book.awaits_witnesses()), ((6, false), false));
    let of_6 = cosigned(&book);
    grow(&mut book, 1);
    assert_eq!(shown(&book), (7, false));
    book.publish_cosigned(of_6);
    grow(&mut book, 1);
    assert_eq!(shown(&book), (7, false), "it stays until one is cosigned that is no smaller");
    book.publish_cosigned(cosigned(&book));
    assert_eq!((shown(&book), book.awaits_witnesses()), ((8, true), false));
    // What is the newest is not published without the cosignature that it has.
    book.publish_alone();
    assert_eq!(shown(&book), (8, true));

    // Without witnesses, or with others, cosignatures count no more.
    drop(book);
    let others = Quorum { keys: vec![witness.verifier()], count: 1 };
    assert_eq!(shown(&open(Some(&others))), (8, false));
    drop(open(Some(&quorum)));
    let mut book = open(None);
    grow(&mut book, 1);
    assert_eq!(shown(&book), (9, false));
}

/// How long a log of a million leaves takes to open: `cargo test --release -p tiresias-server million -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_log_of_a_million_leaves_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    make(&path).unwrap();
    let mut book = Book::open(&path, None, None).unwrap();
    let entries: Vec<Hash> = (0..1_000_000_u64).map(records::tests::entry).collect();
    for batch in entries.chunks(256) {
        book.commit(batch, &[]).unwrap();
        if book.size().is_multiple_of(4096) {
            book.publish();
        }
    }
    drop(book);
    for what in ["tiles are made", "tiles are there"] {
        let started = std::time::Instant::now();
        let book = Book::open(&path, None, None).unwrap();
        assert!(book.is_published() && book.size() == 1_000_000);
        let line = format!("{what}: {:?}\n", started.elapsed());
        io::Write::write_all(&mut io::stderr(), line.as_bytes()).unwrap();
    }
}
