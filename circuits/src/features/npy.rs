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

pub(super) fn parse(bytes: &[u8]) -> Result<Npy<'_>, Error> {
    const NOT_NPY: Error = Error::Features("not a readable .npy file");
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
    let size = shape.iter().try_fold(width as u64, |size, &side| size.checked_mul(side));
    if size != Some(data.len() as u64) {
        return Err(Error::Features("the .npy file's length differs from what its header says"));
    }
    Ok(Npy { width, shape, data })
}

/// The literal behind `'key':` in the header's dictionary, up to its comma.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, value) = header.split_once(&format!("'{key}':"))?;
    let value = value.trim_start();
    let end = if value.starts_with('(') { value.find(')')? + 1 } else { value.find([',', '}'])? };
    Some(value.get(..end)?.trim_end())
}
