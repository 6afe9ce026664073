//! Sums over clinics: three clinics' processes and a gateway over TLS add up what a table of real patients says, split unevenly; the totals
//! are those of the whole table. And what goes wrong: a clinic that is missing, lies, opens another key, sends twice, or sends what was sent
//! before; a gateway that adds wrongly, or asks for a second share.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;
#[path = "joint/study.rs"]
mod study;

use std::{fmt::Write as _, fs, path::PathBuf, thread, time::Duration};

use common::{start, tiresias};
use gateway::Setup;
use sha2::{Digest as _, Sha256};
use study::{Impostor, Study, decisions, names, split, totals};
use tiresias_client::joint::StateDirectory;
use tiresias_evidence::{
    Hash, Receipt,
    joint::{Signed, Step},
};
use tiresias_keys::{
    Digest,
    joint::{JOINT, JointBlock, JointKeyShare, JointSubmission, Plan, mask},
};
use tiresias_secret_key::{JointSecret, encrypt_for_joint_sum};

#[test]
fn three_clinics_find_what_one_would_that_had_all_patients() {
    let study = Study::new();
    let printed = study.ceremony();
    assert!(printed.iter().all(|line| *line == printed[0] && line.contains("transcript")), "{printed:?}");

    // Plain totals.
    let vectors: [Vec<i64>; 3] =
        [vec![1, -2, 1_000_000], vec![10, 0, 1_000_000], vec![100, -999_999, 1_000_000]];
    let ended = study.at(&[0, 1, 2], |clinic| study.sum(clinic, "first", &vectors[clinic], &[]));
    for ended in &ended {
        assert_eq!(totals(ended), [111, -1_000_001, 3_000_000], "{ended:?}");
    }

    // Fairness: the counts of the whole table.
    let parts = split();
    let all: Vec<(usize, Vec<String>)> = parts
        .iter()
        .enumerate()
        .flat_map(|(site, rows)| rows.iter().map(move |row| (site, row.clone())))
        .collect();
    let whole = study.write("whole.csv", &decisions(&all));
    let vocabulary = study.write(
        "vocabulary.toml",
        "classes = ['benign', 'malignant']\n[groups]\ntexture = ['coarse', 'fine']\nsite = ['site-0', 'site-1', 'site-2']\n",
    );
    let options =
        ["--truth", "truth", "--prediction", "said", "--abstain", "review", "--groups", "texture,site"];
    let options =
        [options.as_slice(), &["--positive", "malignant", "--min-cell", "1", "--resamples", "0", "--json"]]
            .concat();
    let ended = study.at(&[0, 1, 2], |clinic| {
        let own: Vec<_> = all.iter().filter(|(site, _)| *site == clinic).cloned().collect();
        let table = study.write(&format!("decisions-{clinic}.csv"), &decisions(&own));
        let command = [&["fairness"], options.as_slice(), &["--vocabulary", &vocabulary, &table]].concat();
        study.arguments(&command, clinic, "--joint")
    });
    let central = tiresias(&[&["fairness"], options.as_slice(), &[whole.as_str()]].concat()).json().remove(0);
    for ended in ended {
        let mut joint = ended.json().remove(0);
        assert_eq!(joint["suppressed"]["cells"], 0);
        joint.as_object_mut().unwrap().remove("suppressed");
        let mut central = central.clone();
        for audit in [&mut joint, &mut central] {
            audit.as_object_mut().unwrap().remove("command");
        }
        assert_eq!(joint, central);
    }

    // Harmonization: the figures of the whole table.
    let ended = study.at(&[0, 1, 2], |clinic| {
        let mut table = "scanner,radius,texture,perimeter\n".to_owned();
        for (at, row) in parts[clinic].iter().enumerate() {
            writeln!(table, "scanner-{},{}", (at + clinic) % 2, row[1..4].join(",")).unwrap();
        }
        let table = study.write(&format!("features-{clinic}.csv"), &table);
        let out = study.path(&format!("harmony-{clinic}.json"));
        let apply = study.path(&format!("harmonized-{clinic}.csv"));
        let command =
            ["harmonize", "--features", &table, "--by", "scanner", "--sites", "scanner-0,scanner-1"];
        let more = [
            "--step",
            "0.001",
            "--largest",
            "100",
            "--scale",
            "perimeter=0.01,500",
            "--out",
            out.to_str().unwrap(),
        ];
        let apply = ["--apply", apply.to_str().unwrap(), "--json"];
        study.arguments(&[command.as_slice(), &more, &apply].concat(), clinic, "--roster")
    });
    let radii: Vec<f64> = all.iter().map(|(_, row)| row[1].parse().unwrap()).collect();
    let (mean, variance) = moments(&radii);
    for ended in ended {
        let harmony = ended.json().remove(0);
        let radius = &harmony["features"][0];
        assert_eq!(radius["all"]["count"], radii.len());
        assert!((radius["all"]["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
        assert!((radius["all"]["variance"].as_f64().unwrap() / variance - 1.0).abs() < 1e-9);
    }
    let mut harmonized = [Vec::new(), Vec::new()];
    for clinic in 0..3 {
        let text = fs::read_to_string(study.path(&format!("harmonized-{clinic}.csv"))).unwrap();
        for line in text.lines().skip(1) {
            let mut fields = line.split(',');
            let scanner: usize = fields.next().unwrap().strip_prefix("scanner-").unwrap().parse().unwrap();
            harmonized[scanner].push(fields.next().unwrap().parse::<f64>().unwrap());
        }
    }
    for of_scanner in harmonized {
        let (own_mean, own_variance) = moments(&of_scanner);
        assert!((own_mean - mean).abs() < 1e-6 && (own_variance / variance - 1.0).abs() < 1e-6);
    }

    // Every message has a receipt, and every sum a leaf.
    let receipts = fs::read_dir(study.path("clinic-0")).unwrap().flat_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::read_dir(path).unwrap().collect::<Vec<_>>() } else { Vec::new() }
    });
    let receipts: Vec<PathBuf> = receipts
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "receipt"))
        .collect();
    assert_eq!(receipts.len(), 4 + 2 * 3, "{receipts:?}");
    let receipt = Receipt::parse(&fs::read_to_string(&receipts[0]).unwrap()).unwrap();
    assert_eq!(receipt.leaf.event.name(), "joint-message");
    let verified = tiresias(&[
        "verify",
        receipts[0].to_str().unwrap(),
        "--log-key",
        study.gateway.log_key.as_ref().unwrap(),
    ]);
    assert_eq!(verified.code, Some(3), "unwitnessed, and nothing is wrong: {verified:?}");
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

