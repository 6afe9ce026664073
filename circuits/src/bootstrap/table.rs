//! Tables that a bootstrap looks up.

use std::sync::Arc;

use tiresias_keys::Parameters;

/// A function on the circle of 2N positions with f(p + N) = -f(p), as the polynomial of its values at 0 to N-1. A clone
/// shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    polynomial: Arc<[u64]>,
}

impl Table {
    /// Tabulates `value` at the positions 0 to N-1; values are signed and below q/2 in magnitude. At position p + N a
    /// bootstrap finds minus the value at p.
    pub fn new(parameters: &Parameters, value: impl Fn(usize) -> i64) -> Self {
        let q = parameters.primes()[0] as i64;
        let residues = (0..parameters.polynomial_size()).map(|position| value(position).rem_euclid(q) as u64);
        Self { polynomial: residues.collect() }
    }

    /// A table of N residues. `None` where there are more or fewer, or one is not below q.
    #[must_use]
    pub fn from_residues(parameters: &Parameters, residues: Vec<u64>) -> Option<Self> {
        let q = parameters.primes()[0];
        let fits =
            residues.len() == parameters.polynomial_size() && residues.iter().all(|&residue| residue < q);
        fits.then(|| Self { polynomial: residues.into() })
    }

    /// N residues.
    #[must_use]
    pub fn polynomial(&self) -> &[u64] {
        &self.polynomial
    }
}
