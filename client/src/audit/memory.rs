//! Looks through the memory of a process of this machine, without its help: what the kernel shows of it in `/proc`. That
//! takes the rights of a debugger: an ancestor of the process, or its system's administrator.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

use super::search::{Found, Search};

/// A mapped part of a process's memory.
struct Region {
    start: u64,
    end: u64,
    /// Of the process's own, writable and of no file.
    is_own: bool,
}

/// Looks through all memory that the process can read: its heap, stacks and tables, and the files that it has mapped. Parts
/// that go while they are read are passed over.
pub fn search(process: u32, search: &Search) -> io::Result<Found<'_>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let mut found = Found::default();
    for region in regions(&fs::read_to_string(format!("/proc/{process}/maps"))?) {
        found.merge(search.read(Window { memory: &memory, at: region.start, end: region.end })?);
    }
    Ok(found)
}

/// What the process keeps out of core dumps: the pages of its secret keys.
pub fn kept_out_of_dumps(process: u32) -> io::Result<Vec<Vec<u8>>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let text = fs::read_to_string(format!("/proc/{process}/smaps"))?;
    let mut kept = Vec::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(region) = region(line) {
            last = Some(region);
        } else if let Some(flags) = line.strip_prefix("VmFlags:")
            && let Some(region) = last.take().filter(|region| region.is_own)
            && flags.split(' ').any(|flag| flag == "dd")
        {
            let mut bytes = Vec::new();
            Window { memory: &memory, at: region.start, end: region.end }.read_to_end(&mut bytes)?;
            kept.push(bytes);
        }
    }
    Ok(kept)
}

fn regions(maps: &str) -> impl Iterator<Item = Region> + '_ {
    maps.lines().filter_map(region)
}

/// Reads a line of `maps`, such as `7f00-7f20 rw-p 00000000 00:00 0 [heap]`. None for other lines, and for regions that
/// cannot be read.
fn region(line: &str) -> Option<Region> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next().filter(|rights| rights.starts_with('r'))?;
    let inode = fields.nth(2)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Region { start: number(start)?, end: number(end)?, is_own: rights == "rw-p" && inode == "0" })
}

/// A region as something to read, from the first to the last byte that the kernel gives.
struct Window<'a> {
    memory: &'a File,
    at: u64,
    end: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = (self.end - self.at).min(buffer.len() as u64) as usize;
        // Unmapped in the meantime, or a page of the kernel's own.
        let read = self.memory.read_at(&mut buffer[..wanted], self.at).unwrap_or(0);
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Canaries;

    #[test]
    fn regions_are_read_from_lines_of_maps() {
        let text = "55d0-55e0 r-xp 00002000 103:01 77  /usr/bin/with a space\n\
                    7f00-7f20 rw-p 00000000 00:00 0 \n7f20-7f30 ---p 00000000 00:00 0 \nSize: 4 kB\n\
                    7ffd-7ffe rw-p 00000000 00:00 0    [stack]\nVmFlags: rd wr\n";
        let found: Vec<_> = regions(text).map(|region| (region.start, region.end, region.is_own)).collect();
        assert_eq!(found, [(0x55d0, 0x55e0, false), (0x7f00, 0x7f20, true), (0x7ffd, 0x7ffe, true)]);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        let mut canaries = Canaries::new();
        canaries.text("name", "CANARY^JANE").unwrap();
        let found = search(u32::MAX, &Search::new(canaries)).unwrap_err();
        assert_eq!(found.kind(), io::ErrorKind::NotFound);
    }
}