#[test]
fn a_clinic_that_is_missing_is_named_and_the_round_begins_anew() {
    let study = Study::new();
    let waiting = |command: &[&str], clinic| {
        [study.arguments(command, clinic, "--roster"), vec!["--wait".into(), "4".into()]].concat()
    };
    let ended = study.at(&[0, 1], |clinic| waiting(&["joint", "ceremony"], clinic));
    for ended in &ended {
        names(ended, "joint_missing", "seed of clinic-2.example is not there in time");
    }
    study.ceremony();

    let own = [[1, 2], [10, 20], [100, 200]];
    let ended = study.at(&[0, 1], |clinic| study.sum(clinic, "sum", &own[clinic], &["--wait", "10"]));
    for ended in &ended {
        names(ended, "joint_missing", "submit of clinic-2.example is not there in time");
    }
    // Clinic 0 has changed its mind meanwhile: it joins with a fresh encryption, and so do all.
    let changed = [[3, 4], own[1], own[2]];
    let ended = study.at(&[0, 1, 2], |clinic| study.sum(clinic, "sum", &changed[clinic], &[]));
    for ended in &ended {
        assert_eq!(totals(ended), [113, 224], "{ended:?}");
    }
    assert!(study.on_the_gateways_disk(&study.place(2, Step::Submit), "sum").is_file());
    // Clinic 2 may have found the round that was left behind, and completed it; the others open it no more.
    for clinic in [0, 1] {
        let share = study.on_the_gateways_disk(&study.place(1, Step::Share), &format!("share-{clinic}"));
        assert!(!share.exists(), "the round left behind is never opened");
    }
    // With another bound, number of values or label, clinics do not sum the same thing, and say so.
    let ended = study.at(&[0, 1, 2], |clinic| {
        study.sum(clinic, if clinic == 2 { "other" } else { "sum" }, &own[clinic], &["--wait", "20"])
    });
    for clinic in [0, 1] {
        names(
            &ended[clinic],
            "joint_cheat",
            "clinic-2.example cheats, or is broken, in step submit: it sums something else",
        );
    }
}

