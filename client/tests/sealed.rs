//! State files under a passphrase, and states that are not what they seem.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use common::{Ended, and, tiresias, with_features};
use gateway::{Gateway, Setup, fixture, http::request};

fn passphrase_file(gateway: &Gateway, name: &str, text: &str) -> String {
    let path = gateway.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn encrypt(gateway: &Gateway, out: &Path, more: &[&str]) -> Ended {
    let arguments = and(&gateway.command("encrypt"), &["--out", out.to_str().unwrap()]);
    with_features(&and(&arguments, more), &fixture("features.npy"))
}

/// Has `body.bin` answered; returns where the answer lies.
fn post(gateway: &Gateway, directory: &Path) -> PathBuf {
    let length = fs::read_to_string(directory.join("header-length")).unwrap();
    let headers = [("inference-header-content-length", length.as_str())];
    let body = fs::read(directory.join("body.bin")).unwrap();
    let reply = gateway.send(&request("POST", "/v2/models/m/infer", &headers, &body)).unwrap();
    let answer = directory.join("answer.bin");
    fs::write(&answer, reply.body).unwrap();
    answer
}

fn decrypt_arguments(directory: &Path, answer: &Path) -> Vec<String> {
    let paths = [directory.to_str().unwrap(), answer.to_str().unwrap()];
    ["decrypt", "--json", "--dir", paths[0], "--response", paths[1]].map(String::from).to_vec()
}

#[test]
fn a_passphrase_from_a_file_protects_the_state() {
    let gateway = Setup::model("flooded").start();
    let expected = gateway.evaluate("m", &fixture("features.npy"));
    let right = passphrase_file(&gateway, "right", "Tr0ub4dor & sons\r\na second line\n");
    let wrong = passphrase_file(&gateway, "wrong", "Tr0ub4dor & son\n");
    let out = gateway.path("out");
    encrypt(&gateway, &out, &["--passphrase-file", &right]).done();
    let state = out.join("state");
    let sealed = fs::read(&state).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(
        !sealed.windows(4).any(|bytes| bytes == b"TRSS")
            && !sealed.windows(10).any(|bytes| bytes == b"\"flooded\"")
    );
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);

    let answer = post(&gateway, &out);
    let decrypt = decrypt_arguments(&out, &answer);
    let failed = |more: &[&str], code: &str| {
        tiresias(&and(&decrypt, more)).failed(code);
        assert!(fs::read(&state).unwrap() == sealed, "the state is kept");
    };
    failed(&["--passphrase-file", &wrong], "wrong_passphrase");
    failed(&["--passphrase-file", &passphrase_file(&gateway, "empty", "\n")], "passphrase");
    failed(&["--passphrase-file", "/nonexistent"], "io");
    let open = passphrase_file(&gateway, "open", "Tr0ub4dor & sons");
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        failed(&["--passphrase-file", &open], "passphrase");
    }
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&state, damaged).unwrap();
    tiresias(&and(&decrypt, &["--passphrase-file", &right])).failed("state");
    fs::write(&state, &sealed).unwrap();

    assert_eq!(tiresias(&and(&decrypt, &["--passphrase-file", &right])).json(), expected);
    assert!(!state.exists());
    encrypt(&gateway, &out, &["--passphrase-file", &open]).failed("passphrase");
    assert!(!state.exists(), "nothing is written without the passphrase");
    encrypt(&gateway, &out, &["--passphrase-file", &right, "--passphrase"]).wrong_usage();
}

/// Runs `tiresias` on a terminal where `lines` are typed. Errors where there is no Python to make one.
fn on_terminal(lines: &str, arguments: &[String]) -> std::io::Result<Ended> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(lines).arg(env!("CARGO_BIN_EXE_tiresias")).args(arguments);
    python.output().map(Ended::from)
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let gateway = Setup::model("flooded").start();
    let features = fixture("features.npy");
    let out = gateway.path("out");
    let more = ["--passphrase", "--out", out.to_str().unwrap(), "--features", features.to_str().unwrap()];
    let encrypt = and(&gateway.command("encrypt"), &more);
    let ended = match on_terminal("correct horse,correct house", &encrypt) {
        Ok(ended) => ended,
        Err(error) => {
            println!("SKIPPED: no python3 to make a terminal with: {error}");
            return;
        }
    };
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("error[passphrase]: ") && ended.err.contains("differ"), "{ended:?}");
    let ended = on_terminal("correct horse,correct horse", &encrypt).unwrap();
    assert!(ended.err.contains("again") && !ended.err.contains("horse"), "nothing typed is shown: {ended:?}");
    ended.done();

    let answer = post(&gateway, &out);
    let decrypt = decrypt_arguments(&out, &answer);
    let ended = on_terminal("correct house", &decrypt).unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("error[wrong_passphrase]: "), "{ended:?}");
    let lines = on_terminal("correct horse", &decrypt).unwrap().json();
    assert_eq!(lines, gateway.evaluate("m", &features));
}

#[test]
fn a_state_that_is_a_link_is_neither_read_nor_removed() {
    let gateway = Setup::model("flooded").start();
    let out = gateway.path("out");
    encrypt(&gateway, &out, &[]).done();
    let answer = post(&gateway, &out);
    let (state, elsewhere) = (out.join("state"), gateway.path("elsewhere"));
    fs::rename(&state, &elsewhere).unwrap();
    let kept = fs::read(&elsewhere).unwrap();
    symlink(&elsewhere, &state).unwrap();
    tiresias(&decrypt_arguments(&out, &answer)).failed("not_a_regular_file");
    tiresias_client::state::remove(&out).unwrap_err();
    assert!(fs::read(&elsewhere).unwrap() == kept);
    assert!(state.is_symlink());
    // Nor is a new state written through a link.
    encrypt(&gateway, &out, &[]).failed("io");
    assert!(fs::read(&elsewhere).unwrap() == kept);

    fs::remove_file(&state).unwrap();
    fs::rename(&elsewhere, &state).unwrap();
    assert_eq!(tiresias(&decrypt_arguments(&out, &answer)).json().len(), 20);
}
