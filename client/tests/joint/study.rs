//! Three clinics' folders, their roster and a gateway that has it, and a clinic that signs what it wants.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tiresias_evidence::{
    Hash, LogKey,
    joint::{Message, Place, Roster, Signed, Step, chain},
    note::secret::{self, Purpose},
};
use tiresias_keys::{
    Digest,
    joint::{JointKeyShare, mask},
};

use crate::{
    common::{Ended, start, tiresias},
    gateway::{Gateway, Setup, http},
};

/// Three clinics' folders, their roster, and a gateway that has it.
pub(crate) struct Study {
    pub(crate) directory: TempDir,
    pub(crate) roster: Roster,
    pub(crate) gateway: Gateway,
}

impl Study {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut arguments = vec!["joint".to_owned(), "roster".into(), "--name".into(), "study".into()];
        for clinic in 0..3 {
            let state = path(&format!("clinic-{clinic}"));
            let name = format!("clinic-{clinic}.example");
            let key = tiresias(&["joint", "key", "--state", &state, "--name", &name]).done();
            arguments.extend(["--clinic".into(), key.trim_end().into()]);
        }
        arguments.extend(["--out".into(), path("roster")]);
        tiresias(&arguments).done();
        let roster = Roster::parse(&fs::read_to_string(path("roster")).unwrap()).unwrap();
        let settings = format!("[joint]\nrosters = [{:?}]\n", path("roster"));
        let gateway = Setup::model("open-weights").with_data().settings(&settings).start();
        Self { directory, roster, gateway }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A command of one clinic, with what says who adds up; `roster` names the option that the roster is given by.
    pub(crate) fn arguments(&self, command: &[&str], clinic: usize, roster: &str) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let gateway = &self.gateway;
        let mut arguments: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        for (name, value) in [
            (roster, text(self.path("roster"))),
            ("--state", text(self.path(&format!("clinic-{clinic}")))),
            ("--gateway", gateway.url.replace("127.0.0.1", "localhost")),
            ("--ca", text(gateway.certificate("ca.pem"))),
            ("--cert", text(gateway.certificate("client.pem"))),
            ("--key", text(gateway.certificate("client-key.pem"))),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments
    }

    /// Runs a command at these clinics at the same time.
    pub(crate) fn at(&self, clinics: &[usize], command: impl Fn(usize) -> Vec<String>) -> Vec<Ended> {
        let children: Vec<_> = clinics.iter().map(|&clinic| start(&command(clinic))).collect();
        children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
    }

    pub(crate) fn ceremony(&self) -> Vec<String> {
        let ended = self.at(&[0, 1, 2], |clinic| self.arguments(&["joint", "ceremony"], clinic, "--roster"));
        ended.into_iter().map(Ended::done).collect()
    }

    /// `joint sum` of these numbers.
    pub(crate) fn sum(&self, clinic: usize, label: &str, values: &[i64], more: &[&str]) -> Vec<String> {
        let text: String = values.iter().map(|value| format!("{value}\n")).collect();
        let values = self.write(&format!("values-{clinic}"), &text);
        let command = ["joint", "sum", "--label", label, "--values", &values, "--bound", "1000000", "--json"];
        self.arguments(&[command.as_slice(), more].concat(), clinic, "--roster")
    }

    pub(crate) fn message_path(&self, place: &Place, clinic: usize) -> String {
        let (roster, Place { ceremony, round, step, .. }) = (hex::encode(place.roster), *place);
        format!("/v2/joint/{roster}/{ceremony}/{round}/{}/{clinic}", step.name())
    }

    pub(crate) fn place(&self, round: u32, step: Step) -> Place {
        Place { roster: self.roster.id(), ceremony: 1, round, step }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> http::Reply {
        self.gateway.send(&http::request(method, path, &[], body)).unwrap()
    }

    /// The gateway's file of a message or sum.
    pub(crate) fn on_the_gateways_disk(&self, place: &Place, name: &str) -> PathBuf {
        let id = hex::encode(place.roster);
        self.gateway.path("data/joint").join(id).join(format!("{}/{}/{name}", place.ceremony, place.round))
    }
}

/// Clinic 2 as a program of its own would be: it signs what it wants.
pub(crate) struct Impostor<'a> {
    pub(crate) study: &'a Study,
    pub(crate) key: LogKey,
}

impl<'a> Impostor<'a> {
    pub(crate) fn new(study: &'a Study) -> Self {
        let line = fs::read_to_string(study.path("clinic-2/key")).unwrap();
        Self { study, key: secret::decode(Purpose::Sign, &line).unwrap() }
    }

