//! A record of decisions that a real gateway's answers are in.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    common::{Ended, and, tiresias},
    gateway::{Gateway, Setup, fixture},
};

/// Labels of the fixture's classes.
pub(crate) const LABELS: &str = "glioma\nnecrosis\nhealthy\n";

/// A record in a folder, and the file of its passphrase.
pub(crate) struct Sealed {
    pub(crate) record: String,
    pub(crate) passphrase: String,
}

impl Sealed {
    pub(crate) fn make(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let sealed = Self { record: path("box/record"), passphrase: path("passphrase") };
        fs::create_dir(folder.join("box")).unwrap();
        fs::write(&sealed.passphrase, "correct horse\n").unwrap();
        #[cfg(unix)]
        fs::set_permissions(&sealed.passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        sealed.review(&["init"]).done();
        sealed
    }

    pub(crate) fn review(&self, more: &[&str]) -> Ended {
        let own = ["review", "--record", &self.record, "--passphrase-file", &self.passphrase];
        tiresias(&[&own, more].concat())
    }

    /// All cases, as they are listed.
    pub(crate) fn cases(&self) -> Vec<Value> {
        self.review(&["list", "--all", "--json"]).json()
    }
}

/// A gateway, and a clinic with a record, 20 usual patients and two that are far out.
pub(crate) struct Clinic {
    pub(crate) gateway: Gateway,
    pub(crate) record: String,
    pub(crate) passphrase: String,
    pub(crate) features: String,
    pub(crate) about: String,
}

impl Clinic {
    pub(crate) fn start() -> Self {
        let setup = Setup::empty();
        let labels = setup.path("labels");
        fs::write(&labels, LABELS).unwrap();
        let setup =
            setup.import("gemm.onnx", "m", &["--privacy", "flooded", "--labels", labels.to_str().unwrap()]);
        let gateway = setup.start();
        let path = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
        let (features, about) = (path("patients.csv"), path("about.csv"));
        let mut text = fs::read_to_string(fixture("features.csv")).unwrap();
        text += "900,900,900,900,900,900,900,900\n-900,900,-900,900,-900,900,-900,900\n";
        fs::write(&features, text).unwrap();
        let Sealed { record, passphrase } = Sealed::make(&gateway.path(""));
        let clinic = Self { gateway, record, passphrase, features, about };
        clinic.tell_about(22);
        clinic
    }

    /// Writes what is known of so many patients.
    pub(crate) fn tell_about(&self, patients: usize) {
        let mut about = "row,patient,sex,site,truth\n".to_owned();
        let labels: Vec<&str> = LABELS.lines().collect();
        for at in 0..patients {
            let (sex, site) = (["f", "m"][at % 2], ["north", "south"][at / 2 % 2]);
            let _ = writeln!(about, "{at},Müller-Anna-{at},{sex},{site},{}", labels[at % 3]);
        }
        fs::write(&self.about, about).unwrap();
    }

    pub(crate) fn infer(&self, more: &[&str]) -> Ended {
        tiresias(&self.infer_command(more))
    }

    pub(crate) fn infer_command(&self, more: &[&str]) -> Vec<String> {
        let own = ["--json", "--record", &self.record, "--features", &self.features];
        and(&and(&self.gateway.command("infer"), &own), more)
    }

    pub(crate) fn review(&self, more: &[&str]) -> Ended {
        self.sealed().review(more)
    }

    pub(crate) fn decide(&self, case: u64, choice: &[&str]) -> Ended {
        let case = case.to_string();
        self.review(&[choice, &[&case, "--by", "AMQX", "--reason", "seen on Zwickau film"]].concat())
    }

    /// All cases, as they are listed.
    pub(crate) fn cases(&self) -> Vec<Value> {
        self.sealed().cases()
    }

    fn sealed(&self) -> Sealed {
        Sealed { record: self.record.clone(), passphrase: self.passphrase.clone() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(&self.record).parent().unwrap().to_owned()
    }
}
