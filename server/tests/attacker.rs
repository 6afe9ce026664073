//! An attacker who knows the protocol, with a certificate of a tenant's and without one. Whatever is sent, the gateway does not
//! panic, has no fault of its own to report, takes no more memory, and answers the next good request rightly.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/footprint.rs"]
mod footprint;
#[path = "common/h2.rs"]
mod h2;
#[path = "common/probe.rs"]
mod probe;

mod attacker {
    pub(crate) mod cases;
    pub(crate) mod weather;
}

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use attacker::{
    cases::{Case, Material, Sequence},
    weather::{Weather, scrape_badly},
};
use authority::{Authority, CRL, TLS};
use common::{
    Setup, fixture, gateway_command,
    http::{Connection, Reply, client_config, head},
    rows,
};
use footprint::Footprint;
use h2::{H2, Outcome, request_fields};
use probe::Probe;
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use tempfile::TempDir;
use tiresias_client::finding::Finding;

/// What can be said to a request that is wrong, or that only looks so.
const PLANNED: [u16; 18] =
    [200, 304, 400, 403, 404, 405, 408, 409, 410, 411, 413, 414, 415, 417, 422, 429, 431, 505];

struct World {
    probe: Probe,
    foreign: TempDir,
}

impl World {
    fn start() -> Self {
        let setup = Setup::model("flooded").own_certificates();
        let mut authority = Authority::new(&setup.path("tls"), &["client", "b", "gone", "unlisted"]);
        authority.issue_until("expired", ExtendedKeyUsagePurpose::ClientAuth, 2001);
        authority.revoke(&["gone"]);
        let tenants = authority.tenant("client", "") + &authority.tenant("b", "");
        let limits = "[limits]\nbatch = 4\nheader_timeout_s = 1\nbody_timeout_s = 1\nconnections = 256\nqueue = 16\nshutdown_timeout_s = 5\n";
        let setup = setup.settings(&format!("data = \"data\"\n{TLS}{CRL}{limits}{tenants}"));
        let foreign = tempfile::tempdir().unwrap();
        Authority::new(foreign.path(), &["client"]);
        Self { probe: Probe::start(setup), foreign }
    }

    fn open(&self, tenant: &str) -> Connection {
        let gateway = &self.probe.gateway;
        let config = client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), tenant)));
        Connection::open(gateway.address, config).unwrap()
    }

    /// A row's scores through the gateway are those of the head in the clear.
    fn is_right(&self) {
        let gateway = &self.probe.gateway;
        let repo = gateway.path("models");
        let features = fixture("features.npy");
        let evaluate = [
            "evaluate",
            "--repo",
            repo.to_str().unwrap(),
            "--name",
            "m",
            "--features",
            features.to_str().unwrap(),
            "--json",
        ];
        let clear = gateway_command(&evaluate);
        for (row, line) in rows().iter().zip(clear.lines()).take(3) {
            let encrypted = self.probe.model.encrypt(row, None).unwrap();
            let reply = gateway.send(&self.probe.infer_elements(&[&encrypted.element])).unwrap();
            assert_eq!(reply.status, 200);
            let length = reply.header(probe::HEADER_LENGTH).unwrap().parse().unwrap();
            let answer = tiresias_client::oip::read_response(&reply.body, length, "scores").unwrap();
            let found = self.probe.model.decrypt(0, encrypted.pending, &answer.elements[0], None).unwrap();
            let Finding::Scores { scores_q, .. } = found.finding else {
                unreachable!("the model answers scores")
            };
            let expected: Value = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_value(scores_q).unwrap(), expected["scores_q"]);
        }
    }

    fn footprint(&self) -> Footprint {
        Footprint::of(self.probe.gateway.process())
    }

    /// Until the connections of peers that are gone are closed.
    fn rest(&self) {
        let end = Instant::now() + common::HANG;
        while !self.probe.gateway.get_metrics("/metrics").contains("\ntiresias_open_connections 0\n") {
            assert!(Instant::now() < end, "connections stay open");
            thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// What became of requests: how many of a kind ended in which way.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Tally {
    /// Counts an answer. `Err` is a connection that ended, which only bytes that are no good HTTP may have earned.
    fn count(&self, case: &Case, number: u64, outcome: Result<(u16, &[u8], bool), String>) {
        let what = match outcome {
            Ok((status, body, retry_after)) => {
                let code = serde_json::from_slice::<Value>(body)
                    .ok()
                    .and_then(|json| Some(json["code"].as_str()?.to_owned()));
                let said = format!("{status} {}", code.unwrap_or_default());
                assert!(PLANNED.contains(&status), "case {number}, {}: {said}", case.kind);
                assert!(
                    status != 429 || retry_after,
                    "case {number}, {}: {said} without Retry-After",
                    case.kind
                );
                said
            }
            Err(how) => how,
        };
        *self.0.lock().unwrap().entry((case.kind, what)).or_default() += 1;
    }
}

fn http_1(world: &World, material: &Material, tally: &Tally, numbers: &AtomicU64, end: u64, seed: u64) {
    let tenant = |number: u64| if number.is_multiple_of(3) { "b" } else { "client" };
    let mut connection = None;
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let case = material.case(&mut Sequence::new(seed ^ number), true);
        let bytes = case.raw.clone().unwrap_or_else(|| {
            let length = case.body.len().to_string();
            let framing = [("host", "localhost"), ("content-length", length.as_str())];
            let more = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            [
                head(case.method, &case.path, &framing.into_iter().chain(more).collect::<Vec<_>>()),
                case.body.clone(),
            ]
            .concat()
        });
        let exchange = |open: &mut Connection| {
            open.write(&bytes)?;
            if case.method == "HEAD" { open.head_reply() } else { open.reply() }
        };
        let kept = connection.take().and_then(|mut open: Connection| Some((exchange(&mut open).ok()?, open)));
        // A gateway may close a connection behind an answer; whoever finds it closed asks again on a new one.
        let (reply, open) = match kept {
            Some((reply, open)) => (Ok(reply), open),
            None => {
                let mut open = world.open(tenant(number));
                (exchange(&mut open), open)
            }
        };
        let outcome = match &reply {
            Ok(reply) => Ok((reply.status, reply.body.as_slice(), reply.header("retry-after").is_some())),
            Err(_) => Err("closed".to_owned()),
        };
        tally.count(&case, number, outcome);
        // What is behind a request that was framed wrongly is not read as another one.
        if case.raw.is_none() && reply.is_ok_and(|reply| stays_open(&reply)) {
            connection = Some(open);
        }
    }
}

