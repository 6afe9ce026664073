//! `cargo run --release -p tiresias-benches --features gpu --bin gpu-conformance`: whether a GPU gives the bytes of the
//! processor, and how fast.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::time::Instant;

use tiresias_benches::stats::median;
use tiresias_circuits::bootstrap::{LweCiphertext, PreparedKey, Table};
use tiresias_gpu::{Batch, Device};
use tiresias_keys::{BootstrapParameters, EvaluationKey};
use tiresias_secret_key::LongLivedKey;

const AGREEMENT: usize = 160;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ordinal = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let threads = std::thread::available_parallelism()?.get();
    let started = Instant::now();
    let device = Device::open(ordinal)?;
    let (free, total) = device.memory()?;
    println!(
        "{}, {} of {} MiB free, opened in {:.2?}",
        device.name(),
        free >> 20,
        total >> 20,
        started.elapsed()
    );
    for parameters in BootstrapParameters::ALL {
        let glwe = parameters.glwe();
        let key = LongLivedKey::generate(parameters)?.evaluation_key()?;
        let prepared = PreparedKey::new(&key);
        let tables: Vec<Table> = (1..=4_i64)
            .map(|step| Table::new(glwe, |position| (position as i64 / (64 * step) << 40) - (step << 43)))
            .collect();
        let flat_tables: Vec<u64> = tables.iter().flat_map(Table::polynomial).copied().collect();
        let started = Instant::now();
        let loaded = device.load(parameters, prepared.rotation(), prepared.keyswitch_rows())?;
        let load = started.elapsed();
        let q = glwe.primes()[0];
        let mut inputs: Vec<LweCiphertext> = (0..AGREEMENT - 2)
            .map(|row| {
                LweCiphertext::extract(
                    glwe,
                    &EvaluationKey::rotation_mask(parameters, key.seed(), row),
                    0,
                    row,
                )
            })
            .collect();
        inputs.push(LweCiphertext::trivial(glwe, q / 4));
        inputs.extend(LweCiphertext::from_residues(glwe, vec![q - 1; glwe.polynomial_size() + 1]));
        let jobs: Vec<_> = inputs.iter().zip(tables.iter().cycle()).collect();
        let started = Instant::now();
        let expected = prepared.bootstrap(&jobs, threads);
        let cpu = AGREEMENT as f64 / started.elapsed().as_secs_f64();
        let lwes: Vec<u64> = inputs.iter().flat_map(LweCiphertext::residues).copied().collect();
        let table_of: Vec<u32> = (0..4).cycle().take(AGREEMENT).collect();
        let got =
            device.bootstrap(&loaded, Batch { lwes: &lwes, tables: &flat_tables, table_of: &table_of })?;
        let width = glwe.polynomial_size() + 1;
        let wrong =
            got.chunks(width).zip(&expected).filter(|(got, expected)| *got != expected.residues()).count();
        println!(
            "{}: {wrong} of {AGREEMENT} differ; key loaded in {load:.0?}; {threads} threads: {cpu:.0}/s",
            parameters.name()
        );
        for count in [1, 64, 132, 256, 396, 1024, 4096, 16384] {
            let lwes: Vec<u64> = lwes.iter().copied().cycle().take(count * width).collect();
            let table_of: Vec<u32> = (0..4).cycle().take(count).collect();
            let batch = Batch { lwes: &lwes, tables: &flat_tables, table_of: &table_of };
            let mut seconds = Vec::new();
            for _ in 0..4 {
                let started = Instant::now();
                device.bootstrap(&loaded, batch)?;
                seconds.push(started.elapsed().as_secs_f64());
            }
            let typical = median(&seconds[1..]);
            println!("  {count:6}: {:9.2} ms, {:8.0}/s", typical * 1e3, count as f64 / typical);
        }
    }
    Ok(())
}
