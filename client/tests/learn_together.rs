//! `tiresias learn --joint`: three clinics' processes and a gateway over TLS learn of very different parts of a table of real patients what
//! one clinic learns of all of it, to the last byte; figures of held-out patients add up; and with noise, each clinic's ledger is charged.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, start, tiresias};
use gateway::{Gateway, Setup};
use tempfile::TempDir;
use tiresias_learn::{Alone, Patients, Settings, Weighing, choose::hold_out, train};
use tiresias_synth::{Bound, Bounds, Rows};

/// Three clinics' folders and tables, their roster, and a gateway that has it.
struct Study {
    directory: TempDir,
    gateway: Gateway,
}

impl Study {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut arguments = vec!["joint".to_owned(), "roster".into(), "--name".into(), "study".into()];
        for clinic in 0..3 {
            let (state, name) = (path(&format!("clinic-{clinic}")), format!("clinic-{clinic}.example"));
            let key = tiresias(&["joint", "key", "--state", &state, "--name", &name]).done();
            arguments.extend(["--clinic".into(), key.trim_end().into()]);
        }
        arguments.extend(["--out".into(), path("roster")]);
        tiresias(&arguments).done();
        let settings = format!("[joint]\nrosters = [{:?}]\n", path("roster"));
        let gateway = Setup::model("open-weights").with_data().settings(&settings).start();
        let study = Self { directory, gateway };
        study.split();
        study
    }

    /// Hardly a malignant case at the first clinic, hardly a benign one at the second, the largest cells at the third.
    fn split(&self) {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/wdbc.csv");
        let text = fs::read_to_string(demo).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        let mut parts = vec![format!("{header}\n"); 3];
        for (at, row) in rows.lines().enumerate() {
            let radius: f64 = row.split(',').nth(1).unwrap().parse().unwrap();
            let is_ill = row.starts_with("malignant");
            let clinic = if radius > 15.0 { 2 } else { usize::from(is_ill != (at % 17 == 0)) };
            parts[clinic] += &format!("{row}\n");
        }
        for (part, text) in parts.iter().enumerate() {
            fs::write(self.path(&format!("part-{part}.csv")), text).unwrap();
        }
        // Twice a round number about the mean, as a textbook might have it.
        let most = "28,38,184,1300,0.19,0.21,0.18,0.1,0.36,0.13,0.8,2.4,5.7,80,0.014,0.05,0.064,0.024,0.041,0.0076,32,51,214,1760,0.26,0.51,0.54,0.23,\
                    0.58,0.17";
        let bounds: String = most.split(',').map(|most| format!("0,{most}\n")).collect();
        fs::write(self.path("bounds.csv"), bounds).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Learning of a part of the table.
    fn learn(&self, part: usize, out: &str, more: &[&str]) -> Vec<String> {
        let (table, bounds, out) =
            (self.text(&format!("part-{part}.csv")), self.text("bounds.csv"), self.text(out));
        let usual = ["learn", "--features", &table, "--label-column", "diagnosis", "--out", &out, "--json"];
        let alike = ["--classes", "benign,malignant", "--bounds", &bounds];
        [&usual[..], &alike, more].concat().into_iter().map(str::to_owned).collect()
    }

    /// All three clinics at the same time, each with what is its own.
    fn together(&self, name: &str, more: &[&str], own: impl Fn(usize) -> Vec<String>) -> Vec<Ended> {
        self.at_all(|clinic| {
            let mut arguments = self.learn(clinic, &format!("{name}-{clinic}.safetensors"), more);
            arguments.extend(["--joint".to_owned(), self.text("roster")]);
            arguments.extend(own(clinic));
            arguments
        })
    }

    /// A command of all three clinics at the same time, with what says where they meet.
    fn at_all(&self, command: impl Fn(usize) -> Vec<String>) -> Vec<Ended> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let started = (0..3).map(|clinic| {
            let mut arguments = command(clinic);
            for (option, value) in [
                ("--state", self.text(&format!("clinic-{clinic}"))),
                ("--gateway", self.gateway.url.replace("127.0.0.1", "localhost")),
                ("--ca", text(self.gateway.certificate("ca.pem"))),
                ("--cert", text(self.gateway.certificate("client.pem"))),
                ("--key", text(self.gateway.certificate("client-key.pem"))),
            ] {
                arguments.extend([option.to_owned(), value]);
            }
            start(&arguments)
        });
        let started: Vec<_> = started.collect();
        started.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
    }

    fn head(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(&format!("{name}.safetensors"))).unwrap()
    }
}

/// The rows of a clinic, as `learn` reads them.
fn patients(rows: &[(usize, Vec<f64>)]) -> Patients {
    let values = rows.iter().flat_map(|(_, values)| values.iter().copied()).collect();
    let labels = rows.iter().map(|(class, _)| *class).collect();
    Patients::new(Rows::new(values, 30, labels, vec!["benign".into(), "malignant".into()]).unwrap())
}

fn rows(patients: &Patients) -> impl Iterator<Item = (usize, Vec<f64>)> + '_ {
    patients.rows().labels().iter().copied().zip(patients.rows().iter().map(<[f64]>::to_vec))
}

