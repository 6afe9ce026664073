//! Reports of every kind, for tests of the crate and of its files by other programs.

use tiresias_scan::{Picture, Study};

use crate::{Bar, Bars, Drift, Evidence, HeatMap, Id, ModelFacts, Moment, Outcome, Report, Review, Verdict};

/// All that a report can tell.
pub(crate) fn full() -> Report {
    let scores = [("glioma", 1.25), ("meningioma", -0.5), ("no tumour", -3.0e-7)];
    let picture = (0..96 * 128).map(|at| ((at * at / 7) % 97) as f32 / 96.0).collect();
    let bar = |name: &str, value| Bar { name: name.into(), value };
    Report {
        id: Id::named("a sample"),
        outcome: Outcome::Scores {
            label: Some("glioma".into()),
            margin: 1.75,
            scores: scores.map(|(class, score)| (class.to_owned(), score)).to_vec(),
        },
        source: "slice 12.dcm".into(),
        picture: Picture::new(96, 128, 1, picture).ok(),
        heat_map: Some(HeatMap {
            class: "glioma".into(),
            height: 2,
            width: 3,
            values: vec![0.0, 2.5, 1.0, -1.0, 0.5, 0.25],
        }),
        bars: vec![Bars {
            class: "glioma".into(),
            intercept: 0.25,
            bars: vec![bar("size", 1.5), bar("shape & form", -0.5)],
        }],
        drift: Some(Drift { outside: 1, values: 64, distance: 0.9, limit: 1.8, is_far_out: false }),
        study: Some(study()),
        model: ModelFacts {
            name: "mri".into(),
            version: 3,
            config_id: "5e".repeat(32),
            gateway: "https://gateway.example:8443".into(),
            backbone: Some("b0".repeat(32)),
            about: Some("For research on brains.\n\nNot for children.".into()),
            facts: vec![("Encryption", "N2048_Q50, 134 bits of security".into())],
        },
        evidence: Some(Evidence {
            verdict: Verdict::Unwitnessed,
            reason: "no witness has signed the log".into(),
            log: "gateway.example/log".into(),
            leaf_index: Some(41),
            logged_at: Some("2026-11-24 23:50 UTC, within 10 minutes".into()),
            config_id: "5e".repeat(32),
        }),
        computed_at: Moment::from_unix(1_795_564_799).unwrap_or_default(),
        ..Report::default()
    }
}

pub(crate) fn study() -> Study {
    Study {
        patient_id: "PID-42".into(),
        issuer_of_patient_id: "St. Hedwig".into(),
        patient_name: "M\u{fc}ller^J\u{f8}rgen=\u{5c71}\u{7530}^\u{592a}\u{90ce}".into(),
        patient_birth_date: "19610504".into(),
        patient_sex: "M".into(),
        accession_number: "ACC-7".into(),
        study_instance_uid: "1.2.276.0.7230010.3.1.2.1".into(),
        study_id: "S1".into(),
        study_date: "20261123".into(),
        study_time: "101530".into(),
        timezone_offset: "+0100".into(),
        study_description: "MRI of the head".into(),
        referring_physician: "Referrer^Rita".into(),
        series_instance_uid: "1.2.276.0.7230010.3.1.3.1".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.4".into(),
        sop_instance_uid: "1.2.276.0.7230010.3.1.4.1".into(),
        modality: "MR".into(),
        frame_of_reference_uid: String::new(),
    }
}

fn findings() -> Outcome {
    let found = [("edema", Some(true)), ("mass", None), ("a nodule of the lung", Some(false))];
    Outcome::Findings(found.map(|(class, found)| (class.to_owned(), found)).to_vec())
}

/// A report of each form that an outcome has, by name.
pub(crate) fn all() -> Vec<(&'static str, Report)> {
    let far = Some(Review::All("the scan is unlike those that the model was calibrated on.".into()));
    let close = "the decision is too close for the computation.";
    let drift = Some(Drift { outside: 60, values: 64, distance: 9.0, limit: 1.8, is_far_out: true });
    let far_out = Report { review: far, drift, ..full() };
    let findings_of = |report: Report| Report {
        outcome: findings(),
        heat_map: None,
        bars: Vec::new(),
        frame: Some(4),
        study: Some(Study { sop_class_uid: "1.2.840.10008.5.1.4.1.1.4.1".into(), ..study() }),
        ..report
    };
    let below = Outcome::Scores { label: None, margin: 0.4, scores: vec![("malignant".into(), -0.4)] };
    let class = |label: Option<&str>| Outcome::Class(label.map(str::to_owned));
    let open = Report { review: Some(Review::Open(close.into())), ..full() };
    let undecided = Report { outcome: class(None), review: Some(Review::All(close.into())), ..full() };
    vec![
        ("scores", full()),
        ("scores_far_out", far_out.clone()),
        ("below", Report { outcome: below, ..full() }),
        ("class", Report { outcome: class(Some("benign")), evidence: None, ..full() }),
        ("undecided", undecided),
        ("findings", findings_of(open)),
        ("findings_far_out", findings_of(far_out)),
        ("hostile", hostile()),
    ]
}

/// Texts that mean something to HTML, JSON or DICOM.
pub(crate) fn hostile() -> Report {
    let nasty = "<b>&\"'\\\u{0}\u{1b}[31m\u{202e}\r\n]]>^=";
    let long = format!("{nasty}{}", "\u{1f9e0}long ".repeat(60));
    let mut report = full();
    report.outcome = Outcome::Scores {
        label: Some(long.clone()),
        margin: f64::MAX,
        scores: vec![(long.clone(), -1.0 / 3.0), (nasty.into(), f64::NAN), (String::new(), 1.0e-300)],
    };
    report.source = long.clone();
    report.model.name = long.clone();
    report.model.about = Some(format!("{long}\n\n{nasty}"));
    report.model.gateway = nasty.into();
    if let Some(evidence) = &mut report.evidence {
        evidence.reason = long.clone();
    }
    report.study = Some(Study {
        patient_id: long.clone(),
        patient_name: long.clone(),
        issuer_of_patient_id: long.clone(),
        patient_birth_date: "sometime".into(),
        patient_sex: "unknown to us".into(),
        accession_number: long.clone(),
        study_id: long.clone(),
        study_date: "2026-11-23".into(),
        study_time: "25:00".into(),
        timezone_offset: "+01:00".into(),
        study_description: long.clone(),
        referring_physician: long,
        modality: nasty.into(),
        ..study()
    });
    report
}
