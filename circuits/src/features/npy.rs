//! The header of a NumPy `.npy` file (NEP 1, versions 1 to 3), read without trusting a length in it. The crates that
//! read this format overflow or allocate on a hostile shape, so the few lines stand here.

use crate::Error;

/// A parsed header and the bytes behind it.
pub(super) struct Npy<'a> {
    /// Bytes of one value: 4 or 8.
    pub(super) width: usize,
    /// Sides, outermost first.
    pub(super) shape: Vec<u64>,
    /// The values, little endian, in C order, exactly as many bytes as the shape implies.
    pub(super) data: &'a [u8],
}

/// What a file of features says of itself, for who reads it in portions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NpyLayout {
    /// Bytes of one value: 4 or 8, a little-endian float.
    pub width: usize,
    /// Rows n.
    pub rows: u64,
    /// Columns d.
    pub columns: usize,
    /// Where the first row begins. The file ends with the last one.
    pub offset: usize,
}

impl NpyLayout {
    /// So many bytes from a file's beginning are enough.
    pub const PREFIX: usize = 1 << 16;

    /// Reads the header of an array of shape \[n, d\], or \[d\] for one row, in a file of `length` bytes.
    pub fn read(prefix: &[u8], length: u64) -> Result<Self, Error> {
        let Header { width, shape, offset } = header(prefix)?;
        check_length(width, &shape, length.saturating_sub(offset as u64))?;
        let (rows, columns) = match *shape.as_slice() {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return Err(Error::Features("a .npy file must have shape [rows, features]")),
        };
        let columns = usize::try_from(columns).map_err(|_| NOT_NPY)?;
        Ok(Self { width, rows, columns, offset })
    }
}

const NOT_NPY: Error = Error::Features("not a readable .npy file");

pub(super) fn parse(bytes: &[u8]) -> Result<Npy<'_>, Error> {
    let Header { width, shape, offset } = header(bytes)?;
    let data = bytes.get(offset..).unwrap_or_default();
    check_length(width, &shape, data.len() as u64)?;
    Ok(Npy { width, shape, data })
}

struct Header {
    width: usize,
    shape: Vec<u64>,
    /// Bytes before the values.
    offset: usize,
}

fn check_length(width: usize, shape: &[u64], length: u64) -> Result<(), Error> {
    let size = shape.iter().try_fold(width as u64, |size, &side| size.checked_mul(side));
    if size == Some(length) {
        return Ok(());
    }
    Err(Error::Features("the .npy file's length differs from what its header says"))
}

fn header(bytes: &[u8]) -> Result<Header, Error> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or(NOT_NPY)?;
    let (header_len, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(NOT_NPY),
    };
    let (header, data) = rest.split_at_checked(header_len).ok_or(NOT_NPY)?;
    let header = std::str::from_utf8(header).map_err(|_| NOT_NPY)?;

    let width = match entry(header, "descr").ok_or(NOT_NPY)? {
        "'<f4'" => 4,
        "'<f8'" => 8,
        _ => return Err(Error::Features("a .npy file must hold little-endian float32 or float64")),
    };
    if entry(header, "fortran_order").ok_or(NOT_NPY)? != "False" {
        return Err(Error::Features("a .npy file must be in C order (numpy.ascontiguousarray)"));
    }
    let sides = entry(header, "shape").and_then(|tuple| tuple.strip_prefix('(')?.strip_suffix(')'));
    let shape = sides
        .ok_or(NOT_NPY)?
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.parse().map_err(|_| NOT_NPY))
        .collect::<Result<Vec<u64>, _>>()?;
    Ok(Header { width, shape, offset: bytes.len() - data.len() })
}

/// The literal behind `'key':` in the header's dictionary, up to its comma.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, value) = header.split_once(&format!("'{key}':"))?;
    let value = value.trim_start();
    let end = if value.starts_with('(') { value.find(')')? + 1 } else { value.find([',', '}'])? };
    Some(value.get(..end)?.trim_end())
}
