//! Bootstraps behind a worker process: the same answers, whatever happens to the worker. The worker's device is the CPU; a GPU's
//! worker differs in its engine alone.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use common::{and, tiresias};
use gateway::{Gateway, Setup, fixture};

struct Clinic {
    gateway: Gateway,
    key_file: String,
    features: PathBuf,
}

impl Clinic {
    /// `TIRESIAS_TEST_DEVICE` names another device.
    fn start(settings: &str) -> Self {
        let device = std::env::var("TIRESIAS_TEST_DEVICE").unwrap_or_else(|_| "cpu-worker".into());
        let setup = Setup::empty().import("gemm.onnx", "m", &["--policy", "label", "--bits", "4"]);
        let gateway = setup.with_data().settings(settings).flags(&["--device", &device]).start();
        let key_file = gateway.path("clinic.key").to_str().unwrap().to_owned();
        let features = gateway.path("some.csv");
        let text = fs::read_to_string(fixture("features.csv")).unwrap();
        fs::write(&features, text.lines().take(7).map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        let create = ["--json", "--unencrypted-key-file", "--key-file", &key_file];
        tiresias(&and(&gateway.command("enroll"), &create)).json();
        Self { gateway, key_file, features }
    }

    /// The labels are those of the clear twin.
    fn infer(&self) {
        let features = ["--json", "--timeout", "600", "--features", self.features.to_str().unwrap()];
        let found =
            tiresias(&and(&and(&self.gateway.command("infer"), &features), &["--key-file", &self.key_file]));
        assert_eq!(found.json(), self.gateway.evaluate("m", &self.features));
    }

    /// Runs `meanwhile` again and again while a request is answered.
    fn infer_while(&self, meanwhile: impl Fn() + Sync) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    meanwhile();
                }
            });
            self.infer();
            done.store(true, Ordering::Relaxed);
            running.join().unwrap();
        });
    }

    /// The processes whose parent is the gateway.
    fn workers(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task", self.gateway.process());
        let tasks = fs::read_dir(children).unwrap().filter_map(Result::ok);
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
            .collect()
    }

    fn kill_workers(&self) {
        self.signal_workers("-KILL");
    }

    fn signal_workers(&self, signal: &str) {
        for worker in self.workers() {
            let _ = Command::new("kill").args([signal, &worker.to_string()]).status();
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.gateway.get_metrics("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("tiresias_device_{name}_total ")))
            .unwrap();
        line.parse().unwrap()
    }
}

#[test]
fn a_worker_gives_the_same_answers_and_dies_and_hangs_without_anyone_noticing() {
    let clinic = Clinic::start("[limits]\ndevice_timeout_s = 20\n");
    assert_eq!(clinic.workers().len(), 1);
    clinic.infer();
    let computed = clinic.metric("bootstraps");
    assert!(computed > 0.0 && clinic.metric("restarts") == 0.0, "{}", clinic.gateway.get_metrics("/metrics"));
    assert!(clinic.metric("batches") < computed, "a layer goes in one batch");

    // Killed at rest: the next request finds it gone.
    clinic.kill_workers();
    clinic.infer();
    assert_eq!((clinic.metric("restarts"), clinic.metric("given_up")), (1.0, 0.0));
    assert!(clinic.metric("bootstraps") > computed);

    // Killed at work, now and then: what it was doing is sent again.
    while clinic.metric("restarts") < 3.0 {
        clinic.infer_while(|| {
            thread::sleep(Duration::from_millis(900));
            clinic.kill_workers();
        });
    }

    // Stopped, as by a kernel that hangs: its time runs out, and it is killed.
    let restarts = clinic.metric("restarts");
    clinic.signal_workers("-STOP");
    clinic.infer();
    assert!(clinic.metric("restarts") > restarts);

    // Killed so often that it gets nothing done: this processor does it.
    clinic.infer_while(|| {
        thread::sleep(Duration::from_millis(5));
        clinic.kill_workers();
    });
    assert!(clinic.metric("given_up") >= 1.0, "{}", clinic.gateway.get_metrics("/metrics"));
}

#[test]
fn a_worker_ends_with_its_gateway() {
    let clinic = Clinic::start("");
    let workers = clinic.workers();
    assert_eq!(workers.len(), 1);
    clinic.gateway.crash();
    let is_running = |pid: &u32| fs::metadata(format!("/proc/{pid}/exe")).is_ok();
    while workers.iter().any(is_running) {
        thread::sleep(Duration::from_millis(20));
    }
}
