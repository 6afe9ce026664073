//! Long runs: every answer right, no tenant's answer or account another's, memory and descriptors flat. Short forms run with
//! all tests.
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
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use authority::{Authority, TLS};
use common::{
    Setup, fixture, gateway_command,
    http::{Connection, Reply, client_config, head},
    rows,
};
use footprint::Footprint;
use probe::{HEADER_LENGTH, INFER, Probe, binary};
use serde_json::Value;
use tiresias_client::{Model, finding::Finding, oip};

const TENANTS: [&str; 4] = ["client", "b", "c", "d"];
const BUDGET: u64 = 1_000_000_000;

/// A gateway of four tenants, and what its head answers to each row in the clear.
struct World {
    probe: Probe,
    clear: Vec<Value>,
}

impl World {
    fn start() -> Self {
        let setup = Setup::model("flooded").own_certificates();
        let authority = Authority::new(&setup.path("tls"), &TENANTS);
        let tenants = TENANTS.map(|name| authority.tenant(name, &format!("vectors = {BUDGET}"))).concat();
        let setup = setup.settings(&format!("data = \"data\"\n{TLS}[limits]\nqueue = 1000\n{tenants}"));
        let probe = Probe::start(setup);
        let (repo, features) = (probe.gateway.path("models"), fixture("features.npy"));
        let (repo, features) = (repo.to_str().unwrap(), features.to_str().unwrap());
        let evaluate = ["evaluate", "--repo", repo, "--name", "m", "--features", features, "--json"];
        let clear = gateway_command(&evaluate);
        let clear =
            clear.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["scores_q"].clone());
        let clear = clear.collect();
        Self { probe, clear }
    }

    fn open(&self, tenant: &str) -> Connection {
        let gateway = &self.probe.gateway;
        let config = client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), tenant)));
        Connection::open(gateway.address, config).unwrap()
    }
}

/// Encrypts rows from `first` on, asks for their scores and compares them: how many were wrong, and the budget that is left.
fn ask(
    world: &World,
    model: &Model,
    connection: &mut Connection,
    rows: &[Vec<f64>],
    first: usize,
    count: usize,
) -> (u64, u64) {
    let mut pending = Vec::with_capacity(count);
    let mut elements = Vec::with_capacity(count);
    for number in first..first + count {
        let encrypted = model.encrypt(&rows[number % rows.len()], None).unwrap();
        elements.push(encrypted.element);
        pending.push((number % rows.len(), encrypted.pending));
    }
    let binary = binary(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let form = world.probe.form(count, binary.len()).to_string();
    let (length, header_length) = ((form.len() + binary.len()).to_string(), form.len().to_string());
    let headers = [("host", "localhost"), ("content-length", &*length), (HEADER_LENGTH, &*header_length)];
    connection.write(&[head("POST", INFER, &headers).as_slice(), form.as_bytes(), &binary].concat()).unwrap();
    let reply: Reply = connection.reply().unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let length: usize = reply.header(HEADER_LENGTH).unwrap().parse().unwrap();
    let json: Value = serde_json::from_slice(&reply.body[..length]).unwrap();
    let answer = oip::read_response(&reply.body, length, "scores").unwrap();
    assert_eq!(answer.elements.len(), count);
    let mut wrong = 0;
    for ((row, pending), element) in pending.into_iter().zip(&answer.elements) {
        // Another request's answer would not even be read: it names another request.
        let found = model.decrypt(0, pending, element, None).unwrap().finding;
        let Finding::Scores { scores_q, .. } = found else { unreachable!("the model answers scores") };
        wrong += u64::from(serde_json::to_value(scores_q).unwrap() != world.clear[row]);
    }
    (wrong, json["parameters"]["budget_left"].as_u64().unwrap())
}

/// So many vectors, in batches.
fn inferences(vectors: usize, batch: usize) {
    const THREADS: usize = 3;
    let world = World::start();
    let rows = rows();
    let run = |vectors: usize| {
        let (next, wrong) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for tenant in TENANTS.into_iter().take(THREADS) {
                let (world, rows, next, wrong) = (&world, &rows, &next, &wrong);
                scope.spawn(move || {
                    // Every thread reads the card by itself, as clinics do.
                    let model =
                        Model::from_card(world.probe.gateway.get("/v2/models/m/config").body).unwrap();
                    let mut connection = world.open(tenant);
                    loop {
                        let first = next.fetch_add(batch as u64, Ordering::Relaxed) as usize;
                        if first >= vectors {
                            return;
                        }
                        let (found, _) =
                            ask(world, &model, &mut connection, rows, first, batch.min(vectors - first));
                        wrong.fetch_add(found, Ordering::Relaxed);
                    }
                });
            }
        });
        wrong.into_inner()
    };
    let started = Instant::now();
    let part = vectors / 10;
    let mut wrong = run(part);
    let mut footprints = vec![Footprint::of(world.probe.gateway.process())];
    for _ in 1..10 {
        wrong += run(part);
        footprints.push(Footprint::of(world.probe.gateway.process()));
    }
    println!("{} inferences in {:?}, {wrong} wrong", 10 * part, started.elapsed());
    println!("after each tenth: {footprints:?}");
    assert_eq!(wrong, 0);
    let (first, last) = (&footprints[0], &footprints[9]);
    assert!(last.memory_kib < first.memory_kib + (32 << 10) && last.files <= first.files + 4);
}

