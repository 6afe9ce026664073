//! `tiresias enroll`: what is stored before what is sent, what is sent again and what is not, and how keys lie in files.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use common::{
    Ended, and, command,
    relay::{Act, Requests, Seen, refusal},
    tiresias,
};
use gateway::{Gateway, Setup};
use serde_json::{Value, json};
use tiresias_keys::{Digest, EvaluationKey, bootstrap_parameters::N918_N2048_Q50};

const SET: &str = "N918_N2048_Q50";
const BYTES: usize = 23_533_641;

/// The keys that a scripted gateway has, by path.
type Store = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A gateway that knows of `/v2/keys` and of nothing else, and a directory with certificates.
struct Clinic {
    gateway: Gateway,
    relay: Requests,
    store: Store,
}

impl Clinic {
    fn start() -> Self {
        Self::disturbed(|_, _| None)
    }

    /// `disturb` may act in the gateway's place; it is told the request and how many of its kind came before.
    fn disturbed(disturb: impl Fn(&Seen, usize) -> Option<Act> + Send + Sync + 'static) -> Self {
        let gateway = Setup::model("flooded").start();
        let store = Store::default();
        let known = Arc::clone(&store);
        let relay = Requests::start(&gateway, move |seen, before| {
            disturb(seen, before).unwrap_or_else(|| Act::Reply(answer(&known, seen)))
        });
        Self { gateway, relay, store }
    }

    /// `enroll` at this gateway.
    fn enroll(&self, more: &[&str]) -> Vec<String> {
        let path = |name| self.gateway.certificate(name).to_str().unwrap().to_owned();
        let (ca, cert, key) = (path("ca.pem"), path("client.pem"), path("client-key.pem"));
        let options = ["--gateway", &self.relay.url, "--ca", &ca, "--cert", &cert, "--key", &key];
        and(&and(&["enroll".into()], &options), more)
    }

    fn run(&self, more: &[&str]) -> Ended {
        let output = command(&self.enroll(more)).stdin(Stdio::null()).output();
        output.unwrap().into()
    }