#[test]
fn ten_rounds_of_three_processes_are_ten_rounds_of_one() {
    let study = Study::new();
    // What one clinic learns of all patients but those that each clinic holds out, and what it says of these.
    let (mut learned, mut left_out) = (Vec::new(), Vec::new());
    for clinic in 0..3 {
        let text = fs::read_to_string(study.path(&format!("part-{clinic}.csv"))).unwrap();
        let row = |line: &str| {
            let (class, values) = line.split_once(',').unwrap();
            let values = values.split(',').map(|value| value.parse().unwrap()).collect();
            (usize::from(class == "malignant"), values)
        };
        let (own, others) =
            hold_out(&patients(&text.lines().skip(1).map(row).collect::<Vec<_>>()), 5, 1).unwrap();
        learned.extend(rows(&own));
        left_out.extend(rows(&others));
    }
    let bounds = fs::read_to_string(study.path("bounds.csv")).unwrap();
    let upper = |line: &str| line.strip_prefix("0,").unwrap().parse().unwrap();
    let bound = |line| Bound { lower: 0.0, upper: upper(line), whole: false };
    let bounds = Bounds::new(bounds.lines().map(bound).collect()).unwrap();
    let settings = Settings { weighing: Weighing::default(), strength: 1.0, rounds: 10 };
    let central = train(&patients(&learned), &bounds, &settings, &mut Alone).unwrap();
    assert!(central.run.is_converged && central.run.rounds > 5);
    let right = left_out.iter().filter(|(class, values)| central.head.classify(values) == *class).count();

    let together = study.together("joint", &["--rounds", "10", "--strength", "1"], |_| Vec::new());
    for (clinic, ended) in together.into_iter().enumerate() {
        let found = ended.json().remove(0);
        assert_eq!((&found["clinics"], found["patients"].as_u64()), (&3.into(), Some(central.run.patients)));
        assert_eq!((&found["rounds"], &found["is_converged"]), (&central.run.rounds.into(), &true.into()));
        let accuracy = &found["metrics"][0];
        assert_eq!(
            (&accuracy["name"], accuracy["samples"].as_u64()),
            (&"accuracy".into(), Some(left_out.len() as u64))
        );
        assert_eq!(accuracy["value"].as_f64(), Some(right as f64 / left_out.len() as f64));
        assert!(study.head(&format!("joint-{clinic}")) == central.head.to_safetensors().unwrap(), "{clinic}");
    }

    // With noise: the same head everywhere, another one than without, and an entry in each ledger.
    let private = ["--rounds", "2", "--epsilon", "5", "--delta", "1e-5"];
    let ledger = |clinic: usize| {
        let ledger = study.text(&format!("ledger-{clinic}"));
        let in_all = ["--ledger-epsilon", "6", "--ledger-delta", "1e-5"];
        [&["--ledger", &ledger][..], &in_all].concat().into_iter().map(str::to_owned).collect()
    };
    for ended in study.together("private", &private, ledger) {
        let found = ended.json().remove(0);
        assert_eq!((&found["ledger"]["entry"], found["metrics"].as_array().unwrap().len()), (&1.into(), 0));
    }
    assert!((1..3).all(|clinic| study.head(&format!("private-{clinic}")) == study.head("private-0")));
    assert!(study.head("private-0") != study.head("joint-0"));
    // Spent: refused before anything is sent, so the others learn nothing either.
    let refused = study.together("again", &private, ledger);
    for ended in refused {
        ended.failed("privacy_spent");
    }

    // Counts with noise, of the same ledger: one patient more moves them by one.
    let values = study.text("counts");
    fs::write(&values, "100\n-7\n").unwrap();
    let noisy = study.at_all(|clinic| {
        let (roster, ledger) = (study.text("roster"), study.text(&format!("ledger-{clinic}")));
        let what = ["joint", "sum", "--label", "counts", "--values", &values, "--bound", "1000000", "--json"];
        let noise = ["--epsilon", "0.1", "--sensitivity", "1", "--ledger", &ledger, "--roster", &roster];
        [&what[..], &noise].concat().into_iter().map(str::to_owned).collect()
    });
    let noisy: Vec<_> = noisy.into_iter().map(|ended| ended.json().remove(0)["totals"].clone()).collect();
    let totals: Vec<i64> = noisy[0].as_array().unwrap().iter().map(|total| total.as_i64().unwrap()).collect();
    // Three times noise of scale 10: beyond 300 once in 10^12.
    assert!((totals[0] - 300).abs() < 300 && (totals[1] + 21).abs() < 300 && totals.len() == 2, "{totals:?}");
    assert!(noisy[1] == noisy[0] && noisy[2] == noisy[0]);
    let ledger = fs::read_to_string(study.text("ledger-2")).unwrap();
    let last = ledger.lines().last().unwrap();
    assert!(
        last.contains("tiresias joint sum: counts") && last.contains("\"rho\":\"0.00500000000"),
        "{last}"
    );
}

#[test]
fn what_clinics_must_have_alike_is_asked_for() {
    let study = tempfile::tempdir().unwrap();
    let table = study.path().join("t.csv");
    fs::write(&table, "d,x\na,1\nb,2\na,3\nb,4\n").unwrap();
    let (table, out) = (table.to_str().unwrap(), study.path().join("h.safetensors"));
    let usual = ["learn", "--features", table, "--label-column", "d", "--out", out.to_str().unwrap()];
    let joint = ["--joint", "roster", "--state", "state", "--gateway", "https://localhost:1"];
    let bounds = study.path().join("b.csv");
    fs::write(&bounds, "0,5\n").unwrap();
    let bounds = ["--bounds", bounds.to_str().unwrap()];
    for (more, part) in [
        (vec![], "--bounds"),
        (bounds.to_vec(), "--classes"),
        ([&bounds[..], &["--classes", "a,b", "--groups", table]].concat(), "one label is expected"),
    ] {
        let ended = tiresias(&[&usual[..], &joint, &more].concat());
        assert!(ended.code != Some(0) && ended.err.contains(part), "{ended:?}");
    }
    tiresias(&[&usual[..], &["--state", "state"]].concat()).wrong_usage();
}
