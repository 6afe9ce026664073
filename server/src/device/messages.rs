//! What gateway and worker say to each other over the worker's standard input and output. All numbers are little-endian. Both
//! ends are one program, so there is no version; lengths are checked all the same before anything is kept for them.
//!
//! ```text
//! gateway               worker
//!                    <- Ready: the device's name
//! Has: key           -> Yes, or No
//! Load: key, a set's code, the arrays of a prepared key
//!                    -> Yes, or Failed: why
//! Bootstrap: key, the arrays of a batch
//!                    -> Results: N + 1 residues a ciphertext, or Failed: why
//! ```

use std::io::{self, Read, Write};

/// Ciphertexts in one batch, at most.
pub(super) const LARGEST_BATCH: usize = 1 << 14;
/// Words of an array, at most: twice those of the largest key.
const LARGEST_ARRAY: u64 = 1 << 26;
/// Bytes of a text, at most.
const LARGEST_TEXT: u64 = 4096;
/// Words that are turned into bytes together.
const CHUNK: usize = 8192;

/// Ciphertexts to be bootstrapped under one key: N + 1 residues each, tables of N residues, and the number of each one's table.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) lwes: Vec<u64>,
    pub(super) tables: Vec<u64>,
    pub(super) table_of: Vec<u32>,
}

/// What the gateway says; arrays are borrowed from the key and the batch that it keeps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Has { key: u64 },
    Load { key: u64, parameters: u8, rotation: &'a [u64], keyswitch: &'a [u32] },
    Bootstrap { key: u64, batch: &'a Batch },
}

/// The same as the worker reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Has { key: u64 },
    Load { key: u64, parameters: u8, rotation: Vec<u64>, keyswitch: Vec<u32> },
    Bootstrap { key: u64, batch: Batch },
}

/// What the worker says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ready(String),
    Yes,
    No,
    Results(Vec<u64>),
    Failed(String),
}

impl Request<'_> {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Has { key } => {
                to.write_all(&[1])?;
                to.write_all(&key.to_le_bytes())?;
            }
            Self::Load { key, parameters, rotation, keyswitch } => {
                to.write_all(&[2])?;
                to.write_all(&key.to_le_bytes())?;
                to.write_all(&[*parameters])?;
                write_words(to, rotation, u64::to_le_bytes)?;
                write_words(to, keyswitch, u32::to_le_bytes)?;
            }
            Self::Bootstrap { key, batch } => {
                to.write_all(&[3])?;
                to.write_all(&key.to_le_bytes())?;
                write_words(to, &batch.lwes, u64::to_le_bytes)?;
                write_words(to, &batch.tables, u64::to_le_bytes)?;
                write_words(to, &batch.table_of, u32::to_le_bytes)?;
            }
        }
        to.flush()
    }
}

impl Received {
    /// The next request; `None` at the end, when the gateway is gone.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if from.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let key = u64::from_le_bytes(read_bytes(from)?);
        Ok(Some(match kind {
            [1] => Self::Has { key },
            [2] => {
                let [parameters] = read_bytes(from)?;
                let rotation = read_words(from, u64::from_le_bytes)?;
                Self::Load { key, parameters, rotation, keyswitch: read_words(from, u32::from_le_bytes)? }
            }
            [3] => {
                let lwes = read_words(from, u64::from_le_bytes)?;
                let tables = read_words(from, u64::from_le_bytes)?;
                Self::Bootstrap {
                    key,
                    batch: Batch { lwes, tables, table_of: read_words(from, u32::from_le_bytes)? },
                }
            }
            _ => return Err(broken()),
        }))
    }
}

impl Reply {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Ready(name) => write_text(to, 1, name)?,
            Self::Yes => to.write_all(&[2])?,
            Self::No => to.write_all(&[3])?,
            Self::Results(residues) => {
                to.write_all(&[4])?;
                write_words(to, residues, u64::to_le_bytes)?;
            }
            Self::Failed(why) => write_text(to, 5, why)?,
        }
        to.flush()
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        Ok(match read_bytes(from)? {
            [1] => Self::Ready(read_text(from)?),
            [2] => Self::Yes,
            [3] => Self::No,
            [4] => Self::Results(read_words(from, u64::from_le_bytes)?),
            [5] => Self::Failed(read_text(from)?),
            _ => return Err(broken()),
        })
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a message between a gateway and its worker")
}

fn read_bytes<const LENGTH: usize>(from: &mut impl Read) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_length(from: &mut impl Read, largest: u64) -> io::Result<usize> {
    let length = u64::from_le_bytes(read_bytes(from)?);
    if length > largest {
        return Err(broken());
    }
    usize::try_from(length).map_err(|_| broken())
}

fn write_words<T: Copy, const SIZE: usize>(
    to: &mut impl Write,
    words: &[T],
    bytes_of: impl Fn(T) -> [u8; SIZE],
) -> io::Result<()> {
    to.write_all(&(words.len() as u64).to_le_bytes())?;
    let mut bytes = Vec::with_capacity(CHUNK * SIZE);
    for words in words.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(words.iter().flat_map(|&word| bytes_of(word)));
        to.write_all(&bytes)?;
    }
    Ok(())
}

fn read_words<T, const SIZE: usize>(
    from: &mut impl Read,
    of_bytes: impl Fn([u8; SIZE]) -> T,
) -> io::Result<Vec<T>> {
    let mut left = read_length(from, LARGEST_ARRAY)?;
    let mut words = Vec::new();
    let mut bytes = vec![0; CHUNK.min(left) * SIZE];
    while left > 0 {
        let count = CHUNK.min(left);
        bytes.truncate(count * SIZE);
        from.read_exact(&mut bytes)?;
        words.extend(bytes.as_chunks::<SIZE>().0.iter().map(|&bytes| of_bytes(bytes)));
        left -= count;
    }
    Ok(words)
}

fn write_text(to: &mut impl Write, kind: u8, text: &str) -> io::Result<()> {
    let bytes = text.as_bytes();
    let bytes = bytes.get(..bytes.len().min(LARGEST_TEXT as usize)).unwrap_or_default();
    to.write_all(&[kind])?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

fn read_text(from: &mut impl Read) -> io::Result<String> {
    let mut bytes = vec![0; read_length(from, LARGEST_TEXT)?];
    from.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
