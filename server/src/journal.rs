//! A file of lines that only grows, and that a crash cannot damage: each line is on the disk before it counts, a last
//! line that was cut off is as if it had never been written, and the whole is replaced by renaming.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// No file of ours comes near this.
const MAXIMUM_BYTES: u64 = 256 << 20;

/// The lines of a journal, read without touching it.
pub(crate) struct Lines(Vec<String>);

/// A file open for more lines.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    /// A write failed: what the file ends with is not known.
    broken: bool,
}

impl Lines {
    /// Reads the complete lines of a file that may not exist.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(Vec::new())),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAXIMUM_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // What stands behind the last line's end was cut off.
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(complete);
        Ok(Self(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()))
    }

    /// Parses each line. A last line that is none is one whose writing a crash interrupted; `Err` is the number of
    /// an earlier one, from 1.
    pub(crate) fn parse<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, usize> {
        let mut parsed = Vec::with_capacity(self.0.len());
        for (index, line) in self.0.iter().enumerate() {
            match parse(line) {
                Some(value) => parsed.push(value),
                None if index + 1 == self.0.len() => {}
                None => return Err(index + 1),
            }
        }
        Ok(parsed)
    }
}

impl Journal {
    /// Makes or replaces the file at `path` with these lines.
    pub(crate) fn create(path: &Path, lines: &[String]) -> io::Result<Self> {
        let (file, lines) = (write_whole(path, lines)?, lines.len());
        Ok(Self { path: path.to_owned(), file, lines, broken: false })
    }

    /// Adds a line, which is on the disk when this returns. After a failure only [`Journal::replace`] helps.
    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        self.broken = true;
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.broken = false;
        self.lines += 1;
        Ok(())
    }

    /// Replaces all lines, whole or not at all.
    pub(crate) fn replace(&mut self, lines: &[String]) -> io::Result<()> {
        self.file = write_whole(&self.path, lines)?;
        self.lines = lines.len();
        self.broken = false;
        Ok(())
    }

    /// Whether it is time to replace the file by `lines` lines.
    pub(crate) fn wants_replacement(&self, lines: usize) -> bool {
        self.broken || self.lines > 1000 + 4 * lines
    }
}

fn write_whole(path: &Path, lines: &[String]) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    let mut text = lines.join("\n");
    if !lines.is_empty() {
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The new name itself must outlive a crash too.
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(path: &Path) -> Result<Vec<u32>, usize> {
        Lines::read(path).unwrap().parse(|line| line.parse().ok())
    }

    #[test]
    fn lines_come_back_and_a_cut_off_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        assert_eq!(numbers(&path), Ok(vec![]));
        let mut journal = Journal::create(&path, &["1".into(), "22".into()]).unwrap();
        journal.append("333").unwrap();
        assert_eq!(numbers(&path), Ok(vec![1, 22, 333]));
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let complete = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(numbers(&path).unwrap(), [1, 22, 333][..complete]);
        }
    }

    #[test]
    fn a_last_line_of_garbage_is_passed_over_and_an_earlier_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        fs::write(&path, b"1\n\0\0\xff\n").unwrap();
        assert_eq!(numbers(&path), Ok(vec![1]));
        fs::write(&path, b"1\nx\n3\n").unwrap();
        assert_eq!(numbers(&path), Err(2));
    }

    #[test]
    fn a_replaced_file_takes_more_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let mut journal = Journal::create(&path, &[]).unwrap();
        for number in 0..=1000 {
            assert!(!journal.wants_replacement(0));
            journal.append(&number.to_string()).unwrap();
        }
        assert!(journal.wants_replacement(0) && !journal.wants_replacement(1));
        journal.replace(&["7".into()]).unwrap();
        journal.append("8").unwrap();
        assert_eq!(numbers(&path), Ok(vec![7, 8]));
    }
}
