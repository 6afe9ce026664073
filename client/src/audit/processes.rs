//! Which processes of this machine belong to a program, and what the kernel says that they have open and may do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use serde::Serialize;

/// What is kept of `/proc/PID/status`.
const STATUS: [&str; 9] =
    ["Name", "Uid", "Threads", "VmRSS", "VmLck", "CapEff", "NoNewPrivs", "Seccomp", "TracerPid"];

/// A process as the kernel showed it at one moment, or at several.
#[derive(Debug, Clone, Serialize)]
pub struct Observed {
    /// Its number.
    pub process: u32,
    /// Its program.
    pub program: PathBuf,
    /// Lines of its status.
    pub status: BTreeMap<String, String>,
    /// Files, sockets and pipes that it had open.
    pub open: BTreeSet<String>,
    /// Files that were mapped into its memory.
    pub mapped: BTreeSet<String>,
}

/// A process and all below it, itself first.
pub fn family(process: u32) -> io::Result<Vec<u32>> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended in the meantime has none.
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        parents.extend(parent(&stat).map(|parent| (number, parent)));
    }
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&of) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(number, _)| *number));
        next += 1;
    }
    Ok(family)
}

/// What the kernel shows of a process now.
pub fn observe(process: u32) -> io::Result<Observed> {
    let text = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
    let status = text("status")?;
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let lines = lines.filter(|(name, _)| STATUS.contains(name));
    let mut open = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        // Closed in the meantime.
        if let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) {
            open.insert(target.to_string_lossy().into_owned());
        }
    }
    let maps = text("maps")?;
    let mapped = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
    Ok(Observed {
        process,
        program: fs::read_link(format!("/proc/{process}/exe"))?,
        status: lines.map(|(name, value)| (name.to_owned(), value.trim().replace('\t', " "))).collect(),
        open,
        mapped: mapped.map(str::to_owned).collect(),
    })
}

impl Observed {
    /// Adds what was seen at another moment.
    pub fn merge(&mut self, later: Self) {
        self.status = later.status;
        self.open.extend(later.open);
        self.mapped.extend(later.mapped);
    }
}

/// The parent in `/proc/PID/stat`: the second field behind the name, which may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_hides_no_parent() {
        assert_eq!(parent("12 (a) b (c)) S 7 12 12 0"), Some(7));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn children_belong_to_the_family_and_open_files_are_seen() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let own = std::process::id();
        let family = family(own).unwrap();
        let seen = observe(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family[0] == own && family.contains(&child.id()));
        assert!(seen.program.ends_with("sleep") || !seen.mapped.is_empty());
        assert!(seen.open.contains("/dev/null") && seen.status.contains_key("Threads"), "{seen:?}");
        assert!(observe(u32::MAX).is_err());
    }
}
