//! One target a program, under the program's name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tiresias_fuzz::target(env!("CARGO_BIN_NAME"))(data));
