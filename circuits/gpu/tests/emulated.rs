//! The kernels' source, run on the processor thread by thread: the bytes of the processor's own bootstrap. A GPU itself is asked by
//! `gpu-conformance`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use tiresias_circuits::bootstrap::{LweCiphertext, PreparedKey, Table};
use tiresias_gpu::twiddles;
use tiresias_keys::{
    BootstrapParameters, EvaluationKey,
    bootstrap_parameters::{N918_N2048_Q50, N918_N2048_Q50_G2, N918_N2048_Q50_L2, N918_N2048_Q50_L2_G2},
};
use tiresias_secret_key::LongLivedKey;

/// The emulator, where there is a C++ compiler of 2020.
fn emulator(directory: &Path) -> Option<std::path::PathBuf> {
    let program = directory.join("emulate");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut compile = Command::new(compiler);
    compile.args(["-O2", "-std=c++20", "-ffp-contract=off", "-pthread", "-o"]).arg(&program);
    compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/emulate.cpp"));
    let compiled = compile.output().ok()?;
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(program)
}

/// What a GPU would give for these ciphertexts, one table for all.
fn emulate(program: &Path, key: &PreparedKey, lwes: &[LweCiphertext], table: &Table) -> Vec<u64> {
    let parameters = key.parameters();
    let (n, levels, group) = (parameters.lwe_dimension(), parameters.rotation().levels, parameters.group());
    let mut running = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    input
        .write_all(bytemuck::cast_slice(&[n, levels, group, lwes.len(), 1].map(|value| value as u64)))
        .unwrap();
    input.write_all(bytemuck::cast_slice(key.keyswitch_rows())).unwrap();
    input.write_all(bytemuck::cast_slice(key.rotation())).unwrap();
    input.write_all(bytemuck::cast_slice(&twiddles())).unwrap();
    lwes.iter().for_each(|lwe| input.write_all(bytemuck::cast_slice(lwe.residues())).unwrap());
    input.write_all(bytemuck::cast_slice(table.polynomial())).unwrap();
    input.write_all(bytemuck::cast_slice(&vec![0_u32; lwes.len()])).unwrap();
    drop(input);
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout.as_chunks::<8>().0.iter().map(|&word| u64::from_ne_bytes(word)).collect()
}

/// Compares for some sets: one ciphertext of uniform residues and of those at the ends of the range.
fn compare(sets: &[&'static BootstrapParameters]) {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = emulator(directory.path()) else {
        println!("SKIPPED: there is no C++ compiler");
        return;
    };
    for parameters in sets {
        let glwe = parameters.glwe();
        let q = glwe.primes()[0];
        let key = LongLivedKey::generate(parameters).unwrap().evaluation_key().unwrap();
        let prepared = PreparedKey::new(&key);
        let mut residues = EvaluationKey::rotation_mask(parameters, key.seed(), 0);
        residues.push(1);
        residues.iter_mut().zip([0, q - 1, q / 2, q / 2 + 1]).for_each(|(residue, end)| *residue = end);
        let lwes = [LweCiphertext::from_residues(glwe, residues).unwrap()];
        let table = Table::new(glwe, |position| (position as i64 * 0x3_1415_9265) % (q / 2) as i64 - 7);
        let jobs: Vec<_> = lwes.iter().map(|lwe| (lwe, &table)).collect();
        let expected = prepared.bootstrap(&jobs, 1);
        let expected: Vec<u64> = expected.iter().flat_map(|lwe| lwe.residues().to_vec()).collect();
        assert_eq!(emulate(&program, &prepared, &lwes, &table), expected, "{}", parameters.name());
    }
}

#[test]
fn the_kernels_give_the_processors_bytes() {
    compare(&[&N918_N2048_Q50_G2, &N918_N2048_Q50_L2]);
}

#[test]
#[ignore = "a minute and more: cargo test -p tiresias-gpu -- --ignored"]
fn the_kernels_give_the_processors_bytes_for_the_other_sets() {
    compare(&[&N918_N2048_Q50, &N918_N2048_Q50_L2_G2]);
}
