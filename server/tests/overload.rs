//! More load than a gateway can take, from greedy tenants who do not wait when they are told to: the queue and memory stay
//! bounded, each refusal says when to come again, a good tenant keeps its share, and afterwards everything is as before.
//!
//! What of it takes no time stands in `limits` and `transport`.
//!
//! The model answers labels, so that an evaluation costs much and a refusal little.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/footprint.rs"]
mod footprint;
#[path = "common/probe.rs"]
mod probe;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use authority::{Authority, TLS};
use common::{
    Gateway, Setup,
    http::{Connection, client_config, head},
    rows,
};
use footprint::Footprint;
use probe::{HEADER_LENGTH, INFER, binary};
use serde_json::json;
use tiresias_client::Model;
use tiresias_keys::{KeyId, bootstrap_parameters::N918_N2048_Q50_G2};
use tiresias_secret_key::LongLivedKey;

const GREEDY: [&str; 3] = ["b", "c", "d"];
const QUEUE: usize = 8;

struct World {
    gateway: Gateway,
    request: Vec<u8>,
}

impl World {
    /// A gateway with one worker, so that one core is left for the network and for those who ask.
    fn start() -> Self {
        let setup = Setup::empty().import("gemm.onnx", "m", &["--policy", "label"]).own_certificates();
        let names = ["client", "b", "c", "d"];
        let authority = Authority::new(&setup.path("tls"), &names);
        let tenants = names.map(|name| authority.tenant(name, "")).concat();
        let limits = format!("[limits]\nworkers = 1\nqueue = {QUEUE}\nbody_mib = 64\n");
        let gateway = setup.settings(&format!("data = \"data\"\n{TLS}{limits}{tenants}")).start();

        let model = Model::from_card(gateway.get("/v2/models/m/config").body).unwrap();
        let key = LongLivedKey::generate(&N918_N2048_Q50_G2).unwrap();
        let frame = key.evaluation_key().unwrap().to_bytes();
        let id = KeyId::of_evaluation_key(&frame).to_string();
        let element = model.encrypt(&rows()[0], Some(&key)).unwrap().element;
        let binary = binary(&[&element]);
        let form = json!({
            "parameters": {"config_id": model.config().to_string(), "evaluation_key": id},
            "inputs": [{"name": "features", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": binary.len()}}],
            "outputs": [{"name": "label", "parameters": {"binary_data": true}}],
        })
        .to_string();
        let (length, header_length) = ((form.len() + binary.len()).to_string(), form.len().to_string());
        let headers = [("host", "localhost"), ("content-length", &*length), (HEADER_LENGTH, &*header_length)];
        let request = [head("POST", INFER, &headers).as_slice(), form.as_bytes(), &binary].concat();
        let world = Self { gateway, request };
        for name in names {
            let length = frame.len().to_string();
            let path = format!("/v2/keys/{id}");
            let upload = head("PUT", &path, &[("host", "localhost"), ("content-length", &length)]);
            let mut connection = world.open(name);
            connection.write(&upload).unwrap();
            connection.write(&frame).unwrap();
            assert_eq!(connection.reply().unwrap().status, 201);
        }
        world
    }

    fn open(&self, tenant: &str) -> Connection {
        let gateway = &self.gateway;
        let config = client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), tenant)));
        Connection::open(gateway.address, config).unwrap()
    }

    /// One request: whether it was answered, or else was told when to come again.
    fn ask(&self, connection: &mut Connection) -> bool {
        connection.write(&self.request).unwrap();
        let reply = connection.reply().unwrap();
        match reply.status {
            200 => true,
            429 => {
                assert_eq!(reply.json()["code"], "queue_full");
                assert!(reply.header("retry-after").is_some());
                false
            }
            status => unreachable!("{status}: {}", String::from_utf8_lossy(&reply.body)),
        }
    }

    fn pending(&self) -> usize {
        let metrics = self.gateway.get_metrics("/metrics");
        let (_, rest) = metrics.split_once("\ntiresias_pending_request_count ").unwrap();
        rest.lines().next().unwrap().parse().unwrap()
    }

    /// Requests of greedy tenants that are answered in some time, by so many connections each; and refusals.
    fn load(&self, connections: usize, until: &(dyn Fn() -> bool + Sync)) -> (u64, u64) {
        let (answered, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for name in GREEDY.into_iter().cycle().take(GREEDY.len() * connections) {
                let (answered, refused) = (&answered, &refused);
                scope.spawn(move || {
                    let mut connection = self.open(name);
                    while !until() {
                        if self.ask(&mut connection) {
                            answered.fetch_add(1, Ordering::Relaxed);
                        } else {
                            refused.fetch_add(1, Ordering::Relaxed);
                            // Greedy, but not so that it takes the gateway's processor away on the same machine.
                            thread::sleep(Duration::from_millis(50));
                        }
                    }
                });
            }
        });
        (answered.into_inner(), refused.into_inner())
    }
}

