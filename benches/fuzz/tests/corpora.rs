//! Replays the corpora: what was found once is not found again.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use tiresias_fuzz::{TARGETS, target};

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(corpus(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_target_takes_its_corpus_and_nothing() {
    for &(name, run) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() > 1, "{name} has a corpus");
        run(b"");
        for (path, bytes) in inputs {
            // Shown where it panics.
            println!("{}", path.display());
            run(&bytes);
        }
    }
}

/// A sequence of bytes that is the same on every machine.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize
    }

    /// The input with a change of the kinds that fuzzers begin with.
    fn change(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..1 + self.next() % 3 {
            let at = self.next() % bytes.len().max(1);
            match self.next() % 5 {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << (self.next() % 8),
                1 if !bytes.is_empty() => {
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'"', b'\n'][self.next() % 8]
                }
                2 => bytes.truncate(at),
                3 => bytes.insert(at.min(bytes.len()), self.next() as u8),
                _ => {
                    let end = (at + self.next() % 16).min(bytes.len());
                    let copied = bytes[at.min(end)..end].to_vec();
                    bytes.extend(copied);
                }
            }
        }
        bytes
    }
}

/// Without a fuzzer's tools, and so without what it learns: some changes of each input.
#[test]
fn every_target_takes_changes_of_its_corpus() {
    changes(0x7472_7371, 1);
}

/// `cargo test -p tiresias-fuzz --test corpora -- --ignored`, some minutes; `TIRESIAS_SEED` and `TIRESIAS_TIMES` make it another run.
#[test]
#[ignore = "some minutes"]
fn every_target_takes_many_changes_of_its_corpus() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    changes(number("TIRESIAS_SEED", 1), number("TIRESIAS_TIMES", 200));
}

fn changes(seed: u64, times: u64) {
    println!("seed {seed:#x}");
    for (number, &(name, run)) in TARGETS.iter().enumerate() {
        let mut sequence = Sequence(seed + number as u64);
        let changes = if name.starts_with("conforming") { 2 } else { 25 } * times;
        for (path, bytes) in inputs(name) {
            for _ in 0..changes {
                let changed = sequence.change(&bytes);
                let caught = std::panic::catch_unwind(|| run(&changed));
                let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-found"));
                if caught.is_err() {
                    fs::write(&found, &changed).unwrap();
                }
                assert!(
                    caught.is_ok(),
                    "{name}: a change of {} does it: {}",
                    path.display(),
                    found.display()
                );
            }
        }
    }
}

#[test]
fn names_find_their_targets() {
    for &(name, run) in TARGETS {
        assert!(std::ptr::fn_addr_eq(target(name), run), "{name}");
        let manifest = include_str!("../libfuzzer/Cargo.toml");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has no program for a fuzzer");
    }
}