#[test]
fn keys_that_would_give_others_away_are_found_and_their_clinic_is_named() {
    // It opens another share than it committed to, as one does who has seen the others' first.
    let study = Study::new();
    let children: Vec<_> =
        [0, 1].map(|clinic| start(&study.arguments(&["joint", "ceremony"], clinic, "--roster"))).into();
    let honest =
        |mask: &[u64], context: &Digest| JointSecret::generate().unwrap().key_share(mask, context).unwrap();
    let other = std::cell::RefCell::new(Vec::new());
    Impostor::new(&study).ceremony(
        |mask, context| {
            *other.borrow_mut() = honest(mask, context).to_bytes();
            honest(mask, context)
        },
        |opening| opening.splice(32.., other.borrow().iter().copied()).for_each(drop),
    );
    for child in children {
        let ended = child.wait_with_output().unwrap().into();
        names(
            &ended,
            "joint_cheat",
            "clinic-2.example cheats, or is broken, in step open: it opens something else",
        );
    }

    // It publishes a key of which it knows no short secret, with the proof of another.
    let study = Study::new();
    let children: Vec<_> =
        [0, 1].map(|clinic| start(&study.arguments(&["joint", "ceremony"], clinic, "--roster"))).into();
    Impostor::new(&study).ceremony(
        |common, context| {
            let rogue = mask(&Digest::of(b"b* less the sum of the others"));
            JointKeyShare::new(rogue, honest(common, context).proof().clone())
        },
        |_| {},
    );
    for child in children {
        let ended = child.wait_with_output().unwrap().into();
        names(
            &ended,
            "joint_cheat",
            "clinic-2.example cheats, or is broken, in step open: it has not proved",
        );
    }
}

/// What all clinics submit for this sum rests on, and the keys to encrypt with.
fn sum_of(impostor: &Impostor<'_>, label: &str, values: usize) -> (Hash, Vec<u64>, Vec<u64>) {
    let place = |step| impostor.study.place(0, step);
    let common = mask(&Digest::from_bytes(impostor.chain_of(place(Step::Seed))));
    let opens = impostor.wait(place(Step::Open));
    let shares: Vec<JointKeyShare> =
        opens.iter().map(|open| JointKeyShare::from_bytes(&open.payload[32..]).unwrap()).collect();
    let transcript = hex::encode(impostor.chain_of(place(Step::Agree)));
    let text = format!(
        "tiresias/joint-sum/v1\ntranscript {transcript}\nvalues {values}\nbound 1000000\nlabel {label}\n"
    );
    (Sha256::digest(text).into(), common, tiresias_keys::joint::joint_key(&shares))
}