    /// The only line that the command prints with `--json`.
    fn json(&self, more: &[&str]) -> Value {
        let mut lines = self.run(&[more, &["--json"]].concat()).json();
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    fn file(&self, name: &str) -> String {
        self.gateway.path(name).to_str().unwrap().to_owned()
    }

    fn passphrase(&self, name: &str, text: &str) -> String {
        let path = self.gateway.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Methods of the requests so far.
    fn methods(&self) -> Vec<String> {
        let seen = self.relay.seen();
        seen.iter().map(|seen| seen.target.split(' ').next().unwrap().to_owned()).collect()
    }
}

fn answer(store: &Store, seen: &Seen) -> Vec<u8> {
    let (method, path) = seen.target.split_once(' ').unwrap();
    let mut store = store.lock().unwrap();
    let Some(id) = path.strip_prefix("/v2/keys/") else {
        let keys: Vec<_> = store.keys().map(|id| json!({ "id": id, "state": "ready", "new": 1 })).collect();
        return refusal(200, "", &json!({ "keys": keys }));
    };
    match method {
        "PUT" => {
            assert_eq!(Digest::of(&seen.body).to_string(), id);
            let status = if store.insert(id.to_owned(), seen.body.clone()).is_none() { 201 } else { 200 };
            refusal(status, "", &json!({ "id": id, "state": "ready" }))
        }
        "GET" if store.contains_key(id) => refusal(200, "", &json!({ "id": id, "state": "ready" })),
        "DELETE" if store.remove(id).is_some() => b"HTTP/1.1 204 gone\r\n\r\n".to_vec(),
        _ => refusal(404, "", &json!({ "error": "?", "code": "key_unknown", "action": "upload_key" })),
    }
}

fn beside(file: &str) -> PathBuf {
    format!("{file}.evaluation-key").into()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_stored_then_uploaded_once_and_the_same_bytes_again_where_they_are_gone() {
    // What lies in the directory when the first request arrives.
    let watched = Arc::new(Mutex::new(None::<PathBuf>));
    let found = Arc::new(Mutex::new(Vec::new()));
    let (watch, note) = (Arc::clone(&watched), Arc::clone(&found));
    let clinic = Clinic::disturbed(move |_, _| {
        if let Some(file) = watch.lock().unwrap().take() {
            *note.lock().unwrap() =
                vec![fs::read(&file).unwrap(), fs::read(beside(file.to_str().unwrap())).unwrap()];
        }
        None
    });
    let file = clinic.file("clinic.key");
    *watched.lock().unwrap() = Some(file.clone().into());
    let passphrase = clinic.passphrase("passphrase", "correct horse\n");
    let options = ["--key-file", &file, "--passphrase-file", &passphrase];
    let create = [&options[..], &["--parameters", SET]].concat();

    let first = clinic.json(&create);
    let id = first["key_id"].as_str().unwrap().to_owned();
    assert_eq!(first, json!({ "key_id": id, "parameters": SET, "bytes": BYTES, "status": "uploaded" }));
    assert_eq!(clinic.methods(), ["GET", "PUT"]);
    let put = &clinic.relay.seen()[1];
    assert_eq!((put.target.as_str(), put.body.len()), (format!("PUT /v2/keys/{id}").as_str(), BYTES));
    assert!(put.head.contains(&format!("content-length: {BYTES}\r\n")), "{}", put.head);
    EvaluationKey::from_bytes(&put.body, &N918_N2048_Q50).unwrap();
    let (key, frame) = (fs::read(&file).unwrap(), fs::read(beside(&file)).unwrap());
    assert!(frame == put.body && key.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(*found.lock().unwrap() == [key.clone(), frame], "both were stored before the first request");
    assert_eq!(mode(&file), 0o600);

    let again = clinic.json(&options);
    assert_eq!(again, json!({ "key_id": id, "parameters": SET, "bytes": BYTES, "status": "present" }));
    assert_eq!(clinic.methods(), ["GET", "PUT", "GET"], "nothing is uploaded twice");
    clinic.store.lock().unwrap().clear();
    assert_eq!(clinic.json(&create), first);
    assert!(fs::read(&file).unwrap() == key, "the key file is as it was");

    // Another set needs another file; a wrong passphrase opens nothing and asks nobody.
    let requests = clinic.methods().len();
    clinic.run(&[&options[..], &["--parameters", "N918_N2048_Q50_L2"]].concat()).failed("key_file");
    let wrong = clinic.passphrase("wrong", "correct house\n");
    clinic.run(&["--key-file", &file, "--passphrase-file", &wrong]).failed("wrong_passphrase");
    clinic.run(&["--key-file", &file]).failed("passphrase");
    assert_eq!(clinic.methods().len(), requests);

    // The evaluation key is lost, here and there: another one of the same secret.
    clinic.store.lock().unwrap().clear();
    fs::remove_file(beside(&file)).unwrap();
    let ended = clinic.run(&[&options[..], &["--json"]].concat());
    assert!(ended.err.contains("warning[new_evaluation_key]: "), "{}", ended.err);
    let other = ended.json().remove(0);
    assert_eq!(other["status"], "uploaded");
    assert_ne!(other["key_id"], first["key_id"]);
    assert_eq!(clinic.json(&options)["key_id"], other["key_id"]);

    let listed = clinic.run(&["--list", "--json"]).json();
    assert_eq!(listed, [json!({ "id": other["key_id"], "state": "ready", "new": 1 })]);
    assert!(clinic.run(&["--list"]).done().contains("ready"));
    let removed = json!({ "key_id": other["key_id"], "status": "removed" });
    assert_eq!(clinic.json(&[&options[..], &["--remove"]].concat()), removed);
    let absent = json!({ "key_id": id, "status": "absent" });
    assert_eq!(clinic.json(&["--remove", "--key-id", &id]), absent);
    assert!(clinic.run(&["--list", "--json"]).json().is_empty());
    assert!(Path::new(&file).exists());
}

#[test]
fn an_upload_is_sent_again_within_bounds() {
    let clinic = Clinic::disturbed(|seen, before| match (seen.target.starts_with("PUT"), before) {
        (true, 0) => Some(Act::Cut),
        (true, 1) => {
            let form = json!({ "error": "?", "code": "busy", "action": "retry", "retryable": true });
            Some(Act::Reply(refusal(503, "retry-after: 0\r\n", &form)))
        }
        _ => None,
    });
    let file = clinic.file("clinic.key");
    let create = ["--unencrypted-key-file", "--key-file", &file, "--parameters", SET];
    assert_eq!(clinic.json(&create)["status"], "uploaded");
    assert_eq!(clinic.methods(), ["GET", "PUT", "PUT", "PUT"]);
    let bodies: Vec<_> = clinic.relay.seen().into_iter().skip(1).map(|seen| seen.body).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));

    let clinic = Clinic::disturbed(|seen, _| seen.target.starts_with("PUT").then_some(Act::Cut));
    let file = clinic.file("clinic.key");
    let create = ["--unencrypted-key-file", "--key-file", &file, "--parameters", SET, "--retries", "1"];
    clinic.run(&create).failed("transport");
    assert_eq!(clinic.methods(), ["GET", "PUT", "PUT"]);
    assert!(Path::new(&file).exists() && beside(&file).exists(), "the next attempt sends the same key");

    let clinic = Clinic::disturbed(|seen, _| {
        let form = json!({ "error": "?", "code": "too_large", "action": "ask", "retryable": false });
        seen.target.starts_with("PUT").then(|| Act::Reply(refusal(413, "", &form)))
    });
    let file = clinic.file("clinic.key");
    clinic.run(&["--unencrypted-key-file", "--key-file", &file, "--parameters", SET]).failed("too_large");
    assert_eq!(clinic.methods(), ["GET", "PUT"]);
}

/// Refused by its head: nobody reads the body, and a second attempt does not wait for the first one's bytes.
#[test]
fn an_upload_that_is_refused_before_it_was_read_is_given_up_at_once() {
    let gateway = Setup::model("flooded").start();
    let refused = Mutex::new(false);
    let early = move |seen: &Seen| {
        if !seen.target.starts_with("PUT") {
            return None;
        }
        let was_refused = std::mem::replace(&mut *refused.lock().unwrap(), true);
        let (status, code) = if was_refused { (413, "too_large") } else { (503, "busy") };
        let form = json!({ "error": "?", "code": code, "action": "?", "retryable": status == 503 });
        Some(refusal(status, "retry-after: 0\r\n", &form))
    };
    let store = Store::default();
    let relay = Requests::start_early(&gateway, early, move |seen, _| Act::Reply(answer(&store, seen)));
    let clinic = Clinic { gateway, relay, store: Store::default() };
    let file = clinic.file("clinic.key");
    let create = ["--unencrypted-key-file", "--key-file", &file, "--parameters", SET];
    clinic.run(&create).failed("too_large");
    assert_eq!(clinic.methods(), ["GET", "PUT", "PUT"]);
    let connections: Vec<_> = clinic.relay.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[test]
fn a_key_lies_in_the_clear_only_where_that_is_asked_for() {
    let clinic = Clinic::start();
    let file = clinic.file("clinic.key");
    let create = ["--key-file", &file, "--parameters", SET];
    let ended = clinic.run(&create);
    ended.failed("passphrase");
    assert!(ended.err.contains("--passphrase-file") && ended.err.contains("--unencrypted-key-file"));
    for (more, code) in [(["--passphrase-file", "/nonexistent"], "io"), (["--gateway-x", "y"], "usage")] {
        let ended = clinic.run(&[&create[..], &more].concat());
        if code == "usage" { ended.wrong_usage() } else { ended.failed(code) }
    }
    clinic.run(&["--key-file", &file, "--unencrypted-key-file"]).wrong_usage();
    clinic.run(&["--key-file", &file, "--parameters", "N918"]).wrong_usage();
    clinic.run(&["--parameters", SET]).wrong_usage();
    clinic.run(&["--remove"]).wrong_usage();
    clinic.run(&["--remove", "--key-id", "ab"]).wrong_usage();
    assert!(!Path::new(&file).exists() && !beside(&file).exists() && clinic.methods().is_empty());

    clinic.run(&[&create[..], &["--unencrypted-key-file"]].concat()).done();
    assert!(fs::read(&file).unwrap().starts_with(b"TRSL\x01"));
    assert_eq!(mode(&file), 0o600);
    let said = clinic.run(&["--key-file", &file]).done();
    assert!(said.contains("is there already"), "{said}");

    // A passphrase would protect nothing here.
    let passphrase = clinic.passphrase("passphrase", "correct horse\n");
    clinic.run(&["--key-file", &file, "--passphrase-file", &passphrase]).wrong_usage();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    clinic.run(&["--key-file", &file]).failed("key_file");
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let clinic = Clinic::start();
    let file = clinic.file("clinic.key");
    let on_terminal = |lines: &str, more: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal.py");
        let arguments = and(&clinic.enroll(&["--key-file", &file]), more);
        let mut python = Command::new("python3");
        python.arg(script).arg(lines).arg(env!("CARGO_BIN_EXE_tiresias")).args(arguments);
        python.output().map(Ended::from)
    };
    let ended = match on_terminal("correct horse,correct house", &["--parameters", SET]) {
        Ok(ended) => ended,
        Err(error) => {
            println!("SKIPPED: no python3 to make a terminal with: {error}");
            return;
        }
    };
    assert!(ended.err.contains("error[passphrase]: ") && ended.err.contains("differ"), "{ended:?}");
    assert!(!Path::new(&file).exists());
    let ended = on_terminal("correct horse,correct horse", &["--parameters", SET]).unwrap();
    assert!(!ended.err.contains("horse"), "nothing typed is shown: {ended:?}");
    assert!(ended.err.contains("MiB"), "a terminal shows progress: {ended:?}");
    ended.done();
    assert!(on_terminal("correct horse", &[]).unwrap().done().contains("is there already"));
}

#[test]
fn a_real_gateway_takes_the_key() {
    let gateway = Setup::model("flooded").with_data().start();
    let file = gateway.path("clinic.key").to_str().unwrap().to_owned();
    let model = |argument: &String| argument == "--model" || argument == "m";
    let arguments: Vec<_> =
        gateway.command("enroll").into_iter().filter(|argument| !model(argument)).collect();
    let create = ["--json", "--unencrypted-key-file", "--key-file", &file, "--parameters", SET];
    let first = tiresias(&and(&arguments, &create)).json().remove(0);
    assert_eq!((&first["status"], &first["bytes"]), (&json!("uploaded"), &json!(BYTES)));
    let again = tiresias(&and(&arguments, &["--json", "--key-file", &file])).json().remove(0);
    assert_eq!((&again["status"], &again["key_id"]), (&json!("present"), &first["key_id"]));
    let listed = tiresias(&and(&arguments, &["--json", "--list"])).json();
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &first["key_id"]));
    let id = first["key_id"].as_str().unwrap();
    let remove = ["--json", "--remove", "--key-id", id];
    assert_eq!(tiresias(&and(&arguments, &remove)).json()[0]["status"], "removed");
    assert_eq!(tiresias(&and(&arguments, &remove)).json()[0]["status"], "absent");
}
