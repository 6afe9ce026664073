//! `tiresias encrypt` and `tiresias decrypt`: the two halves of an inference, with any HTTP client in between.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, tiresias, with_features};
use gateway::{
    Gateway, Setup, fixture,
    http::{Reply, request},
};
use tiresias_client::oip;

/// Encrypts the fixture features into a directory of this name.
fn encrypt(gateway: &Gateway, name: &str, features: &Path) -> (PathBuf, Ended) {
    let directory = gateway.path(name);
    let mut arguments = gateway.command("encrypt");
    arguments.extend(["--out".into(), directory.to_str().unwrap().into()]);
    (directory, with_features(&arguments, features))
}

fn encrypted(gateway: &Gateway, name: &str) -> PathBuf {
    let (directory, ended) = encrypt(gateway, name, &fixture("features.npy"));
    let text = ended.done();
    assert!(text.starts_with("20 vectors encrypted for m version 1: send "), "{text}");
    directory
}

/// Sends `body.bin` as any HTTP client would.
fn post(gateway: &Gateway, directory: &Path) -> Reply {
    let header_length = fs::read_to_string(directory.join("header-length")).unwrap();
    let headers = [(oip::HEADER_LENGTH, header_length.as_str())];
    let body = fs::read(directory.join("body.bin")).unwrap();
    let reply = gateway.send(&request("POST", "/v2/models/m/versions/1/infer", &headers, &body)).unwrap();
    assert_eq!(reply.status, 200);
    reply
}

fn header_length(reply: &Reply) -> usize {
    reply.header(oip::HEADER_LENGTH).unwrap().parse().unwrap()
}

/// Decrypts a response body that is saved first.
fn decrypt(directory: &Path, body: &[u8], more: &[&str]) -> Ended {
    let response = directory.join("response.bin");
    fs::write(&response, body).unwrap();
    let paths = [directory.to_str().unwrap(), response.to_str().unwrap()];
    tiresias(&[&["decrypt", "--json", "--dir", paths[0], "--response", paths[1]], more].concat())
}

#[test]
fn the_two_halves_make_a_whole() {
    for privacy in ["flooded", "open-weights"] {
        let gateway = Setup::model(privacy).start();
        let expected = gateway.evaluate("m", &fixture("features.npy"));

        let directory = encrypted(&gateway, "plain");
        let reply = post(&gateway, &directory);
        assert_eq!(decrypt(&directory, &reply.body, &[]).json(), expected);

        let directory = encrypted(&gateway, "with-length");
        let reply = post(&gateway, &directory);
        let length = header_length(&reply).to_string();
        assert_eq!(decrypt(&directory, &reply.body, &["--header-length", &length]).json(), expected);

        let directory = encrypted(&gateway, "tensors");
        let reply = post(&gateway, &directory);
        let elements = oip::read_response(&reply.body, header_length(&reply), "scores").unwrap().elements;
        let mut arguments =
            ["decrypt", "--json", "--dir", directory.to_str().unwrap()].map(String::from).to_vec();
        arguments.push("--tensor".into());
        for (index, element) in elements.iter().enumerate() {
            let path = directory.join(format!("answer-{index}.bin"));
            fs::write(&path, element).unwrap();
            arguments.push(path.to_str().unwrap().into());
        }
        assert_eq!(tiresias(&arguments).json(), expected);
        assert!(!directory.join("state").exists());
    }
}

#[test]
fn the_table_is_that_of_infer() {
    let gateway = Setup::model("flooded").start();
    let directory = encrypted(&gateway, "out");
    let response = directory.join("response.bin");
    fs::write(&response, post(&gateway, &directory).body).unwrap();
    let paths = [directory.to_str().unwrap(), response.to_str().unwrap()];
    let table = tiresias(&["decrypt", "--dir", paths[0], "--response", paths[1]]).done();
    assert_eq!(table, with_features(&gateway.command("infer"), &fixture("features.npy")).done());
}

