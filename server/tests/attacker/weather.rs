//! What goes on around the requests: peers that are slow, silent, gone, or have no business here.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::{
    attacker::cases::Sequence,
    common::{
        Gateway,
        http::{Connection, client_config, head},
    },
    h2::{END_HEADERS, END_STREAM, H2, HEADERS, RST_STREAM, fields, frame, request_fields},
    probe::{INFER, Probe},
};

/// Counts of what was tried.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) half_open: AtomicU64,
    pub(crate) garbage: AtomicU64,
    pub(crate) strangers: AtomicU64,
    pub(crate) slow: AtomicU64,
    pub(crate) unread: AtomicU64,
    pub(crate) churn: AtomicU64,
    pub(crate) resets: AtomicU64,
}

impl Weather {
    /// Rages until it is told to stop. `foreign` holds the files of another authority.
    pub(crate) fn rage(&self, probe: &Probe, foreign: &Path, stop: &AtomicBool, seed: u64) {
        thread::scope(|scope| {
            scope.spawn(|| self.drip(&probe.gateway, stop));
            scope.spawn(|| self.read_nothing(probe, stop));
            let mut sequence = Sequence::new(seed);
            while !stop.load(Ordering::Relaxed) {
                self.stay_half_open(&probe.gateway);
                self.send_garbage(&probe.gateway, &mut sequence);
                self.come_as_strangers(&probe.gateway, foreign);
                self.come_and_go(&probe.gateway);
                self.reset(&probe.gateway);
            }
        });
    }

    fn stay_half_open(&self, gateway: &Gateway) {
        let held: Vec<_> = (0..8).filter_map(|_| TcpStream::connect(gateway.address).ok()).collect();
        self.half_open.fetch_add(held.len() as u64, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }

    fn send_garbage(&self, gateway: &Gateway, sequence: &mut Sequence) {
        for start in [
            &b""[..],
            b"\x16\x03\x01\x02\x00",
            b"\x16\x03\x03\xff\xff\x01",
            b"\x15\x03\x03\0\x02\x02\x28",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            let Ok(mut socket) = TcpStream::connect(gateway.address) else { continue };
            let count = sequence.below(300);
            let _ = socket.write_all(&[start, &sequence.bytes(count)].concat());
            self.garbage.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn come_as_strangers(&self, gateway: &Gateway, foreign: &Path) {
        let tls = gateway.path("tls");
        let ca = gateway.certificate("ca.pem");
        for (directory, name) in [
            (tls.as_path(), "gone"),
            (&tls, "expired"),
            (foreign, "client"),
            (&tls, "nobody"),
            (&tls, "unlisted"),
        ] {
            let identity = (name != "nobody").then_some((directory, name));
            let answered = Connection::open(gateway.address, client_config(&ca, identity))
                .and_then(|mut connection| connection.get("/v2"));
            // One with a good certificate and no place in the list of tenants hears so; the rest hear nothing.
            match answered {
                Ok(reply) => assert_eq!((reply.status, name), (403, "unlisted")),
                Err(_) => assert_ne!(name, "unlisted"),
            }
            self.strangers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn come_and_go(&self, gateway: &Gateway) {
        for _ in 0..4 {
            drop(Connection::open(gateway.address, gateway.client_config()));
            self.churn.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reset(&self, gateway: &Gateway) {
        let mut peer = H2::open(gateway);
        let block = fields(&request_fields("POST", INFER));
        for stream in (1..400).step_by(2) {
            let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            let open =
                frame(HEADERS, END_HEADERS | if stream % 4 == 1 { END_STREAM } else { 0 }, stream, &block);
            if !peer.send(&[open, reset].concat()) {
                break;
            }
            self.resets.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Headers and bodies that come a byte at a time, until the gateway has had enough.
    fn drip(&self, gateway: &Gateway, stop: &AtomicBool) {
        let start = head("POST", INFER, &[("host", "localhost"), ("content-length", "1000")]);
        while !stop.load(Ordering::Relaxed) {
            for sent_at_once in [1, start.len()] {
                let Ok(mut connection) = Connection::open(gateway.address, gateway.client_config()) else {
                    continue;
                };
                let _ = connection.write(&start[..sent_at_once]);
                let rest = start[sent_at_once..].iter().chain(std::iter::repeat(&b'x'));
                for byte in rest {
                    if stop.load(Ordering::Relaxed) || connection.write(&[*byte]).is_err() {
                        break;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                self.slow.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Asks and never reads.
    fn read_nothing(&self, probe: &Probe, stop: &AtomicBool) {
        let request = probe.kept_alive();
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut connection) = Connection::open(probe.gateway.address, probe.gateway.client_config())
            else {
                continue;
            };
            for _ in 0..20 {
                if connection.write(&request).is_err() {
                    break;
                }
                self.unread.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A word that the metrics listener is well and reads what it must.
pub(crate) fn scrape_badly(gateway: &Gateway) {
    for bytes in [
        &b"GET /metrics"[..],
        b"\0\0\0\0\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(gateway.metrics).unwrap();
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
}
