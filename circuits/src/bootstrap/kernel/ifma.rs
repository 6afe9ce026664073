//! The kernel for AVX-512 with 52-bit multiply-add. Instructions are called through the tokens of `pulp`, which exist only
//! where the processor has them.

use std::arch::x86_64::__m512i;

use super::{LANES, Q};

pulp::simd_type! {
    /// The proof that this processor has the instructions of this module.
    pub(super) struct Ifma {
        pub(super) avx: "avx",
        pub(super) avx2: "avx2",
        pub(super) bmi2: "bmi2",
        pub(super) avx512f: "avx512f",
        pub(super) avx512bw: "avx512bw",
        pub(super) avx512dq: "avx512dq",
        pub(super) avx512vl: "avx512vl",
        pub(super) avx512ifma: "avx512ifma",
    }
}

/// A sum of products below 2^104, as low + high * 2^52. Low may exceed 52 bits by the carries of some additions.
#[derive(Clone, Copy)]
struct Sum {
    low: __m512i,
    high: __m512i,
}

impl Ifma {
    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        self.avx512f._mm512_set1_epi64(word as i64)
    }

    /// `sum + a * b`; a and b below 2^52.
    #[inline(always)]
    fn multiply_add(self, sum: Sum, a: __m512i, b: __m512i) -> Sum {
        Sum {
            low: self.avx512ifma._mm512_madd52lo_epu64(sum.low, a, b),
            high: self.avx512ifma._mm512_madd52hi_epu64(sum.high, a, b),
        }
    }

    /// A number congruent to `sum` and below 2^50 + 2^20: the high part is folded down by 2^52 = 4 * 16383 and
    /// 2^50 = 16383 modulo the prime.
    #[inline(always)]
    fn fold(self, sum: Sum) -> __m512i {
        let (ifma, fold) = (self.avx512ifma, self.splat(4 * 16_383));
        let carried = ifma._mm512_madd52hi_epu64(self.splat(0), sum.high, fold);
        let once = ifma._mm512_madd52lo_epu64(sum.low, sum.high, fold);
        let twice = ifma._mm512_madd52lo_epu64(once, carried, fold);
        let top = self.avx512f._mm512_srli_epi64::<50>(twice);
        let rest = self.avx512f._mm512_and_si512(twice, self.splat((1 << 50) - 1));
        ifma._mm512_madd52lo_epu64(rest, top, self.splat(16_383))
    }

    /// The residue in \[0, q) of a number below 2q.
    #[inline(always)]
    fn canonical(self, folded: __m512i) -> [u64; LANES] {
        let less = self.avx512f._mm512_sub_epi64(folded, self.splat(Q));
        pulp::cast(self.avx512f._mm512_min_epu64(folded, less))
    }
}

pub(super) fn multiply_by(simd: Ifma, out: &mut [u64], values: &[u64], factor: u64) {
    simd.vectorize(
        #[inline(always)]
        || {
            let (zero, factor) = (simd.splat(0), simd.splat(factor));
            let vectors = out.as_chunks_mut::<LANES>().0.iter_mut().zip(values.as_chunks::<LANES>().0);
            for (out, &values) in vectors {
                let product = simd.multiply_add(Sum { low: zero, high: zero }, pulp::cast(values), factor);
                *out = simd.canonical(simd.fold(product));
            }
        },
    );
}

pub(super) fn external_product<const GGSWS: usize, const ROWS: usize>(
    simd: Ifma,
    out: &mut [u64],
    key: &[u64],
    digits: &[u64],
    factors: &[u64],
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let zero = simd.splat(0);
            let vectors = out.len() / 2 / LANES;
            let digits = digits.as_chunks::<LANES>().0;
            let factors = factors.as_chunks::<LANES>().0;
            let keys = key.as_chunks::<LANES>().0.chunks_exact(2 * ROWS * GGSWS);
            let (mask, body) = out.as_chunks_mut::<LANES>().0.split_at_mut(vectors);
            for (index, (key, (mask, body))) in keys.zip(mask.iter_mut().zip(body)).enumerate() {
                let mut digit = [zero; ROWS];
                for (row, digit) in digit.iter_mut().enumerate() {
                    *digit = pulp::cast(digits[row * vectors + index]);
                }
                let mut factor = [zero; GGSWS];
                for (ggsw, factor) in
                    factor.iter_mut().take(if GGSWS == 1 { 1 } else { GGSWS - 1 }).enumerate()
                {
                    *factor = pulp::cast(factors[ggsw * vectors + index]);
                }
                for (result, key) in [mask, body].into_iter().zip(key.chunks_exact(ROWS * GGSWS)) {
                    let mut sum = Sum { low: zero, high: zero };
                    for (row, key) in key.chunks_exact(GGSWS).enumerate() {
                        let bundle = if GGSWS == 1 {
                            simd.multiply_add(Sum { low: zero, high: zero }, pulp::cast(key[0]), factor[0])
                        } else {
                            let first = Sum { low: pulp::cast(key[0]), high: zero };
                            (1..GGSWS).fold(
                                first,
                                #[inline(always)]
                                |sum, ggsw| simd.multiply_add(sum, pulp::cast(key[ggsw]), factor[ggsw - 1]),
                            )
                        };
                        sum = simd.multiply_add(sum, simd.fold(bundle), digit[row]);
                    }
                    *result = simd.canonical(simd.fold(sum));
                }
            }
        },
    );
}
