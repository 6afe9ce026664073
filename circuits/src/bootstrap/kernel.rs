//! The arithmetic of a processor. All kernels compute the same integers: [`portable`] defines them.

#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

pub(super) use portable::reduce;
use tiresias_keys::BootstrapParameters;

/// Residues of one vector.
pub(super) const LANES: usize = 8;

/// The prime of all bootstrapping parameter sets. The kernels fold by 2^50 = 16383 modulo it.
pub(super) const Q: u64 = (1 << 50) - 16_383;

/// What computes; see [`Kernel::detect`].
#[derive(Debug, Clone, Copy)]
pub struct Kernel(Choice);

#[derive(Debug, Clone, Copy)]
enum Choice {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::Ifma),
}

impl Kernel {
    /// The fastest kernel of this processor.
    #[must_use]
    pub fn detect() -> Self {
        Self::all().pop().unwrap_or(Self(Choice::Portable))
    }

    /// All kernels of this processor, the fastest last.
    #[must_use]
    pub fn all() -> Vec<Self> {
        std::iter::once(Self(Choice::Portable)).chain(Self::vector()).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn vector() -> impl Iterator<Item = Self> {
        let avx2 = pulp::x86::V3::try_new().map(|simd| Self(Choice::Avx2(simd)));
        let ifma = ifma::Ifma::try_new().map(|simd| Self(Choice::Ifma(simd)));
        avx2.into_iter().chain(ifma)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn vector() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    /// A name for benches and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Choice::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Choice::Ifma(_) => "AVX-512 IFMA",
        }
    }

    /// Runs plain loops compiled for this kernel's instructions. `work` must be `#[inline(always)]`.
    #[inline(always)]
    pub(super) fn run(self, work: impl FnOnce()) {
        match self.0 {
            Choice::Portable => work(),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(simd) => simd.vectorize(work),
            #[cfg(target_arch = "x86_64")]
            Choice::Ifma(simd) => simd.vectorize(work),
        }
    }

    /// `out = values * factor`, value by value modulo the prime 2^50 - 16383.
    pub(super) fn multiply_by(self, out: &mut [u64], values: &[u64], factor: u64) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Ifma(simd) if out.len() >= LANES => ifma::multiply_by(simd, out, values, factor),
            _ => portable::multiply_by(out, values, factor),
        }
    }

    /// The external product in the transform domain: for mask and body of `out` the sum over the rows of
    /// digits * (sum over the GGSWs of factor * key).
    ///
    /// `out`: 2*N values. `key`: one step of [`super::PreparedKey`]. `digits`: N values a row. `factors`: N values for each
    /// GGSW but the first of a pair, whose factor is 1.
    pub(super) fn external_product(
        self,
        out: &mut [u64],
        key: &[u64],
        digits: &[u64],
        factors: &[u64],
        parameters: &BootstrapParameters,
    ) {
        match (parameters.group(), parameters.rotation().levels) {
            (1, 1) => self.external::<1, 2>(out, key, digits, factors),
            (1, _) => self.external::<1, 4>(out, key, digits, factors),
            (_, 1) => self.external::<4, 2>(out, key, digits, factors),
            (_, _) => self.external::<4, 4>(out, key, digits, factors),
        }
    }

    fn external<const GGSWS: usize, const ROWS: usize>(
        self,
        out: &mut [u64],
        key: &[u64],
        digits: &[u64],
        factors: &[u64],
    ) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Ifma(simd) => ifma::external_product::<GGSWS, ROWS>(simd, out, key, digits, factors),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(simd) => simd.vectorize(
                #[inline(always)]
                || portable::external_product::<GGSWS, ROWS>(out, key, digits, factors),
            ),
            Choice::Portable => portable::external_product::<GGSWS, ROWS>(out, key, digits, factors),
        }
    }
}
