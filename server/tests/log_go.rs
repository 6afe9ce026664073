//! Go's own `golang.org/x/mod/sumdb/note` and `sumdb/tlog` verify the log of a real gateway, and refuse it where a byte is changed.
//!
//! They need Go and that module's source, which `.ci/go` installs. Where these are missing the tests say so and pass, unless
//! `TIRESIAS_REQUIRE_GO` is set.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Gateway, Setup, gateway_command};
use probe::Probe;
use public_log::{answer, receipt};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tiresias_evidence::{
    Checkpoint, Hash, LogKey, NoteVerifier, Receipt, TileReader, merkle::prove_consistency, note::Note,
};

/// Where Debian's golang-golang-x-mod-dev puts the sources of Go's modules.
const GO_PATH: &str = "/usr/share/gocode";

/// `go/verify.go`, compiled.
struct Verifier(PathBuf);

impl Verifier {
    /// Compiles it. `Err` says what is missing here.
    fn build() -> Result<Self, String> {
        let test = std::env::current_exe().unwrap();
        // Of Cargo: the target directory, behind `debug/deps`.
        let home = test.ancestors().nth(3).unwrap().join("go");
        let own = home.join("bin/go");
        let go = if own.is_file() { own } else { "go".into() };
        if !Path::new(GO_PATH).join("src/golang.org/x/mod/sumdb/tlog").is_dir() {
            return Err(format!("{GO_PATH} has no golang.org/x/mod: run .ci/go"));
        }
        fs::create_dir_all(&home).unwrap();
        let program = home.join("verify");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/verify.go");
        let mut build = Command::new(go);
        build.args(["build", "-o"]).arg(&program).arg(source);
        // No module is fetched, nothing outside of the target directory is written.
        build.env("GO111MODULE", "off").env("GOPATH", GO_PATH).env("GOFLAGS", "").env("CGO_ENABLED", "0");
        build.env("GOTOOLCHAIN", "local").env("GOCACHE", home.join("cache")).env("HOME", &home);
        match build.output() {
            Err(error) => Err(format!("go cannot be run: {error}: run .ci/go")),
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Ok(Self(program))
            }
        }
    }

    /// The one of this test program, or `None` behind the reason on standard error.
    fn get() -> Option<&'static Self> {
        static VERIFIER: OnceLock<Result<Verifier, String>> = OnceLock::new();
        let reason = match VERIFIER.get_or_init(Self::build) {
            Ok(verifier) => return Some(verifier),
            Err(reason) => reason,
        };
        assert!(std::env::var_os("TIRESIAS_REQUIRE_GO").is_none(), "{reason}");
        // Not by a macro, whose output a test that passes does not show.
        let line = format!("SKIPPED: Go has not verified the log: {reason}\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }

    /// What Go has verified, or what it refused.
    fn run(&self, public: &Path, keys: &Path, evidence: &[&Evidence]) -> Result<Value, String> {
        let mut verify = Command::new(&self.0);
        verify.arg(public).arg(keys).args(evidence.iter().map(|evidence| evidence.0.path()));
        let output = verify.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        match output.status.code() {
            Some(0) => Ok(serde_json::from_str(&said).unwrap()),
            Some(1) if !said.is_empty() => Err(said),
            _ => unreachable!("{}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// What a gateway gave out while one set of keys signed its log: a directory that `verify.go` reads.
struct Evidence(TempDir);

impl Evidence {
    /// Asks over several connections, as often as said, and for the checkpoint now and then.
    fn collect(gateway: &Gateway, request: &[u8], answers: usize) -> Self {
        const CONNECTIONS: usize = 4;
        let found = Mutex::new((Vec::new(), Vec::new()));
        let ask = || {
            let mut connection = gateway.connect();
            for number in 0..answers / CONNECTIONS {
                connection.write(request).unwrap();
                let receipt = receipt(&answer(&connection.reply().unwrap()).0).to_text();
                found.lock().unwrap().0.push(receipt);
                if number % 16 == 0 {
                    let note = connection.get("/checkpoint").unwrap().body;
                    found.lock().unwrap().1.push(String::from_utf8(note).unwrap());
                }
            }
        };
        thread::scope(|scope| (0..CONNECTIONS).for_each(|_| drop(scope.spawn(ask))));
        let (receipts, checkpoints) = found.into_inner().unwrap();
        assert_eq!(receipts.len(), answers / CONNECTIONS * CONNECTIONS);
        let evidence = Self(tempfile::tempdir().unwrap());
        fs::write(evidence.path("keys"), keys(gateway.path("data"))).unwrap();
        for (kind, texts) in [("receipt", receipts), ("checkpoint", checkpoints)] {
            for (number, text) in texts.iter().enumerate() {
                fs::write(evidence.path(&format!("{kind}-{number}")), text).unwrap();
            }
        }
        evidence
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn key(&self) -> NoteVerifier {
        NoteVerifier::parse(fs::read_to_string(self.path("keys")).unwrap().lines().next().unwrap()).unwrap()
    }

    /// Proves with our own code, out of the log's tiles, that each tree that was seen grew out of the one before.
    fn prove_growth(&self, public: &Path) -> usize {
        let key = self.key();
        let last = checkpoint(&public.join("checkpoint"), &key).size;
        let mut sizes = vec![last];
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("checkpoint-") {
                sizes.push(checkpoint(&path, &key).size);
            } else if name.starts_with("receipt-") {
                let receipt = Receipt::parse(&fs::read_to_string(&path).unwrap()).unwrap();
                sizes.push(receipt.verify(&key).unwrap().size);
            }
        }
        // The empty tree, which a gateway shows for a moment, needs no proof.
        sizes.retain(|&size| size > 0);
        sizes.sort_unstable();
        sizes.dedup();
        let tiles = TileReader::new(last, |path: &str| fs::read(public.join(path)));
        for (number, pair) in sizes.windows(2).enumerate() {
            let proof = prove_consistency(&tiles, pair[0], pair[1]).unwrap();
            let hashes: String = proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
            let text = format!("{}\n{}\n{hashes}", pair[0], pair[1]);
            fs::write(self.path(&format!("consistency-{number}")), text).unwrap();
        }
        sizes.len() - 1
    }
}

fn checkpoint(path: &Path, key: &NoteVerifier) -> Checkpoint {
    Checkpoint::open(&fs::read_to_string(path).unwrap(), key).unwrap()
}

/// What verifies the log of a data directory, as the operator hands it out.
fn keys(data: PathBuf) -> String {
    gateway_command(&["log", "key", "--data", data.to_str().unwrap()])
}

fn stop(gateway: &mut Gateway) {
    gateway.terminate();
    assert!(gateway.wait().success());
}

/// Another byte, which looks as good where the file is text.
fn other(byte: u8) -> u8 {
    match byte {
        b'9' => b'0',
        b'0'..=b'8' => byte + 1,
        b'x' => b'y',
        _ if byte.is_ascii_alphabetic() => b'x',
        _ => byte ^ 1,
    }
}

/// Where in a file one byte at a time is changed: its ends and some places between. Of base64, the last digit has bits
/// that say nothing, and that Go's `note` passes over.
fn places(bytes: &[u8], range: Range<usize>) -> Vec<usize> {
    let step = (range.len() / 6).max(1);
    let places = range.clone().step_by(step).chain([range.end - 1]);
    let is_base64_end = |at: usize| bytes[at] == b'=' || bytes.get(at + 1) == Some(&b'=');
    places.filter(|&at| !is_base64_end(at)).collect()
}

#[test]
fn go_verifies_the_log_and_refuses_a_changed_byte_wherever_it_is() {
    let Some(go) = Verifier::get() else { return };
    let mut probe = Probe::start(Setup::model("flooded").with_data());
    let evidence = Evidence::collect(&probe.gateway, &probe.kept_alive(), 560);
    stop(&mut probe.gateway);
    let public = probe.gateway.path("data/log/public");
    let steps = evidence.prove_growth(&public);
    let verify = || go.run(&public, &evidence.path("keys"), &[&evidence]);
    let good = verify().unwrap();
    // The model's loading and the probe's first request too.
    assert_eq!(
        (&good["leaves"], &good["receipts"], &good["checkpoints"], &good["consistency"]),
        (&json!(562), &json!(560), &json!(36), &json!(steps))
    );
    assert!(good["trees"].as_u64().unwrap() > steps as u64 && steps > 30, "{good}");

    let whole = |path: PathBuf| {
        let length = fs::metadata(&path).unwrap().len() as usize;
        (path, 0..length)
    };
    let text = fs::read_to_string(evidence.path("receipt-300")).unwrap();
    let at = |part: &str| text.find(part).unwrap();
    let (extra, index, note) = (at("extra ") + 6, at("index ") + 6, at("\n\n") + 2);
    let hashes = index + text[index..].find('\n').unwrap() + 1;
    let receipt = |range| (evidence.path("receipt-300"), range);
    let mut changes = 0;
    for (what, (path, range)) in [
        ("checkpoint", whole(public.join("checkpoint"))),
        ("tile", whole(public.join("tile/0/000"))),
        ("tile", whole(public.join("tile/0/002.p/50"))),
        ("tile", whole(public.join("tile/1/000.p/2"))),
        ("entry", whole(public.join("tile/entries/001"))),
        ("entry", whole(public.join("tile/entries/002.p/50"))),
        ("checkpoint", whole(evidence.path("checkpoint-7"))),
        ("consistency", whole(evidence.path("consistency-20"))),
        // Salt and leaf, place, path, and the checkpoint that a receipt brings along.
        ("proof", receipt(extra..index - 7)),
        ("proof", receipt(index..hashes - 1)),
        ("proof", receipt(hashes..note - 2)),
        ("checkpoint", receipt(note..text.len())),
    ] {
        let bytes = fs::read(&path).unwrap();
        for at in places(&bytes, range) {
            let mut changed = bytes.clone();
            changed[at] = other(changed[at]);
            fs::write(&path, changed).unwrap();
            let refused = verify();
            let first = refused.as_ref().err().and_then(|said| said.split(':').next());
            assert_eq!(first, Some(what), "{} with byte {at} changed: {refused:?}", path.display());
            changes += 1;
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(changes > 60, "{changes}");

    // What the log's own key signs: a tree that this one did not grow out of.
    let seen = checkpoint(&evidence.path("checkpoint-7"), &evidence.key());
    let forked = Checkpoint { root: [7; 32], ..seen }.text();
    fs::write(evidence.path("checkpoint-36"), signer(&probe.gateway).sign(&forked)).unwrap();
    assert!(verify().unwrap_err().starts_with("fork: "));
    let ahead = Checkpoint { size: 563, ..Checkpoint::parse(&forked).unwrap() }.text();
    fs::write(evidence.path("checkpoint-36"), signer(&probe.gateway).sign(&ahead)).unwrap();
    assert!(verify().unwrap_err().starts_with("fork: "));
    fs::remove_file(evidence.path("checkpoint-36")).unwrap();
    assert_eq!(verify(), Ok(good));
}

/// The log's key as its gateway has it.
fn signer(gateway: &Gateway) -> LogKey {
    let text = fs::read_to_string(gateway.path("data/log/key")).unwrap();
    let parts: Vec<&str> = text.trim_end().splitn(5, '+').collect();
    let bytes = STANDARD.decode(parts[4]).unwrap();
    LogKey::from_seed(parts[2], bytes[1..].try_into().unwrap()).unwrap()
}

/// Writes more records behind a closed journal, as WIRE.md describes them.
fn lengthen(journal: &Path, by: u64) {
    let mut file = OpenOptions::new().append(true).open(journal).unwrap();
    let length = file.metadata().unwrap().len();
    assert_eq!(length % 36, 0);
    let record = |index: u64| {
        let entry: Hash = Sha256::digest(index.to_be_bytes()).into();
        let check = Sha256::new().chain_update(index.to_le_bytes()).chain_update(entry).finalize();
        [entry.as_slice(), &check[..4]].concat()
    };
    let first = length / 36;
    file.write_all(&(first..first + by).flat_map(record).collect::<Vec<u8>>()).unwrap();
}

#[test]
fn go_follows_a_log_of_many_leaves_through_a_change_of_its_key() {
    let Some(go) = Verifier::get() else { return };
    let probe = Probe::start(Setup::model("flooded").with_data());
    let (request, mut gateway) = (probe.kept_alive(), probe.gateway);
    let data = gateway.path("data");
    let public = data.join("log/public");
    let rotate = |more: &[&str]| {
        gateway_command(&[&["log", "rotate", "--data", data.to_str().unwrap()], more].concat());
    };
    let signatures = || {
        let note = fs::read_to_string(public.join("checkpoint")).unwrap();
        Note::parse(&note).unwrap();
        note.lines().filter(|line| line.starts_with('\u{2014}')).count()
    };
    let one_key = Evidence::collect(&gateway, &request, 12);
    stop(&mut gateway);
    // Enough for tiles of three levels.
    lengthen(&data.join("log/journal"), 70_000);
    rotate(&[]);

    let mut gateway = gateway.restarted();
    let both_keys = Evidence::collect(&gateway, &request, 12);
    stop(&mut gateway);
    assert_eq!((keys(data.clone()).lines().count(), signatures()), (2, 2));
    assert!(both_keys.prove_growth(&public) > 1);
    // A start before the first answer and one after the rotation, the probe's request, and the new key's leaf.
    let leaves = 70_000 + 24 + 4;
    let seen = go.run(&public, &both_keys.path("keys"), &[&one_key, &both_keys]).unwrap();
    assert_eq!((&seen["leaves"], &seen["receipts"]), (&json!(leaves), &json!(24)), "{seen}");
    // Whoever has one of the keys alone can follow too, but what is from before the new one was not signed by both.
    let old_keys = fs::read(one_key.path("keys")).unwrap();
    assert!(go.run(&public, &one_key.path("keys"), &[&one_key]).is_ok());
    fs::copy(both_keys.path("keys"), one_key.path("keys")).unwrap();
    let refused = go.run(&public, &both_keys.path("keys"), &[&one_key]).unwrap_err();
    assert!(refused.starts_with("checkpoint: a signature is missing"), "{refused}");
    fs::write(one_key.path("keys"), old_keys).unwrap();

    rotate(&["--finish"]);
    let mut gateway = gateway.restarted();
    let new_key = Evidence::collect(&gateway, &request, 12);
    stop(&mut gateway);
    assert_eq!((keys(data.clone()).lines().count(), signatures()), (1, 1));
    assert!(new_key.prove_growth(&public) > 1);
    let all = [&one_key, &both_keys, &new_key];
    let seen = go.run(&public, &new_key.path("keys"), &all).unwrap();
    assert_eq!((&seen["leaves"], &seen["receipts"]), (&json!(leaves + 13), &json!(36)), "{seen}");
    let refused = go.run(&public, &one_key.path("keys"), &all).unwrap_err();
    assert!(refused.starts_with("checkpoint: "), "the old key signs no more: {refused}");
    // A receipt of the time of two keys, with either signature broken.
    let path = both_keys.path("receipt-5");
    let text = fs::read_to_string(&path).unwrap();
    for (signature, _) in text.match_indices('\u{2014}') {
        let at = signature + text[signature..].find('\n').unwrap() - 20;
        let mut bytes = text.clone().into_bytes();
        bytes[at] = other(bytes[at]);
        fs::write(&path, bytes).unwrap();
        let refused = go.run(&public, &new_key.path("keys"), &all).unwrap_err();
        assert!(refused.starts_with("checkpoint: "), "{refused}");
    }
}
