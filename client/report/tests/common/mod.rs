//! Sample reports, and programs that nobody here wrote to check their files with.
#![allow(dead_code, reason = "each test program uses a part of it")]

#[path = "../../../tests/common/browser.rs"]
pub(crate) mod browser;
#[path = "../../../tests/common/programs.rs"]
pub(crate) mod programs;
pub(crate) mod samples;

/// Says why a test did not run.
#[expect(clippy::print_stdout, reason = "a skipped test is not a silent one")]
pub(crate) fn skipped(what: &str, reason: &str) {
    println!("SKIPPED: {what}: {reason}");
}
