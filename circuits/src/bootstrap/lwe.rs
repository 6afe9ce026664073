//! LWE ciphertexts under the coefficients of a GLWE key.

use tiresias_keys::Parameters;

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
    /// Where the parameters' modulus is not one prime: bootstrapping has no others.
    #[must_use]
    pub fn trivial(parameters: &Parameters, value: u64) -> Self {
        assert_eq!(parameters.primes().len(), 1, "bootstrapping works modulo one prime");
        let mut residues = vec![0; parameters.polynomial_size() + 1];
        if let Some(body) = residues.last_mut() {
            *body = value;
        }
        Self { residues }
    }

    /// Coefficient `index` of the GLWE ciphertext with N coefficients `mask`, whose body has `body` there.
    #[must_use]
    pub fn extract(parameters: &Parameters, mask: &[u64], body: u64, index: usize) -> Self {
        let q = parameters.primes()[0];
        let (low, high) = mask.split_at(index + 1);
        // (a*S)_index = sum over i <= index of a_(index-i)*S_i, minus the sum over the others of a_(N+index-i)*S_i.
        let negated = high.iter().rev().map(|&residue| if residue == 0 { 0 } else { q - residue });
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

    /// Adds `factor` times another ciphertext.
    pub fn add_scaled(&mut self, parameters: &Parameters, other: &Self, factor: i64) {
        let q = parameters.primes()[0];
        let factor = i128::from(factor).rem_euclid(i128::from(q)) as u64;
        for (residue, &addend) in self.residues.iter_mut().zip(&other.residues) {
            *residue =
                ((u128::from(addend) * u128::from(factor) + u128::from(*residue)) % u128::from(q)) as u64;
        }
    }

    /// Adds a residue modulo q to the phase.
    pub fn add_constant(&mut self, parameters: &Parameters, constant: u64) {
        let q = parameters.primes()[0];
        if let Some(body) = self.residues.last_mut() {
            *body = (*body + constant % q) % q;
        }
    }
}
