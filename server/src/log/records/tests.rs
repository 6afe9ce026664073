use std::{collections::BTreeSet, fs};

use proptest::prelude::*;

use super::*;

pub(crate) fn entry(number: u64) -> Hash {
    Sha256::digest(number.to_be_bytes()).into()
}

fn entries(path: &Path, covered: u64) -> Result<Vec<Hash>, Refusal> {
    let mut found = Vec::new();
    Records::open(path, covered, |entry| found.push(*entry))?;
    Ok(found)
}

fn journal(path: &Path, count: u64) -> Vec<Hash> {
    let all: Vec<Hash> = (0..count).map(entry).collect();
    let mut records = Records::open(path, 0, |_| {}).unwrap();
    for batch in all.chunks(BATCH) {
        records.append(batch).unwrap();
    }
    all
}

#[test]
fn a_journal_cut_at_any_byte_has_the_whole_records_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let all = journal(&path, 7);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 7 * RECORD);
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = cut / RECORD;
        let covered = whole as u64;
        assert_eq!(entries(&path, covered).unwrap(), all[..whole]);
        assert_eq!(fs::metadata(&path).unwrap().len(), (whole * RECORD) as u64, "the rest is cut off");
        assert!(matches!(entries(&path, covered + 1), Err(Refusal::Short(_))));
    }
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let all = journal(&path, 5);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        fs::write(&path, &changed).unwrap();
        let index = at / RECORD;
        let refused = entries(&path, index as u64 + 1);
        assert!(matches!(refused, Err(Refusal::Damaged(found)) if found == index as u64), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), changed, "what is refused is left as it is");
        assert_eq!(entries(&path, index as u64).unwrap(), all[..index], "no one was told of it");
    }
}

#[test]
fn zeros_behind_the_records_are_room_and_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let all = journal(&path, 5);
    let bytes = fs::read(&path).unwrap();
    for zeros in [1, RECORD, 3 * BATCH * RECORD + 1] {
        fs::write(&path, [bytes.as_slice(), &vec![0; zeros]].concat()).unwrap();
        assert_eq!(entries(&path, 5).unwrap(), all);
    }
    let mut gap = [bytes.as_slice(), &vec![0; 300 * RECORD]].concat();
    gap[304 * RECORD] = 1;
    fs::write(&path, gap).unwrap();
    assert!(matches!(entries(&path, 5), Err(Refusal::Damaged(5))), "no write leaves so long a gap");

    // Room is made in steps, and a crash leaves it there.
    fs::write(&path, &bytes).unwrap();
    let mut records = Records::open(&path, 5, |_| {}).unwrap();
    records.append(&[entry(5)]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes.len() as u64 + STEP);
    std::mem::forget(records);
    assert_eq!(entries(&path, 6).unwrap().len(), 6);
    assert_eq!(fs::metadata(&path).unwrap().len(), 6 * RECORD as u64);
}

#[test]
fn records_belong_to_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    journal(&path, 3);
    let bytes = fs::read(&path).unwrap();
    let swapped = [&bytes[..RECORD], &bytes[2 * RECORD..], &bytes[RECORD..2 * RECORD]].concat();
    fs::write(&path, swapped).unwrap();
    assert!(matches!(entries(&path, 3), Err(Refusal::Damaged(1))));
}

#[test]
fn damage_farther_back_than_one_write_is_never_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let count = BATCH as u64 + 10;
    journal(&path, count);
    let bytes = fs::read(&path).unwrap();
    for (index, refused) in [(0, true), (9, true), (10, false), (count - 1, false)] {
        let mut changed = bytes.clone();
        changed[index as usize * RECORD] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert_eq!(entries(&path, 0).is_err(), refused, "{index}");
    }
}

/// The least that the cache below keeps or forgets at once.
const PAGE: usize = 256;

/// A file behind a cache, which fails when its time has come.
#[derive(Debug, Default)]
struct Failing {
    /// What processes see.
    cache: Vec<u8>,
    /// What outlives a power cut.
    disk: Vec<u8>,
    /// The pages that differ.
    dirty: BTreeSet<usize>,
    /// Whether a page that could not be written is forgotten; else it is kept and taken for written. Systems do either.
    forgets: bool,
    /// Calls until the next failure.
    calls: Option<usize>,
    /// Whether all calls fail from then on.
    forever: bool,
}

impl Failing {
    fn fails(&mut self) -> bool {
        match &mut self.calls {
            Some(0) => {
                self.calls = self.calls.filter(|_| self.forever);
                true
            }
            Some(calls) => {
                *calls -= 1;
                false
            }
            None => false,
        }
    }

