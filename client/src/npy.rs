//! NumPy files, written.

/// A NumPy array of rows of float64, version 1.0.
pub(crate) fn bytes<'a>(rows: impl ExactSizeIterator<Item = &'a [f64]>, columns: usize) -> Vec<u8> {
    let mut bytes = header("<f8", rows.len(), columns);
    bytes.extend(rows.flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A NumPy array of rows of uint16, version 1.0.
pub(crate) fn classes(values: &[u16], columns: usize) -> Vec<u8> {
    let mut bytes = header("<u2", values.len() / columns.max(1), columns);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn header(kind: &str, rows: usize, columns: usize) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Header and data meet at a multiple of 64 bytes.
    let padded = (10 + dictionary.len() + 1).next_multiple_of(64) - 11;
    let header = format!("{dictionary:padded$}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes
}