/// How long some requests took, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn of(world: &World, until: impl Fn(usize) -> bool) -> Self {
        let mut connection = world.open("client");
        let mut times = Vec::new();
        while !until(times.len()) {
            let started = Instant::now();
            assert!(world.ask(&mut connection), "a good tenant is not refused");
            times.push(started.elapsed());
            // A clinic with some seconds between its patients.
            thread::sleep(Duration::from_millis(100));
        }
        times.sort_unstable();
        Self(times)
    }

    fn share(&self, share: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }
}

fn run(phase: Duration, long: Duration, good: usize) {
    let world = World::start();
    let timed = |phase: Duration| {
        let end = Instant::now() + phase;
        world.load(1, &move || Instant::now() > end).0 as f64 / phase.as_secs_f64()
    };
    // The first answers prepare each tenant's key.
    timed(phase / 4);
    let alone = Times::of(&world, |asked| asked >= good);
    let peak = timed(phase);
    let before = Footprint::of(world.gateway.process());
    let (stop, most, memory) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let (attacked, (answered, refused)) = thread::scope(|scope| {
        let load = scope.spawn(|| world.load(16, &|| stop.load(Ordering::Relaxed)));
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(world.pending() as u64, Ordering::Relaxed);
                memory.fetch_max(Footprint::of(world.gateway.process()).memory_kib, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
            }
        });
        let attacked = Times::of(&world, |asked| asked >= good && started.elapsed() >= long);
        stop.store(true, Ordering::Relaxed);
        (attacked, load.join().unwrap())
    });
    let seconds = started.elapsed().as_secs_f64();
    let (good_rate, rate) = (attacked.0.len() as f64 / seconds, answered as f64 / seconds);
    let after = timed(phase);
    let alone_after = Times::of(&world, |asked| asked >= good);
    println!(
        "capacity {peak:.2} answers/s; offered for {seconds:.0} s: {:.2} requests/s; answered {:.2} ({good_rate:.2} of them the good tenant's), refused {:.2}",
        (answered + refused) as f64 / seconds + good_rate,
        rate + good_rate,
        refused as f64 / seconds
    );
    println!(
        "afterwards {after:.2} answers/s; memory {} -> {} KiB at most; {} pending at most",
        before.memory_kib,
        memory.load(Ordering::Relaxed),
        most.load(Ordering::Relaxed)
    );
    for (name, times) in [("alone", &alone), ("under attack", &attacked), ("afterwards", &alone_after)] {
        println!(
            "a good tenant {name}: median {:?}, p99 {:?} of {}",
            times.share(0.5),
            times.share(0.99),
            times.0.len()
        );
    }
    assert!(refused > 0 && answered > 0);
    assert!(most.into_inner() as usize <= QUEUE + 1, "the queue is bounded");
    assert!(memory.into_inner() < before.memory_kib + (64 << 10), "bodies have their memory set aside");
    assert!(!world.gateway.log().contains("ERROR") && !world.gateway.log().contains("panicked"));
}

/// `cargo test -p tiresias-server --test overload -- --ignored --nocapture`, three minutes.
#[test]
#[ignore = "three minutes"]
fn ten_times_its_capacity_for_a_minute() {
    run(Duration::from_secs(20), Duration::from_secs(60), 60);
}
