//! A head of 512 features, 64 neurons and 14 classes, behind a worker.

use std::{
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tiresias_benches::{nets::net, stats::median};
use tiresias_circuits::{
    bootstrap::{Backend, PreparedKey},
    mlp::PreparedMlp,
    scores,
};
use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, Seed, bootstrap_parameters::N918_N2048_Q50_G2,
    xof::SecretSeed,
};
use tiresias_secret_key::{LongLivedKey, RequestContext};
use tiresias_server::device::{Device, DeviceChoice, at_once};

use crate::Failure;

/// Requests of one client.
const BATCH: usize = 256;
/// Requests on their way at once, as in the gateway.
const AT_ONCE: usize = 32;

/// Requests to one head under one key.
struct Clinic {
    head: PreparedMlp,
    key: Arc<PreparedKey>,
    requests: Vec<(EncryptedFeatures, Digest)>,
}

/// Compares with the processor, times both, and kills the worker at work.
pub(crate) fn check(ordinal: usize) -> Result<(), Failure> {
    let clinic = Clinic::new()?;
    let device = Device::open(DeviceChoice::Cuda(ordinal), None, Duration::from_secs(60))?;
    let on_device = || device.with_key(&clinic.key, 1).ok_or("there is no device");
    println!("512-64-14, {} a head on {} bootstraps", clinic.head.plan().bootstraps(), on_device()?.name());

    let two_cores = clinic.key.on(2);
    let expected = clinic.answers(&two_cores, 4, 1)?;
    let on = on_device()?;
    let warm = Instant::now();
    let got = clinic.answers(&on, 4, 1)?;
    println!("  the key is moved and 4 heads are evaluated in {:.0} ms", warm.elapsed().as_secs_f64() * 1e3);
    if got != expected || on.name() == "cpu" {
        return Err("the device's answers are not the processor's".into());
    }

    let latency = |backend: &dyn Backend, rounds| -> Result<f64, Failure> {
        let one = |_| {
            let started = Instant::now();
            clinic.answers(backend, 1, 1)?;
            Ok(started.elapsed().as_secs_f64())
        };
        let seconds: Result<Vec<f64>, Failure> = (0..rounds).map(one).collect();
        Ok(median(&seconds?))
    };
    let (device_latency, cpu_latency) = (latency(&on, 9)?, latency(&two_cores, 3)?);
    println!("  one head: {:.1} ms; two cores: {:.0} ms", device_latency * 1e3, cpu_latency * 1e3);

    clinic.answers(&on, BATCH, AT_ONCE)?;
    let started = Instant::now();
    let all = clinic.answers(&on, BATCH, AT_ONCE)?;
    let rate = BATCH as f64 / started.elapsed().as_secs_f64();
    println!("  {BATCH} heads: {rate:.0}/s; two cores: {:.1}/s", 1.0 / cpu_latency);

    // Killed in the middle: the same answers, and from the device.
    let on = on_device()?;
    let started = Instant::now();
    let again = thread::scope(|scope| {
        let running = scope.spawn(|| clinic.answers(&on, BATCH, AT_ONCE));
        thread::sleep(Duration::from_millis(100));
        let parent = std::process::id().to_string();
        let killed = Command::new("pkill").args(["-KILL", "-P", &parent]).status();
        if !killed.is_ok_and(|status| status.success()) {
            return Err("the worker could not be killed".to_owned());
        }
        running.join().map_err(|_| "a thread panicked".to_owned())?
    })?;
    if again != all || on.name() == "cpu" {
        return Err("a killed worker changed the answers".into());
    }
    println!(
        "  the worker killed at work: the same {BATCH} answers in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Clinic {
    fn new() -> Result<Self, Failure> {
        let (quantized, row) = net(&[512, 64, 14], None, &N918_N2048_Q50_G2);
        let plan = quantized.plan()?;
        let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
        let head = PreparedMlp::new(&quantized.head, plan, config, gateway_seed)?;
        let key = LongLivedKey::generate(&N918_N2048_Q50_G2)?;
        let shape = plan.request_shape();
        let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
        let plaintexts = scores::encode_features(&plan, &row)?;
        let request = |_| -> Result<_, Failure> {
            let request = key.glwe().encrypt(&plaintexts, &context)?;
            let digest = EncryptedFeatures::digest(&request.to_bytes(&shape));
            Ok((request, digest))
        };
        let requests: Result<Vec<_>, Failure> = (0..BATCH).map(request).collect();
        let key = Arc::new(PreparedKey::new(&key.evaluation_key()?));
        Ok(Self { head, key, requests: requests? })
    }

    /// The answers to the first requests, so many evaluated at once.
    fn answers(
        &self,
        backend: &dyn Backend,
        count: usize,
        threads: usize,
    ) -> Result<Vec<EncryptedScores>, String> {
        let seed = SecretSeed::from_bytes([2; 32]);
        at_once(count, threads, |item| {
            let (request, digest) = self.requests.get(item).ok_or("more requests than there are")?;
            let answer = self.head.evaluate(backend, request, *digest, &seed, item as u32);
            answer.map_err(|error| error.to_string())
        })
    }
}