    fn flush(&mut self, succeeds: bool) {
        self.disk.resize(self.cache.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let range = page * PAGE..((page + 1) * PAGE).min(self.cache.len());
            if succeeds {
                self.disk[range.clone()].copy_from_slice(&self.cache[range]);
            } else if self.forgets {
                self.cache[range.clone()].copy_from_slice(&self.disk[range]);
            }
        }
    }

    fn cut_power(&mut self) {
        self.cache.clone_from(&self.disk);
        self.dirty.clear();
    }

    /// Opens it as a new process does, and says what was found.
    fn resumed(self, covered: u64) -> (Records<Self>, Vec<Hash>) {
        let (mut found, file) = (Vec::new(), self.cache.clone());
        let length = file.len() as u64;
        let records = Records::resume(self, file.as_slice(), length, covered, |entry| found.push(*entry));
        (records.unwrap(), found)
    }
}

impl Disk for Failing {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let fails = self.fails();
        let bytes = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        let (at, end) = (at as usize, at as usize + bytes.len());
        self.cache.resize(self.cache.len().max(end), 0);
        self.cache[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / PAGE..end.div_ceil(PAGE));
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let fails = self.fails();
        self.flush(!fails);
        if fails { Err(io::Error::other("sync")) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.fails() {
            return Err(io::Error::other("cut"));
        }
        self.cache.truncate(length as usize);
        self.dirty.retain(|page| page * PAGE < length as usize);
        self.sync()
    }
}

#[test]
fn a_failed_write_leaves_nothing_and_the_next_one_goes_on() {
    // Of the calls that the second append and its mending make, each may be the first of one or many that fail.
    for (failing, forever) in (0..3).flat_map(|at| [(at, false), (at, true)]) {
        let (mut records, _) = Failing::default().resumed(0);
        records.append(&[entry(0)]).unwrap();
        (records.disk.calls, records.disk.forever) = (Some(failing), forever);
        let failed = records.append(&[entry(1), entry(2)]);
        assert_eq!(failed.is_err(), failing < 2, "{failing}");
        if failed.is_ok() {
            continue;
        }
        if forever {
            assert!(records.append(&[entry(3)]).is_err());
            assert_eq!(records.durable, 1);
        }
        records.disk.calls = None;
        records.append(&[entry(4)]).unwrap();
        let expected = [record(0, &entry(0)), record(1, &entry(4))].concat();
        let (found, behind) = records.disk.disk.split_at(2 * RECORD);
        assert_eq!((records.durable, found), (2, expected.as_slice()), "{failing} {forever}");
        assert!(behind.iter().all(|&byte| byte == 0), "{failing} {forever}");
    }
}

/// What happens to a journal.
#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// From some call on, once or for good.
    Fail(usize, bool),
    Repair,
    EndProcess,
    CutPower,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=BATCH).prop_map(Step::Append),
        3 => (0_usize..8, any::<bool>()).prop_map(|(calls, forever)| Step::Fail(calls, forever)),
        1 => Just(Step::Repair),
        1 => Just(Step::EndProcess),
        1 => Just(Step::CutPower),
    ]
}

proptest! {
    #[test]
    fn what_was_acknowledged_outlives_failures_ended_processes_and_power_cuts(
        steps in prop::collection::vec(step(), 1..60),
        forgets in any::<bool>(),
    ) {
        let (mut records, _) = Failing { forgets, ..Failing::default() }.resumed(0);
        let (mut acknowledged, mut number) = (Vec::new(), 0);
        for step in steps.into_iter().chain([Step::CutPower]) {
            match step {
                Step::Append(count) => {
                    let batch: Vec<Hash> = (number..number + count as u64).map(entry).collect();
                    number += count as u64;
                    if records.append(&batch).is_ok() {
                        acknowledged.extend(batch);
                    }
                    prop_assert_eq!(records.durable, acknowledged.len() as u64);
                }
                Step::Fail(calls, forever) => {
                    (records.disk.calls, records.disk.forever) = (Some(calls), forever);
                }
                Step::Repair => records.disk.calls = None,
                Step::EndProcess | Step::CutPower => {
                    let mut disk = std::mem::take(&mut records.disk);
                    disk.calls = None;
                    if matches!(step, Step::CutPower) {
                        disk.cut_power();
                    }
                    let (resumed, found) = disk.resumed(acknowledged.len() as u64);
                    records = resumed;
                    // What a failed write left whole counts from here on.
                    prop_assert!(found.starts_with(&acknowledged) && found.len() <= acknowledged.len() + BATCH);
                    acknowledged = found;
                }
            }
        }
    }
}
