//! Blind rotation.

use tiresias_keys::bootstrap_parameters::Gadget;

use super::{LweCiphertext, PreparedKey, Table, switch::Positions};

/// Memory of one thread's blind rotations.
struct Scratch {
    /// One polynomial for each row of a GGSW.
    digits: Vec<u64>,
    /// The transformed factors of the step's GGSWs but the first (g = 2), or of its only one (g = 1).
    factors: Vec<u64>,
}

impl PreparedKey {
    /// Turns each table by its ciphertext's phase and extracts the constant coefficient.
    ///
    /// For g = 1, a step adds to the accumulator A its external product with (X^a_i - 1) * GGSW(z_i). For g = 2, A becomes
    /// its external product with GGSW(00) + X^a * GGSW(10) + X^b * GGSW(01) + X^(a+b) * GGSW(11), of which one encrypts 1
    /// and the others 0.
    pub(super) fn rotate(&self, positions: &[Positions], tables: &[&Table]) -> Vec<LweCiphertext> {
        let parameters = self.parameters;
        let n = parameters.glwe().polynomial_size();
        let per_step = 2 * n * parameters.ggsw_per_step() * parameters.rows_per_ggsw();
        let mut scratch = Scratch {
            digits: vec![0; parameters.rows_per_ggsw() * n],
            factors: vec![0; (parameters.ggsw_per_step() - 1).max(1) * n],
        };
        let mut accumulators: Vec<Vec<u64>> = positions
            .iter()
            .zip(tables)
            .map(|(positions, table)| self.turned(table, positions.body))
            .collect();
        for (step, key) in self.rotation.chunks_exact(per_step).enumerate() {
            for (accumulator, positions) in accumulators.iter_mut().zip(positions) {
                let group = parameters.group();
                self.step(accumulator, key, &positions.mask[step * group..][..group], &mut scratch);
            }
        }
        let extract = |accumulator: &Vec<u64>| {
            let (mask, body) = accumulator.split_at(n);
            LweCiphertext::extract(parameters.glwe(), mask, body[0], 0)
        };
        accumulators.iter().map(extract).collect()
    }

    /// The trivial GLWE encryption of X^-position * table: N mask residues, N body residues.
    fn turned(&self, table: &Table, position: u32) -> Vec<u64> {
        let n = self.parameters.glwe().polynomial_size();
        let q = self.parameters.glwe().primes()[0];
        let at = |index: usize| {
            let place = (index + position as usize) % (2 * n);
            let value = table.polynomial()[place % n];
            if place < n || value == 0 { value } else { q - value }
        };
        (0..n).map(|_| 0).chain((0..n).map(at)).collect()
    }

    fn step(&self, accumulator: &mut [u64], key: &[u64], exponents: &[u32], scratch: &mut Scratch) {
        let parameters = self.parameters;
        let glwe = parameters.glwe();
        let (n, q, ring) = (glwe.polynomial_size(), glwe.primes()[0], glwe.ring());
        let is_pair = parameters.group() == 2;
        self.decompose(accumulator, &mut scratch.digits);
        for digits in scratch.digits.chunks_exact_mut(n) {
            ring.forward(digits);
        }
        match *exponents {
            [a, b] => {
                let factors = scratch.factors.chunks_exact_mut(n);
                for (factor, exponent) in factors.zip([a, b, (a + b) % (2 * n as u32)]) {
                    self.monomials.transform(self.kernel, exponent, factor);
                }
            }
            _ => {
                self.monomials.transform(self.kernel, exponents[0], &mut scratch.factors);
                for value in &mut scratch.factors {
                    *value = if *value == 0 { q - 1 } else { *value - 1 };
                }
            }
        }
        if is_pair {
            self.kernel.external_product(accumulator, key, &scratch.digits, &scratch.factors, parameters);
            accumulator.chunks_exact_mut(n).for_each(|polynomial| ring.inverse(polynomial));
        } else {
            let mut product = vec![0; 2 * n];
            self.kernel.external_product(&mut product, key, &scratch.digits, &scratch.factors, parameters);
            product.chunks_exact_mut(n).for_each(|polynomial| ring.inverse(polynomial));
            for (sum, part) in accumulator.chunks_exact_mut(n).zip(product.chunks_exact(n)) {
                ring.add(sum, part);
            }
        }
    }

    /// The signed digits of each coefficient, as residues: for each level the mask's, then the body's.
    fn decompose(&self, accumulator: &[u64], digits: &mut [u64]) {
        let (n, q) = (self.parameters.glwe().polynomial_size(), self.parameters.glwe().primes()[0]);
        let Gadget { base_log, levels } = self.parameters.rotation();
        self.kernel.run(
            #[inline(always)]
            || match levels {
                1 => {
                    for (&residue, digit) in accumulator.iter().zip(digits) {
                        *digit = wrap(rounded(residue, q, base_log), q);
                    }
                }
                _ => {
                    let (high, low) = digits.split_at_mut(2 * n);
                    for (&residue, (high, low)) in accumulator.iter().zip(high.iter_mut().zip(low)) {
                        let rounded = rounded(residue, q, 2 * base_log);
                        let half = 1_i64 << (base_log - 1);
                        let rest = ((rounded + half) & ((1 << base_log) - 1)) - half;
                        *low = wrap(rest, q);
                        *high = wrap((rounded - rest) >> base_log, q);
                    }
                }
            },
        );
    }
}

/// The multiple of 2^(50 - bits) next to the centred residue.
#[inline(always)]
fn rounded(residue: u64, q: u64, bits: u32) -> i64 {
    let centred = if residue > q / 2 { residue.wrapping_sub(q) } else { residue } as i64;
    let dropped = 50 - bits;
    (centred + (1 << (dropped - 1))) >> dropped
}

#[inline(always)]
fn wrap(digit: i64, q: u64) -> u64 {
    let word = digit as u64;
    word.min(word.wrapping_add(q))
}
