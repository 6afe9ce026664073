//! What strace wrote of a gateway: which calls it made how often, which files it opened, whom it talked to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

/// Flags of a file that is written.
const WRITES: [&str; 4] = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];

/// What was read of a trace.
#[derive(Debug, Default, Serialize)]
pub(super) struct Trace {
    /// Calls by name.
    pub(super) calls: BTreeMap<String, u64>,
    /// Files that were opened to be read.
    pub(super) read: BTreeSet<String>,
    /// Files that were opened to be written.
    pub(super) written: BTreeSet<String>,
    /// Programs that were run.
    pub(super) run: BTreeSet<String>,
    /// Addresses that were connected to.
    pub(super) connected: BTreeSet<String>,
    /// Addresses that were listened on.
    pub(super) bound: BTreeSet<String>,
}

impl Trace {
    /// Reads a trace with numbers of processes (`-f`) and paths of descriptors (`-y`).
    pub(super) fn read_from(text: &str) -> Self {
        let mut trace = Self::default();
        // Calls that were interrupted by those of another thread.
        let mut begun: HashMap<&str, &str> = HashMap::new();
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
            let call = call.trim_start();
            if let Some(resumed) = call.strip_prefix("<... ") {
                let beginning = begun.remove(thread).unwrap_or_default();
                trace.note(beginning, resumed);
            } else if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
                begun.insert(thread, beginning);
            } else {
                trace.note(call, call);
            }
        }
        trace
    }

    /// A call, and what it returned at the end of its last line.
    fn note(&mut self, call: &str, end: &str) {
        let Some((name, arguments)) = call.split_once('(') else { return };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return;
        }
        *self.calls.entry(name.to_owned()).or_default() += 1;
        let returned = end.rsplit_once(" = ").map_or("", |(_, returned)| returned);
        match name {
            "open" | "openat" | "openat2" | "creat" => {
                // With -y the path stands behind the new descriptor.
                let path = returned.split_once('<').and_then(|(_, path)| path.rsplit_once('>'));
                let Some((path, _)) = path else { return };
                let is_written = name == "creat" || WRITES.iter().any(|flag| arguments.contains(flag));
                if is_written { &mut self.written } else { &mut self.read }.insert(path.to_owned());
            }
            "execve" | "execveat" if returned.starts_with('0') => {
                self.run.extend(quoted(arguments));
            }
            "connect" => self.connected.extend(address(arguments)),
            "bind" => self.bound.extend(address(arguments)),
            _ => {}
        }
    }
}

fn quoted(text: &str) -> Option<String> {
    Some(text.split_once('"')?.1.split_once('"')?.0.to_owned())
}

/// Family, address and port.
fn address(arguments: &str) -> Option<String> {
    let (_, address) = arguments.split_once("sa_family=")?;
    let (address, _) = address.split_once('}')?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_files_told_apart() {
        let trace = Trace::read_from(
            "7 execve(\"/bin/gateway\", [...], 0x7f /* 3 vars */) = 0\n\
             7 openat(AT_FDCWD</a>, \"m.bin\", O_RDONLY|O_CLOEXEC) = 3</a/m.bin>\n\
             7 openat(AT_FDCWD</a>, \"none\", O_RDONLY) = -1 ENOENT (No such file or directory)\n\
             8 openat(AT_FDCWD</a>, \"log\", O_WRONLY|O_CREAT|O_APPEND, 0600 <unfinished ...>\n\
             7 read(3</a/m.bin>, \"\"..., 32) = 32\n\
             8 <... openat resumed>) = 4</a/log>\n\
             8 bind(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0\n\
             8 connect(6<TCP:[2]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"192.0.2.1\")}, 16) = 0\n\
             8 +++ exited with 0 +++\n7 --- SIGCHLD {si_signo=SIGCHLD} ---\n",
        );
        assert_eq!((trace.calls["openat"], trace.calls["read"], trace.calls.len()), (3, 1, 5));
        assert_eq!(trace.read, BTreeSet::from(["/a/m.bin".to_owned()]));
        assert_eq!(trace.written, BTreeSet::from(["/a/log".to_owned()]));
        assert_eq!(trace.run, BTreeSet::from(["/bin/gateway".to_owned()]));
        assert_eq!((trace.bound.len(), trace.connected.len()), (1, 1));
        assert!(trace.connected.first().unwrap().contains("192.0.2.1"));
    }

    #[test]
    fn other_text_is_passed_over() {
        for text in
            ["", "\n", "x", "1 (", "1 =)(", "é 1(", "1 <... openat resumed>) = 3</a>", "1 openat(\"a\") = 3<"]
        {
            let trace = Trace::read_from(text);
            assert!(trace.read.is_empty() && trace.written.is_empty(), "{text}");
        }
    }
}
