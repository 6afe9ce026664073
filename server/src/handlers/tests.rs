use clap::Parser as _;
use http_body_util::BodyExt as _;

use super::*;
use crate::{
    budget::Budgets,
    cli::{Cli, Command},
    config::{Config, TlsSource},
    gateway::Settings,
    governance::Governance,
    keys::Keys,
    registry::Registry,
    repository::Repository,
    tls,
};

/// A gateway with the repository of `import`'s fixture.
fn gateway(directory: &std::path::Path) -> Gateway {
    let (repo, certificates) = (directory.join("models"), directory.join("tls"));
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let (head, calibration) = (fixture("gemm.onnx"), fixture("features.npy"));
    let (repo_flag, certificates_flag) = (repo.to_str().unwrap(), certificates.to_str().unwrap());
    let import = [
        "tiresias-gateway",
        "import",
        &head,
        "--calibration",
        &calibration,
        "--name",
        "m",
        "--repo",
        repo_flag,
    ];
    let serve = [
        "tiresias-gateway",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-self-signed",
        certificates_flag,
        "--repo",
        repo_flag,
    ];
    let Command::Import(args) = Cli::try_parse_from(import).unwrap().command else {
        panic!("it says import")
    };
    crate::owner::import(&args, &mut Vec::new()).unwrap();
    let Command::Serve(args) = Cli::try_parse_from(serve).unwrap().command else { panic!("it says serve") };
    let config = Config::from_args(args).unwrap();
    let TlsSource::SelfSigned { directory, .. } = &config.tls else { panic!("it says self-signed") };
    let files = tls::ensure_self_signed(directory).unwrap();
    let settings = Settings::new(1, tls::load(&files).unwrap(), &config);
    let registry = Registry::open(Repository::new(&repo), Governance::default(), None, None).unwrap();
    let keys = Keys::open(config.keys, None).unwrap();
    Gateway::new(registry, Budgets::none(), keys, Device::none(), settings, None).unwrap()
}

#[tokio::test]
async fn a_gateway_that_stops_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway(directory.path());
    for (status, ready) in [(200, true), (503, false)] {
        let health = gateway.health();
        assert_eq!(health.status(), status);
        let body = health.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, json!({"ready": ready}).to_string());
        let answer = gateway.ready().unwrap();
        assert_eq!(answer.status(), status);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, json!({"live": true, "ready": ready}).to_string());
        assert_eq!(gateway.live().unwrap().status(), 200);
        gateway.stop();
    }
}

#[test]
fn a_tenant_is_told_of_no_batch_that_its_rate_could_never_let_pass() {
    use crate::tenants::{Policy, Rate};
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway(directory.path());
    let (models, batch) = (gateway.registry.snapshot(), |answer: Answer| answer.unwrap().into_body());
    let model = models.find("m", None).unwrap();
    let rate = Some(Rate { vectors_per_minute: 1, burst: 7 });
    for (rate, expected) in [(None, 256), (rate, 7)] {
        let tenant = Tenant::for_test("a", Policy { rate, ..Policy::default() });
        let body = batch(gateway.model_metadata(&tenant, &models, &model));
        let body = tokio::runtime::Runtime::new().unwrap().block_on(body.collect()).unwrap().to_bytes();
        let metadata: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(metadata["parameters"]["maximum_batch"], expected);
    }
}