/// So many requests of tenants at once, each with another row, whose accounts are counted too.
fn mixed(requests: u64) {
    let world = World::start();
    let rows = rows();
    let (next, wrong) = (AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let spent: Vec<u64> = thread::scope(|scope| {
        let tenant = |tenant: usize| {
            let (world, rows, next, wrong) = (&world, &rows, &next, &wrong);
            scope.spawn(move || {
                let model = Model::from_card(world.probe.gateway.get("/v2/models/m/config").body).unwrap();
                let mut connection = world.open(TENANTS[tenant]);
                let mut asked = u64::from(tenant == 0);
                while next.fetch_add(1, Ordering::Relaxed) < requests {
                    let (found, left) = ask(world, &model, &mut connection, rows, tenant + asked as usize, 1);
                    asked += 1;
                    wrong.fetch_add(found, Ordering::Relaxed);
                    assert_eq!(
                        BUDGET - left,
                        asked,
                        "{}: another's vector is on its account",
                        TENANTS[tenant]
                    );
                }
                asked
            })
        };
        let clients: Vec<_> = (0..TENANTS.len()).map(tenant).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    println!(
        "{requests} requests of four tenants at once in {:?}: {spent:?}, {} wrong, 0 crossed",
        started.elapsed(),
        wrong.load(Ordering::Relaxed)
    );
    assert_eq!(wrong.into_inner(), 0);
    // The probe's own request is the first tenant's first.
    assert_eq!(spent.iter().sum::<u64>(), requests + 1);
}

#[test]
fn every_inference_of_many_is_right() {
    inferences(1_000, 50);
}

#[test]
fn tenants_at_once_get_their_own_answers_on_their_own_accounts() {
    mixed(400);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// `cargo test -p tiresias-server --test soak -- --ignored --nocapture inferences`, half an hour on two cores.
#[test]
#[ignore = "half an hour"]
fn a_million_inferences_are_right_and_leave_memory_flat() {
    inferences(number("TIRESIAS_VECTORS", 1_000_000) as usize, 128);
}

/// `cargo test -p tiresias-server --test soak -- --ignored --nocapture tenants`, some minutes on two cores.
#[test]
#[ignore = "some minutes"]
fn a_hundred_thousand_requests_of_four_tenants_are_not_crossed() {
    mixed(number("TIRESIAS_REQUESTS", 100_000));
}
