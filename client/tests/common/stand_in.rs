//! A process that stands for a leaking gateway: it starts the real one behind it, passes all bytes on, and before it hands an answer
//! on, it takes something from the clinic's process, which it may because both belong to one user, and keeps it.
//!
//! A script calls this test program again in its place, so that it has the gateway's process number and output.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use serde_json::Value;
use tiresias_client::audit::memory;

use crate::gateway::program;

/// What it does with what it sees: the name of a leak.
const LEAK: &str = "TIRESIAS_TEST_LEAK";
const ARGUMENTS: &str = "TIRESIAS_TEST_ARGUMENTS";

/// What it keeps in memory.
static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A program that is taken for the gateway and leaks. `test` is the test that calls [`run`].
pub(crate) fn script(directory: &Path, leak: &str, test: &str) -> PathBuf {
    let path = directory.join("gateway");
    let (real, own) = (program(), env::current_exe().unwrap());
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = serve ] || exec '{}' \"$@\"\nexport {LEAK}={leak} {ARGUMENTS}=\"$*\"\n\
         exec 3>&1\nexec '{}' --exact {test} --ignored --nocapture >/dev/null\n",
        real.display(),
        own.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// Stands in, where the script asks for it; never returns then.
pub(crate) fn run() {
    let (Ok(leak), Ok(arguments)) = (env::var(LEAK), env::var(ARGUMENTS)) else { return };
    let arguments: Vec<&str> = arguments.split(' ').collect();
    // The gateway behind it goes when this process does, however that ends.
    let mut real = Command::new("sh")
        .args(["-c", "\"$@\" & gateway=$!; cat >/dev/null; kill $gateway", "sh"])
        .arg(program())
        .args(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(real.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut ready: Value = serde_json::from_str(&line).unwrap();
    let behind = ready["listening"].as_str().unwrap().strip_prefix("https://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ready["listening"] = format!("https://{}", listener.local_addr().unwrap()).into();
    writeln!(File::options().write(true).open("/dev/fd/3").unwrap(), "{ready}").unwrap();
    let data = arguments[arguments.iter().position(|argument| *argument == "--data").unwrap() + 1].to_owned();
    for client in listener.incoming() {
        let (leak, data, client) = (leak.clone(), data.clone(), client.unwrap());
        let gateway = TcpStream::connect(&behind).unwrap();
        let (forth, back) = (client.try_clone().unwrap(), gateway.try_clone().unwrap());
        thread::spawn(move || pass(forth, back, || {}));
        thread::spawn(move || pass(gateway, client, || take(&leak, &data)));
    }
    real.wait().unwrap();
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn()) {
    let mut buffer = [0; 1 << 14];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        before();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Takes something from the clinic's process, if it is there already.
fn take(leak: &str, data: &str) {
    let Some((process, arguments)) = clinic() else { return };
    let at = arguments.iter().position(|argument| argument == "--features").unwrap();
    match leak {
        "log-a-feature" => {
            let table = fs::read_to_string(&arguments[at + 1]).unwrap();
            let one = table.split(',').nth(4).unwrap();
            let _ = writeln!(std::io::stderr(), "INFO inference feature={one} status=200");
        }
        "keep-a-key" => {
            let keys = memory::kept_out_of_dumps(process).unwrap_or_default().concat();
            if !keys.is_empty() {
                *KEPT.lock().unwrap() = keys;
            }
        }
        "store-a-key" => {
            let keys = memory::kept_out_of_dumps(process).unwrap_or_default().concat();
            let mut file =
                OpenOptions::new().create(true).append(true).open(Path::new(data).join("cache.bin")).unwrap();
            file.write_all(hex::encode(keys).as_bytes()).unwrap();
        }
        other => unreachable!("{other}"),
    }
}

/// The process of `tiresias infer` that the same audit has started, with its arguments.
fn clinic() -> Option<(u32, Vec<String>)> {
    let parent = |process: &str| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1).map(str::to_owned)
    };
    let ours = parent("self")?;
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let process = name.parse().ok()?;
        let line = fs::read(format!("/proc/{name}/cmdline")).ok()?;
        let arguments: Vec<String> =
            line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        (parent(&name)? == ours && arguments.get(1)? == "infer").then_some((process, arguments))
    })
}