#[test]
fn encrypt_writes_the_elements_one_by_one_and_as_a_body() {
    let gateway = Setup::model("flooded").start();
    let directory = encrypted(&gateway, "out");
    let body = fs::read(directory.join("body.bin")).unwrap();
    let length: usize = fs::read_to_string(directory.join("header-length")).unwrap().parse().unwrap();
    let mut rest = &body[length..];
    for index in 0..20 {
        let element = fs::read(directory.join(format!("tensor-{index}.bin"))).unwrap();
        assert_eq!(rest[..4], (element.len() as u32).to_le_bytes());
        assert_eq!(rest[4..4 + element.len()], element);
        assert_ne!(element.last(), Some(&0), "numpy drops trailing zero bytes");
        rest = &rest[4 + element.len()..];
    }
    assert!(rest.is_empty());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 20 + 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(directory.join("state")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_failed_decrypt_keeps_the_state_and_a_good_one_removes_it() {
    let gateway = Setup::model("flooded").start();
    let expected = gateway.evaluate("m", &fixture("features.npy"));
    let directory = encrypted(&gateway, "out");
    let state = directory.join("state");
    let kept = fs::read(&state).unwrap();
    let reply = post(&gateway, &directory);
    let (good, length) = (reply.body.clone(), header_length(&reply));
    let failed = |case: &str, body: &[u8], more: &[&str], code: &str| {
        decrypt(&directory, body, more).failed(code);
        assert!(fs::read(&state).unwrap() == kept, "{case}: the state is as it was");
    };
    let flip = |at: usize| {
        let mut body = good.clone();
        body[at] ^= 4;
        body
    };
    failed("a damaged element", &flip(length + 2000), &[], "damaged");
    failed("a damaged end", &flip(good.len() - 1), &[], "no_end_mark");
    failed("a damaged frame", &flip(length + 4), &[], "wrong_magic");
    failed("a damaged length prefix", &flip(length), &[], "protocol");
    failed("a cut body", &good[..good.len() - 1], &[], "protocol");
    failed("an empty body", b"", &[], "protocol");
    failed("no response", b"once upon a time", &[], "protocol");
    failed("a long body", &[good.as_slice(), &[0]].concat(), &[], "protocol");
    failed("a very long body", &[good.as_slice(), &vec![0; 1 << 20]].concat(), &[], "file_too_large");
    failed("a header length too small", &good, &["--header-length", &(length - 1).to_string()], "protocol");
    failed("a header length too large", &good, &["--header-length", "99999999"], "protocol");
    let refusal = gateway.get("/v2/models/absent").body;
    failed("an error of the gateway", &refusal, &[], "protocol");

    // The answers to two vectors only, and the answers in another order.
    let elements = oip::read_response(&good, length, "scores").unwrap().elements;
    let paths: Vec<PathBuf> = (0..20).map(|index| directory.join(format!("answer-{index}.bin"))).collect();
    for (path, element) in paths.iter().zip(&elements) {
        fs::write(path, element).unwrap();
    }
    let tensors = |indices: &[usize]| {
        let mut arguments = vec!["decrypt", "--dir", directory.to_str().unwrap(), "--tensor"];
        arguments.extend(indices.iter().map(|&index| paths[index].to_str().unwrap()));
        let ended = tiresias(&arguments);
        assert!(fs::read(&state).unwrap() == kept, "the state is as it was");
        ended
    };
    let mut order: Vec<usize> = (0..20).collect();
    tensors(&order[..2]).failed("answer_count");
    order.swap(3, 4);
    tensors(&order).failed("wrong_request");

    assert_eq!(decrypt(&directory, &good, &[]).json(), expected);
    assert!(!state.exists());
    decrypt(&directory, &good, &[]).failed("io");
}

#[test]
fn answers_to_another_request_are_refused() {
    let gateway = Setup::model("flooded").start();
    let (mine, theirs) = (encrypted(&gateway, "mine"), encrypted(&gateway, "theirs"));
    let answer = post(&gateway, &theirs).body;
    decrypt(&mine, &answer, &[]).failed("wrong_request");
    assert!(mine.join("state").exists());
    assert_eq!(decrypt(&theirs, &answer, &[]).json().len(), 20);
}

#[test]
fn a_state_is_never_overwritten_and_a_damaged_one_is_refused() {
    let gateway = Setup::model("flooded").start();
    let directory = encrypted(&gateway, "out");
    let read_all =
        || ["state", "body.bin", "tensor-0.bin"].map(|name| fs::read(directory.join(name)).unwrap());
    let before = read_all();
    encrypt(&gateway, "out", &fixture("features.npy")).1.failed("io");
    assert!(read_all() == before, "a request in flight stays decryptable");

    let answer = post(&gateway, &directory).body;
    let state = directory.join("state");
    let good = &before[0];
    for (damaged, code) in [
        (good[..good.len() - 1].to_vec(), "state"),
        ([good.as_slice(), &[0]].concat(), "state"),
        (good[..9].to_vec(), "state"),
        (Vec::new(), "state"),
        ([b"TRSS\x02".as_slice(), &good[5..]].concat(), "state"),
    ] {
        fs::write(&state, damaged).unwrap();
        decrypt(&directory, &answer, &[]).failed(code);
    }
    fs::write(&state, good).unwrap();
    assert_eq!(decrypt(&directory, &answer, &[]).json().len(), 20);
}

#[test]
fn a_saved_card_is_enough_and_an_edited_one_is_refused() {
    let gateway = Setup::model("flooded").start();
    let card = gateway.get("/v2/models/m/config").body;
    let text = String::from_utf8(card.clone()).unwrap();
    let offline = |name: &str, card: &str| {
        let (path, out) = (gateway.path(&format!("{name}.json")), gateway.path(name));
        fs::write(&path, card).unwrap();
        let arguments = ["encrypt", "--card", path.to_str().unwrap(), "--out", out.to_str().unwrap()];
        (with_features(&arguments.map(String::from), &fixture("features.csv")), out)
    };
    for (case, from, to, code) in [
        ("open weights", "\"flooded\"", "\"open-weights\"", "card_mismatch"),
        ("another set", "\"N2048_Q50\"", "\"N2048_Q54\"", "unknown_parameters"),
        ("a leak denied", "\"leak_bits_per_score\": ", "\"leak_bits_per_score\": 1", "card_mismatch"),
        ("another policy", "\"scores\"", "\"label\"", "bad_card"),
        ("another format", "tiresias-card/v2", "tiresias-card/v1", "bad_card"),
        ("another field", "\"policy\"", "\"extra\": 1, \"policy\"", "bad_card"),
        ("cut", "{", "", "bad_card"),
    ] {
        assert!(text.contains(from), "the test's own text: {from}");
        let (ended, out) = offline("edited", &text.replacen(from, to, 1));
        ended.failed(code);
        assert!(!out.join("state").exists(), "{case}");
    }
    let (ended, out) = offline("saved", &text);
    assert!(ended.done().contains("/v2/models/m/versions/1/infer"));
    let answer = post(&gateway, &out).body;
    assert_eq!(decrypt(&out, &answer, &[]).json(), gateway.evaluate("m", &fixture("features.csv")));

    // Made for a card that looks right but is not the gateway's: the gateway refuses it.
    let (ended, out) = offline("renamed", &text.replace("\n}", "\n }"));
    ended.done();
    let headers = fs::read_to_string(out.join("header-length")).unwrap();
    let body = fs::read(out.join("body.bin")).unwrap();
    let headers = [(oip::HEADER_LENGTH, headers.as_str())];
    let reply = gateway.send(&request("POST", "/v2/models/m/infer", &headers, &body)).unwrap();
    assert_eq!((reply.status, reply.json()["code"].as_str()), (409, Some("config_mismatch")));
}
