//! LWE ciphertexts under the coefficients of a GLWE key.

use tiresias_keys::Parameters;

use super::kernel::{Q, reduce};

/// An LWE ciphertext of dimension N modulo q: N mask residues, then the body. Its phase is body - sum of mask_i * S_i.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LweCiphertext {
    residues: Vec<u64>,
}

impl LweCiphertext {
    /// A trivial encryption of `value`, a residue modulo q: a mask of zeros.
    ///
    /// # Panics
    ///
    /// Where the parameters' modulus is not the prime of bootstrapping.
    #[must_use]
    pub fn trivial(parameters: &Parameters, value: u64) -> Self {
        assert_eq!(parameters.primes(), [Q], "bootstrapping works modulo one prime");
        let mut residues = vec![0; parameters.polynomial_size() + 1];
        if let Some(body) = residues.last_mut() {
            *body = value;
        }
        Self { residues }
    }

    /// A ciphertext of N mask residues and the body. `None` where the number of residues is another or one is not below q.
    #[must_use]
    pub fn from_residues(parameters: &Parameters, residues: Vec<u64>) -> Option<Self> {
        let fits =
            residues.len() == parameters.polynomial_size() + 1 && residues.iter().all(|&residue| residue < Q);
        fits.then_some(Self { residues })
    }

    /// N mask residues, then the body.
    #[must_use]
    pub fn residues(&self) -> &[u64] {
        &self.residues
    }

    /// Coefficient `index` of the GLWE ciphertext with N coefficients `mask`, whose body has `body` there.
    #[must_use]
    pub fn extract(parameters: &Parameters, mask: &[u64], body: u64, index: usize) -> Self {
        assert_eq!(parameters.polynomial_size(), mask.len(), "a mask has N coefficients");
        let (low, high) = mask.split_at(index + 1);
        // (a*S)_index = sum over i <= index of a_(index-i)*S_i, minus the sum over the others of a_(N+index-i)*S_i.
        let negated = high.iter().rev().map(|&residue| negate(residue));
        let residues = low.iter().rev().copied().chain(negated).chain([body]).collect();
        Self { residues }
    }

    /// The N mask residues.
    #[must_use]
    pub fn mask(&self) -> &[u64] {
        &self.residues[..self.residues.len() - 1]
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> u64 {
        self.residues[self.residues.len() - 1]
    }

    /// The coefficients of a GLWE mask under which this ciphertext is coefficient 0: the inverse of
    /// [`LweCiphertext::extract`].
    #[must_use]
    pub fn to_glwe_mask(&self) -> Vec<u64> {
        let (first, rest) = self.mask().split_at(1);
        first.iter().copied().chain(rest.iter().rev().map(|&residue| negate(residue))).collect()
    }

    /// `factor` times this ciphertext, `factor` a residue modulo q.
    #[must_use]
    pub fn scaled(&self, factor: u64) -> Self {
        let residues = self.residues.iter().map(|&residue| reduce(u128::from(residue) * u128::from(factor)));
        Self { residues: residues.collect() }
    }

    /// The sum of ciphertexts, each times its factor.
    #[must_use]
    pub fn combination<'a>(parameters: &Parameters, terms: impl Iterator<Item = (&'a Self, i8)>) -> Self {
        /// Terms between reductions: 32 * 2^7 * 2^50 stay below 2^63.
        const TERMS: usize = 32;
        let mut sum = Self::trivial(parameters, 0);
        let mut sums = vec![0_i64; sum.residues.len()];
        for (index, (term, factor)) in terms.enumerate() {
            if index % TERMS == 0 {
                sums.iter_mut().for_each(|sum| *sum = sum.rem_euclid(Q as i64));
            }
            for (sum, &residue) in sums.iter_mut().zip(&term.residues) {
                *sum += i64::from(factor) * residue as i64;
            }
        }
        for (residue, sum) in sum.residues.iter_mut().zip(sums) {
            *residue = sum.rem_euclid(Q as i64) as u64;
        }
        sum
    }

    /// Adds another ciphertext.
    pub fn add(&mut self, other: &Self) {
        for (residue, &addend) in self.residues.iter_mut().zip(&other.residues) {
            let sum = *residue + addend;
            *residue = sum.min(sum.wrapping_sub(Q));
        }
    }

    /// Subtracts another ciphertext.
    pub fn subtract(&mut self, other: &Self) {
        for (residue, &subtrahend) in self.residues.iter_mut().zip(&other.residues) {
            let difference = residue.wrapping_sub(subtrahend);
            *residue = difference.min(difference.wrapping_add(Q));
        }
    }

    /// Adds a residue modulo q to the phase.
    pub fn add_constant(&mut self, constant: u64) {
        if let Some(body) = self.residues.last_mut() {
            let sum = *body + constant;
            *body = sum.min(sum.wrapping_sub(Q));
        }
    }
}

fn negate(residue: u64) -> u64 {
    if residue == 0 { 0 } else { Q - residue }
}
