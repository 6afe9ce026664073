//! What gateway and worker say to each other over the worker's standard input and output. Both ends are one program on one
//! machine: there is no version, and words are as they lie in memory, so that megabytes go without being touched. Lengths are
//! checked all the same before anything is kept for them.
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

use bytemuck::{NoUninit, Pod};

/// Ciphertexts in one batch, at most.
pub(super) const LARGEST_BATCH: usize = 1 << 14;
/// Words of an array, at most: twice those of the largest key.
const LARGEST_ARRAY: u64 = 1 << 26;
/// Bytes of a text, at most.
const LARGEST_TEXT: u64 = 4096;
/// Words that are read before more memory is taken.
const CHUNK: usize = 1 << 17;

/// Ciphertexts to be bootstrapped under one key: N + 1 residues each, tables of N residues, and the number of each one's table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) lwes: Vec<u64>,
    pub(super) tables: Vec<u64>,
    pub(super) table_of: Vec<u32>,
}

/// The same as the gateway has it: in parts, one for each of the requests whose work it is.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) lwes: Vec<&'a [u64]>,
    pub(super) tables: Vec<&'a [u64]>,
    pub(super) table_of: Vec<u32>,
}

/// What the gateway says; arrays are borrowed from the key and the requests that it keeps.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Has { key: u64 },
    Load { key: u64, parameters: u8, rotation: &'a [u64], keyswitch: &'a [u32] },
    Bootstrap { key: u64, parts: &'a Parts<'a> },
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
    /// One array for each part of the request; the worker has them as one.
    Results(Vec<Vec<u64>>),
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
                write_words(to, &[rotation])?;
                write_words(to, &[keyswitch])?;
            }
            Self::Bootstrap { key, parts } => {
                to.write_all(&[3])?;
                to.write_all(&key.to_le_bytes())?;
                write_words(to, &parts.lwes)?;
                write_words(to, &parts.tables)?;
                write_words(to, &[&parts.table_of])?;
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
                let rotation = read_words(from)?;
                Self::Load { key, parameters, rotation, keyswitch: read_words(from)? }
            }
            [3] => {
                let (lwes, tables) = (read_words(from)?, read_words(from)?);
                Self::Bootstrap { key, batch: Batch { lwes, tables, table_of: read_words(from)? } }
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
            Self::Results(parts) => {
                to.write_all(&[4])?;
                let parts: Vec<&[u64]> = parts.iter().map(Vec::as_slice).collect();
                write_words(to, &parts)?;
            }
            Self::Failed(why) => write_text(to, 5, why)?,
        }
        to.flush()
    }

    /// Reads a reply. Results must be as long as the `parts` of the request together, and come in as many.
    pub(super) fn read(from: &mut impl Read, parts: &[usize]) -> io::Result<Self> {
        Ok(match read_bytes(from)? {
            [1] => Self::Ready(read_text(from)?),
            [2] => Self::Yes,
            [3] => Self::No,
            [4] => {
                if read_length(from, LARGEST_ARRAY)? != parts.iter().sum::<usize>() {
                    return Err(broken());
                }
                Self::Results(parts.iter().map(|&length| read_some(from, length)).collect::<Result<_, _>>()?)
            }
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

/// One array, given in parts.
fn write_words<T: NoUninit>(to: &mut impl Write, parts: &[&[T]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    to.write_all(&(length as u64).to_le_bytes())?;
    parts.iter().try_for_each(|part| to.write_all(bytemuck::cast_slice(part)))
}

fn read_words<T: Pod>(from: &mut impl Read) -> io::Result<Vec<T>> {
    let length = read_length(from, LARGEST_ARRAY)?;
    read_some(from, length)
}

fn read_some<T: Pod>(from: &mut impl Read, length: usize) -> io::Result<Vec<T>> {
    let mut words: Vec<T> = Vec::new();
    while words.len() < length {
        let read = words.len();
        words.resize(length.min(read + CHUNK), T::zeroed());
        from.read_exact(bytemuck::cast_slice_mut(words.get_mut(read..).unwrap_or_default()))?;
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
