//! Which device a gateway takes, and what it says where there is none.

mod common;

use common::{Setup, http::request};

#[test]
fn auto_goes_on_without_a_gpu_and_says_so() {
    if cfg!(feature = "gpu") && std::path::Path::new("/dev/nvidia0").exists() {
        println!("SKIPPED: this machine has a GPU");
        return;
    }
    let gateway = Setup::model("flooded").flags(&["--device", "auto"]).start();
    gateway.wait_for_log("bootstraps are computed on the CPU");
    let why = if cfg!(feature = "gpu") { "there is no CUDA driver" } else { "no GPU support" };
    assert!(gateway.log().contains(why), "{}", gateway.log());
    assert_eq!(gateway.send(&request("GET", "/v2/health/ready", &[], b"")).unwrap().status, 200);
}

#[test]
fn a_named_device_must_be_there() {
    let (status, log) = Setup::model("flooded").flags(&["--device", "cuda:99"]).refusal();
    assert_eq!(status, Some(1));
    let why = if cfg!(feature = "gpu") { "" } else { "build with `--features gpu`" };
    assert!(log.contains("error[device]: cuda:99 cannot be used: ") && log.contains(why), "{log}");
}
