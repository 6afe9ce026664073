//! What a process takes.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;

/// Memory and open files of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) memory_kib: u64,
    pub(crate) files: usize,
}

impl Footprint {
    pub(crate) fn of(process: u32) -> Self {
        let process = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory_kib = memory.trim().trim_end_matches(" kB").parse().unwrap();
        Self { memory_kib, files: fs::read_dir(format!("{process}/fd")).unwrap().count() }
    }
}