#[test]
fn submissions_that_would_draw_secrets_out_are_found_and_nothing_is_taken_twice() {
    let study = Study::new();
    study.ceremony();
    let impostor = Impostor::new(&study);
    let (before, common, key) = sum_of(&impostor, "sum", 1);
    let plan = Plan::new(3, 1, 1_000_000).unwrap();

    // A mask that would make the honest clinics' shares show their secrets, with the proof of another.
    let children: Vec<_> = [0, 1].map(|clinic| start(&study.sum(clinic, "sum", &[1], &[]))).into();
    let draft = impostor.draft(study.place(1, Step::Submit), before);
    let context = Digest::from_bytes(draft.context());
    let good = encrypt_for_joint_sum(&plan, &common, &key, &[5], &context).unwrap();
    let mut wide = JOINT.ring().zero();
    wide[0] = 1 << 49;
    wide[4096] = 1 << 49;
    let block = good.blocks()[0].clone();
    let evil =
        JointSubmission::new(vec![JointBlock::new(wide, block.body().to_vec(), block.proof().clone())]);
    assert_eq!(impostor.put(draft.clone(), &evil.to_bytes()).status, 201);
    for child in children {
        let ended = child.wait_with_output().unwrap().into();
        names(
            &ended,
            "joint_cheat",
            "clinic-2.example cheats, or is broken, in step submit: it has not proved",
        );
    }
    for clinic in [0, 1] {
        let share = study.on_the_gateways_disk(&study.place(1, Step::Share), &format!("share-{clinic}"));
        assert!(!share.exists(), "no share was given");
    }

    // Another submission in its place, a copy for the next round, a copy of another clinic's: none is taken.
    let twice = impostor.put(draft, &good.to_bytes());
    assert_eq!((twice.status, twice.json()["code"].as_str()), (409, Some("joint_conflict")));
    let stored = |clinic: usize| {
        fs::read(study.on_the_gateways_disk(&study.place(1, Step::Submit), &format!("submit-{clinic}")))
            .unwrap()
    };
    for (round, bytes) in [(2, stored(2)), (2, stored(0)), (1, stored(0))] {
        let path = study.message_path(&study.place(round, Step::Submit), 2);
        let refused = study.ask("PUT", &path, &bytes);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("malformed_message")));
    }
    // Another clinic's ciphertext and proof under its own name: taken by the gateway, found by the clinics.
    let children: Vec<_> = [0, 1].map(|clinic| start(&study.sum(clinic, "sum", &[2], &[]))).into();
    let place = study.place(2, Step::Submit);
    let copied = loop {
        let reply = study.ask("GET", &study.message_path(&place, 0), b"");
        if reply.status == 200 {
            break Signed::open(&reply.body, &study.roster, &place, 0).unwrap().payload;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(impostor.put(impostor.draft(place, before), &copied).status, 201);
    for child in children {
        let ended = child.wait_with_output().unwrap().into();
        names(
            &ended,
            "joint_cheat",
            "clinic-2.example cheats, or is broken, in step submit: it has not proved",
        );
    }
}

#[test]
fn a_gateway_that_adds_wrongly_or_asks_for_a_second_share_gets_none() {
    let study = Study::new();
    study.ceremony();
    let impostor = Impostor::new(&study);

    // A sum that is one clinic's submission alone, where that of all should be.
    let path = study.on_the_gateways_disk(&study.place(1, Step::Submit), "sum");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, vec![0; 64]).unwrap();
    let ended = study.at(&[0, 1, 2], |clinic| study.sum(clinic, "sum", &[1], &[]));
    for ended in &ended {
        names(ended, "joint_gateway", "its sum is not that of the submissions");
    }

    // A round that has been opened, and then another submission in the place of one of its own: a superset, in effect, of two opened sets.
    let ended = study.at(&[0, 1, 2], |clinic| study.sum(clinic, "sum", &[7], &[]));
    ended.iter().for_each(|ended| assert_eq!(totals(ended), [21], "{ended:?}"));
    // What the gateway holds opens nothing: shares are sealed to the clinics.
    let share = study.ask("GET", &study.message_path(&study.place(2, Step::Share), 0), b"");
    let sealed = Signed::open(&share.body, &study.roster, &study.place(2, Step::Share), 0).unwrap().payload;
    assert!(sealed.starts_with(b"age-encryption.org/v1"));
    let place = |step| study.place(2, step);
    for name in ["submit-2", "sum", "share-0", "share-1", "share-2"] {
        fs::remove_file(study.on_the_gateways_disk(&place(Step::Submit), name)).unwrap();
    }
    for clinic in [0, 1] {
        let kept = study.path(&format!("clinic-{clinic}/{}-1", &hex::encode(study.roster.id())[..16]));
        fs::remove_file(kept.join("2-done")).unwrap();
    }
    let (before, common, key) = sum_of(&impostor, "sum", 1);
    let plan = Plan::new(3, 1, 1_000_000).unwrap();
    let draft = impostor.draft(place(Step::Submit), before);
    let other =
        encrypt_for_joint_sum(&plan, &common, &key, &[0], &Digest::from_bytes(draft.context())).unwrap();
    assert_eq!(impostor.put(draft, &other.to_bytes()).status, 201);
    let ended = study.at(&[0, 1], |clinic| study.sum(clinic, "sum", &[7], &[]));
    for ended in &ended {
        ended.failed("joint_second_share");
    }

    // The state directory has one user at a time.
    let _held = StateDirectory::open(&study.path("clinic-0")).unwrap();
    tiresias(&study.sum(0, "sum", &[7], &[])).failed("joint_state");
}

#[test]
fn a_gateway_without_rosters_has_no_board() {
    let study = Study::new();
    let plain = Setup::model("open-weights").with_data().start();
    let mut arguments = study.arguments(&["joint", "ceremony"], 0, "--roster");
    for (name, value) in [
        ("--gateway", plain.url.replace("127.0.0.1", "localhost")),
        ("--ca", plain.certificate("ca.pem").to_str().unwrap().to_owned()),
        ("--cert", plain.certificate("client.pem").to_str().unwrap().to_owned()),
        ("--key", plain.certificate("client-key.pem").to_str().unwrap().to_owned()),
    ] {
        let at = arguments.iter().position(|argument| argument == name).unwrap();
        arguments[at + 1] = value;
    }
    tiresias(&arguments).failed("unknown_route");
}
