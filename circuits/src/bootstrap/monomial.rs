//! Transforms of monomials, without a transform.

use tiresias_keys::Parameters;

use super::{Kernel, kernel::LANES};

/// The powers psi^brv(k) of the root of unity behind the ring's transform, for k from 0 to N-1 and brv(k) the reversal of
/// its log2(N) bits, as residues: the twiddles of a transform that leaves value j, the polynomial at psi^(2 brv(j) + 1),
/// where the ring's own does. For backends that bring their own transform.
///
/// # Panics
///
/// Where the ring's transform has another order: none of this project has.
#[must_use]
pub fn twiddles(parameters: &Parameters) -> Vec<u64> {
    let monomials = Monomials::new(parameters);
    let n = parameters.polynomial_size();
    let reversed = |k: usize| k.reverse_bits() >> (usize::BITS - n.ilog2());
    for (t, step) in monomials.steps.iter().enumerate() {
        assert_eq!(*step, 2 * reversed(1 << t), "the transform leaves its values in bit-reversed order");
    }
    (0..n).map(|k| monomials.powers[reversed(k)]).collect()
}

/// Powers of the root of unity in the order of the ring's transform.
pub(super) struct Monomials {
    /// Power i of the first value of the transform of X, a primitive 2N-th root of unity, for i from 0 to 2N-1.
    powers: Vec<u64>,
    /// Value j + 2^t of the transform of X is value j times this power, for t from 0.
    steps: Vec<usize>,
}

impl Monomials {
    /// Finds the order of the ring's transform. Every transform of decimation in time or frequency that leaves its values
    /// in bit-reversed order has the structure of [`Monomials::steps`].
    ///
    /// # Panics
    ///
    /// Where the transform has another order: no kernel of this project has.
    pub(super) fn new(parameters: &Parameters) -> Self {
        let (n, q) = (parameters.polynomial_size(), u128::from(parameters.primes()[0]));
        let times = |a: u64, b: u64| (u128::from(a) * u128::from(b) % q) as u64;
        let mut x = parameters.ring().zero();
        x[1] = 1;
        parameters.ring().forward(&mut x);

        let mut powers = Vec::with_capacity(2 * n);
        let mut power = 1;
        for _ in 0..2 * n {
            powers.push(power);
            power = times(power, x[0]);
        }
        let exponent = |value: u64| powers.iter().position(|&power| power == value).unwrap_or_default();
        let steps: Vec<usize> = (0..n.ilog2()).map(|t| (exponent(x[1 << t]) + 2 * n - 1) % (2 * n)).collect();
        for j in 1..n {
            let t = j.ilog2();
            let expected = times(x[j - (1 << t)], powers[steps[t as usize]]);
            assert_eq!(x[j], expected, "the transform leaves its values in bit-reversed order");
        }
        Self { powers, steps }
    }

    /// The transform of X^exponent, `exponent` in \[0, 2N).
    #[inline(always)]
    pub(super) fn transform(&self, kernel: Kernel, exponent: u32, out: &mut [u64]) {
        let circle = self.powers.len() - 1;
        let exponent = exponent as usize;
        out[0] = self.powers[exponent & circle];
        for (t, step) in self.steps.iter().enumerate() {
            let factor = self.powers[(exponent * step) & circle];
            let (done, rest) = out.split_at_mut(1 << t);
            kernel.multiply_by(&mut rest[..done.len()], done, factor);
        }
        debug_assert!(out.len() >= LANES);
    }
}