    pub(crate) fn draft(&self, place: Place, before: Hash) -> Message {
        Message { place, clinic: self.key.verifier().name().to_owned(), before, payload: [0; 32] }
    }

    pub(crate) fn put(&self, draft: Message, payload: &[u8]) -> http::Reply {
        let path = self.study.message_path(&draft.place, 2);
        self.study.ask("PUT", &path, &Signed::sign(&self.key, draft, payload))
    }

    /// The messages of a step of all clinics, as soon as they are there.
    pub(crate) fn wait(&self, place: Place) -> Vec<Signed> {
        let read = |clinic| loop {
            let reply = self.study.ask("GET", &self.study.message_path(&place, clinic), b"");
            if reply.status == 200 {
                return Signed::open(&reply.body, &self.study.roster, &place, clinic).unwrap();
            }
            assert_eq!(reply.json()["code"], "joint_unknown");
            thread::sleep(Duration::from_millis(50));
        };
        (0..3).map(read).collect()
    }

    pub(crate) fn chain_of(&self, place: Place) -> Hash {
        chain(self.wait(place).iter().map(|signed| &signed.message))
    }

    /// Seeds, and then a commitment to what `open` makes of the mask, the context of proofs, and nothing else; it is opened as `alter` makes it.
    pub(crate) fn ceremony(
        &self,
        open: impl Fn(&[u64], &Digest) -> JointKeyShare,
        alter: impl Fn(&mut Vec<u8>),
    ) {
        let place = |step| self.study.place(0, step);
        let identity = age_recipient(&self.study.path("clinic-2"));
        let seed = [[7; 32].as_slice(), identity.as_bytes()].concat();
        assert_eq!(self.put(self.draft(place(Step::Seed), self.study.roster.id()), &seed).status, 201);
        let seeded = self.chain_of(place(Step::Seed));
        let draft = self.draft(place(Step::Commit), seeded);
        let share = open(&mask(&Digest::from_bytes(seeded)), &Digest::from_bytes(draft.context()));
        let mut opening = [[9; 32].as_slice(), &share.to_bytes()].concat();
        let commitment = Digest::of(&[b"tiresias/joint-commitment/v1\n".as_slice(), &opening].concat());
        assert_eq!(self.put(draft, commitment.as_bytes()).status, 201);
        let committed = self.chain_of(place(Step::Commit));
        alter(&mut opening);
        assert_eq!(self.put(self.draft(place(Step::Open), committed), &opening).status, 201);
    }
}

/// Any key to seal to.
pub(crate) fn age_recipient(_: &Path) -> String {
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()
}

pub(crate) fn totals(ended: &Ended) -> Vec<i64> {
    let printed: Value = serde_json::from_str(&ended.out).unwrap();
    printed["totals"].as_array().unwrap().iter().map(|total| total.as_i64().unwrap()).collect()
}

/// The failure of a clinic, which names whom it is about.
pub(crate) fn names(ended: &Ended, code: &str, whom: &str) {
    ended.failed(code);
    assert!(ended.err.contains(whom), "{whom}: {ended:?}");
}

/// The breast-cancer table, split by the size of the tumour: clinic 0 sees small ones, clinic 2 large ones.
pub(crate) fn split() -> [Vec<Vec<String>>; 3] {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/wdbc.csv")).unwrap();
    let mut parts: [Vec<Vec<String>>; 3] = Default::default();
    for line in text.lines().skip(1) {
        let row: Vec<String> = line.split(',').take(4).map(str::to_owned).collect();
        let radius: f64 = row[1].parse().unwrap();
        parts[if radius < 12.0 {
            0
        } else if radius < 15.0 {
            1
        } else {
            2
        }]
        .push(row);
    }
    assert!(parts.iter().all(|part| part.len() > 100));
    parts
}

/// A model that calls a mean radius of 15 malignant and leaves what is near to a human; groups by texture and site.
pub(crate) fn decisions(rows: &[(usize, Vec<String>)]) -> String {
    let mut text = "truth,said,texture,site\n".to_owned();
    for (site, row) in rows {
        let radius: f64 = row[1].parse().unwrap();
        let said = if (14.5..15.0).contains(&radius) {
            "review"
        } else if radius >= 15.0 {
            "malignant"
        } else {
            "benign"
        };
        let texture = if row[2].parse::<f64>().unwrap() < 19.0 { "fine" } else { "coarse" };
        writeln!(text, "{},{said},{texture},site-{site}", row[0]).unwrap();
    }
    text
}
