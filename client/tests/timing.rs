//! Whether the time that the clinic takes over an answer tells a good one from a bad one, in the manner of dudect (Reparaz,
//! Balasch, Verbauwhede: Dude, is my code constant time?, DATE 2017): Welch's t over two classes that take turns at random.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "../../server/tests/common/mod.rs"]
mod common;
#[path = "../../server/tests/common/probe.rs"]
mod probe;

use std::{hint::black_box, time::Instant};

use common::{Setup, rows};
use probe::{HEADER_LENGTH, Probe, sealed};
use tiresias_client::oip;

/// Mean and variance, one value after the other.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let from_mean = value - self.mean;
        self.mean += from_mean / self.count;
        self.squares += from_mean * (value - self.mean);
    }

    fn of(values: &[f64], longest: f64) -> Self {
        let mut moments = Self::default();
        values.iter().filter(|value| **value <= longest).for_each(|value| moments.add(*value));
        moments
    }
}

fn welch([one, other]: [&Moments; 2]) -> f64 {
    let part = |moments: &Moments| moments.squares / (moments.count - 1.0) / moments.count;
    (one.mean - other.mean) / (part(one) + part(other)).sqrt()
}

/// The largest |t|, over all times and over those below some quantiles, as dudect takes it.
fn largest_t(classes: &[Vec<f64>; 2]) -> f64 {
    let mut all = classes.concat();
    all.sort_unstable_by(f64::total_cmp);
    let quantiles = [0.5, 0.8, 0.95, 0.99, 1.0].map(|share| all[((all.len() - 1) as f64 * share) as usize]);
    let t = quantiles.map(|longest| {
        let moments = [0, 1].map(|class| Moments::of(&classes[class], longest));
        welch([&moments[0], &moments[1]]).abs()
    });
    println!("|t| below the quantiles 0.5, 0.8, 0.95, 0.99 and 1: {t:.2?}");
    t.into_iter().fold(0.0, f64::max)
}

/// Times of good answers, and of answers whose content is arbitrary: both are decrypted and read.
fn times(runs: usize) -> [Vec<f64>; 2] {
    let probe = Probe::start(Setup::model("flooded"));
    let row = &rows()[0];
    let mut state = 0x7472_7371_u64;
    let mut next = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 33
    };
    let mut classes = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        let encrypted = probe.model.encrypt(row, None).unwrap();
        let reply = probe.gateway.send(&probe.infer_elements(&[&encrypted.element])).unwrap();
        let length = reply.header(HEADER_LENGTH).unwrap().parse().unwrap();
        let mut element = oip::read_response(&reply.body, length, "scores").unwrap().elements.remove(0);
        let class = (next() & 1) as usize;
        if class == 1 {
            // The masks; behind them stand a few coefficients, whose last byte is not full.
            let end = element.len() - probe::TRAILER;
            element[probe::BODY_AT..end - 32].fill_with(|| next() as u8);
            element = sealed(element);
        }
        let started = Instant::now();
        let found = probe.model.decrypt(0, encrypted.pending, &element, None);
        let took = started.elapsed();
        assert!(black_box(found).is_ok());
        classes[class].push(took.as_secs_f64());
    }
    probe.finish();
    classes
}

#[test]
fn both_kinds_of_answers_are_read() {
    let [good, bad] = times(100);
    assert!(!good.is_empty() && !bad.is_empty());
    // The measure sees a difference where there is one.
    let late: Vec<f64> = good.iter().map(|time| time * 3.0).collect();
    assert!(largest_t(&[good, late]) > 4.5);
}

/// `cargo test -p tiresias-client --test timing -- --ignored --nocapture`, ten minutes on an idle machine.
#[test]
#[ignore = "ten minutes on an idle machine"]
fn the_time_of_a_decryption_does_not_tell_good_from_bad() {
    let runs = std::env::var("TIRESIAS_RUNS").map_or(100_000, |text| text.parse().unwrap());
    let classes = times(runs);
    let t = largest_t(&classes);
    println!("{runs} answers, largest |t| {t:.2}");
}