fn stays_open(reply: &Reply) -> bool {
    reply.header("connection") != Some("close") && !matches!(reply.status, 400 | 413 | 431)
}

fn http_2(world: &World, material: &Material, tally: &Tally, numbers: &AtomicU64, end: u64, seed: u64) {
    let (mut peer, mut stream) = (H2::open(&world.probe.gateway), 1);
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let case = material.case(&mut Sequence::new(seed ^ number), false);
        let length = case.body.len().to_string();
        let more = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = request_fields(case.method, &case.path)
            .into_iter()
            .chain([("content-length", length.as_str())])
            .chain(more)
            .collect();
        peer.request(stream, &fields, &case.body);
        let reply = peer.reply(stream);
        match &reply {
            Ok((status, body)) => tally.count(&case, number, Ok((*status, body, true))),
            Err(outcome) => tally.count(&case, number, Err(format!("{outcome:?}"))),
        }
        stream += 2;
        if !matches!(reply, Ok(_) | Err(Outcome::Reset(_))) || stream > 2000 {
            (peer, stream) = (H2::open(&world.probe.gateway), 1);
        }
    }
}

/// Sends so many requests under bad weather, and says what became of them.
fn attack(requests: u64, seed: u64) {
    let world = World::start();
    let material = Material::of(&world.probe);
    let (tally, weather, stop) = (Tally::default(), Weather::default(), AtomicBool::new(false));
    world.is_right();
    // What a gateway takes once and keeps, it has taken after some requests.
    let run = |requests: u64, seed: u64| {
        let numbers = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| http_1(&world, &material, &tally, &numbers, requests, seed));
                scope.spawn(|| http_2(&world, &material, &tally, &numbers, requests, seed));
            }
        });
    };
    run(500, seed ^ 1 << 32);
    world.rest();
    let before = world.footprint();
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| weather.rage(&world.probe, world.foreign.path(), &stop, seed));
        run(requests, seed);
        stop.store(true, Ordering::Relaxed);
    });
    let took = started.elapsed();
    scrape_badly(&world.probe.gateway);
    world.rest();
    world.is_right();
    let after = world.footprint();
    println!("seed {seed:#x}, {requests} requests in {took:?}; {before:?} -> {after:?}");
    let counts = [
        &weather.half_open,
        &weather.garbage,
        &weather.strangers,
        &weather.slow,
        &weather.unread,
        &weather.churn,
        &weather.resets,
    ];
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    println!("half-open, garbage, strangers, slow, unread, come and gone, resets: {counts:?}");
    let tally = tally.0.into_inner().unwrap();
    for ((kind, what), count) in &tally {
        println!("{count:8}  {kind}: {what}");
    }
    let good = tally.iter().filter(|((kind, _), _)| *kind == "good");
    let (mut right, mut all) = (0, 0);
    for ((_, what), count) in good {
        all += count;
        right += if what == "200 " || what == "429 queue_full" { *count } else { 0 };
    }
    assert_eq!(right, all, "good requests are answered, whatever came before them");
    assert!(after.memory_kib < before.memory_kib + (64 << 10), "{before:?} -> {after:?}");
    assert!(after.files <= before.files + 4, "{before:?} -> {after:?}");
    let mut probe = world.probe;
    probe.gateway.terminate();
    assert!(probe.gateway.wait().success());
    let log = probe.gateway.log();
    for word in ["panicked", "ERROR", "status=5"] {
        let line = log.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "the gateway's log says {word}");
    }
}

#[test]
fn thousands_of_wrong_requests_harm_no_one() {
    attack(3_000, 0x7472_7371);
}

/// `cargo test -p tiresias-server --test attacker -- --ignored --nocapture`, two hours on two busy cores.
#[test]
#[ignore = "two hours"]
fn a_million_wrong_requests_harm_no_one() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    attack(number("TIRESIAS_REQUESTS", 1_000_000), number("TIRESIAS_SEED", 0x7472_7371));
}
