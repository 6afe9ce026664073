//! Bootstraps alone.

use std::time::Instant;

use tiresias_benches::stats::median;
use tiresias_circuits::bootstrap::{LweCiphertext, PreparedKey, Table};
use tiresias_gpu::{Batch, Device};
use tiresias_keys::{BootstrapParameters, EvaluationKey};
use tiresias_secret_key::LongLivedKey;

use crate::Failure;

/// Ciphertexts that are compared with the processor's.
const COMPARED: usize = 512;
/// Batches that are timed.
const BATCHES: [usize; 6] = [1, 64, 256, 1024, 4096, 16_384];
/// Rounds of each.
const ROUNDS: usize = 5;

/// Compares and times each parameter set.
pub(crate) fn check(device: &Device) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism()?.get();
    println!(
        "keyswitch and bootstrap, with transfers, a second; beside it the part of what the instructions allow"
    );
    for parameters in BootstrapParameters::ALL {
        let key = LongLivedKey::generate(parameters)?.evaluation_key()?;
        let prepared = PreparedKey::new(&key);
        let loaded = device.load(parameters, prepared.rotation(), prepared.keyswitch_rows())?;
        let mib = loaded.bytes() >> 20;

        let tables = tables(parameters);
        let inputs = inputs(parameters, &key);
        let jobs: Vec<_> = inputs.iter().zip(tables.iter().cycle()).collect();
        let expected = prepared.bootstrap(&jobs, threads);
        let flat_tables: Vec<u64> = tables.iter().flat_map(Table::polynomial).copied().collect();
        let width = parameters.glwe().polynomial_size() + 1;
        let run = |count: usize| -> Result<(f64, Vec<u64>), Failure> {
            let inputs = inputs.iter().cycle().take(count);
            let lwes: Vec<u64> = inputs.flat_map(LweCiphertext::residues).copied().collect();
            let table_of: Vec<u32> = (0..tables.len() as u32).cycle().take(count).collect();
            let batch = Batch { lwes: &lwes, tables: &flat_tables, table_of: &table_of };
            let started = Instant::now();
            let results = device.bootstrap(&loaded, batch)?;
            Ok((started.elapsed().as_secs_f64(), results))
        };
        let (_, got) = run(COMPARED)?;
        let differ = got.chunks(width).zip(&expected).filter(|(got, expected)| *got != expected.residues());
        let differ = differ.count();
        println!("  {}: {differ} of {COMPARED} differ, key {mib} MiB", parameters.name());
        if differ > 0 || got.len() != COMPARED * width {
            return Err("the device's results are not the processor's".into());
        }
        let most = device.double_rate()? / Device::instructions(parameters);
        for count in BATCHES {
            let seconds: Result<Vec<f64>, Failure> = (0..ROUNDS).map(|_| Ok(run(count)?.0)).collect();
            let typical = median(&seconds?);
            let rate = count as f64 / typical;
            println!("    {count:6}: {:8.2} ms {rate:8.0}/s {:4.2}", typical * 1e3, rate / most);
        }
    }
    Ok(())
}

/// Ciphertexts of uniform residues, and of those at the ends of the range.
fn inputs(parameters: &BootstrapParameters, key: &EvaluationKey) -> Vec<LweCiphertext> {
    let (glwe, q) = (parameters.glwe(), parameters.glwe().primes()[0]);
    let uniform = |row| EvaluationKey::rotation_mask(parameters, key.seed(), row);
    let ends = [0, 1, q / 2, q / 2 + 1, q - 1];
    let ends = ends
        .iter()
        .filter_map(|&end| LweCiphertext::from_residues(glwe, vec![end; glwe.polynomial_size() + 1]));
    let uniform = (0..).map(|row| LweCiphertext::extract(glwe, &uniform(row), 7 * row as u64, row));
    ends.chain(uniform).take(COMPARED).collect()
}

fn tables(parameters: &BootstrapParameters) -> Vec<Table> {
    let half = (parameters.glwe().primes()[0] / 2) as i64;
    let table = |step: i64| {
        Table::new(parameters.glwe(), move |position| (position as i64 * step * 0x3_1415_9265 + step) % half)
    };
    (1..=5).map(table).collect()
}
