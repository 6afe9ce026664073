//! Sums of wide integers times small weights, for many patients at once.
//!
//! An integer comes as planes of 16 bits, and each plane is made signed by taking 2^15 off, which the sum of the weights puts
//! back. Then one instruction (`pmaddwd`) multiplies two features of a patient by their weights and adds both, for 8 patients
//! with AVX2 and 16 with AVX-512; three of them, and three additions, do two features of 48 bits. Products of 64-bit words would
//! take four instructions and four additions for half as many patients. All kernels compute the same integers.

use super::Weights;

/// Patients that are summed at once.
const TILE: usize = 32;

/// Pairs of features whose sum fits 32 bits: 256 * 2 * 2^15 * 127 < 2^31.
const PAIRS: usize = 256;

/// Two features of a tile's patients: signed words of 16 bits, the first feature's in the lower half.
type Pair = [u32; TILE];

/// Classes that are summed at once.
pub(super) const CLASSES: usize = 4;

/// The sums of a tile.
type Sums = [[i32; TILE]; CLASSES];

/// What computes; see [`Kernel::detect`].
#[derive(Debug, Clone, Copy)]
pub struct Kernel(Choice);

#[derive(Debug, Clone, Copy)]
enum Choice {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
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
        let avx512 = x86::Avx512::try_new().map(|simd| Self(Choice::Avx512(simd)));
        avx2.into_iter().chain(avx512)
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
            Choice::Avx512(_) => "AVX-512",
        }
    }

    /// Runs plain loops compiled for this kernel's instructions. `work` must be `#[inline(always)]`.
    #[inline(always)]
    fn run(self, work: impl FnOnce()) {
        match self.0 {
            Choice::Portable => work(),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(simd) => simd.vectorize(work),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(simd) => simd.vectorize(work),
        }
    }

    /// `sums += values * weights` over pairs of features, at most [`PAIRS`].
    fn multiply_add(self, sums: &mut Sums, values: &[Pair], weights: &[[i32; CLASSES]]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(simd) => x86::avx2(simd, sums, values, weights),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(simd) => x86::avx512(simd, sums, values, weights),
            Choice::Portable => portable(sums, values, weights),
        }
    }
}

/// Unsigned integers of features and patients: for each feature so many planes of n little-endian words of 16 bits, the lowest
/// bits first.
pub(super) struct Planes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) planes: usize,
    pub(super) patients: usize,
}

/// Adds to `sums`, K*n words, what these features contribute modulo 2^64. `first` is their first one's pair among the weights.
pub(super) fn accumulate(
    kernel: Kernel,
    weights: &Weights,
    first: usize,
    values: &Planes<'_>,
    sums: &mut [u64],
) {
    let n = values.patients;
    let features = values.bytes.len() / (values.planes * n * 2);
    let pairs = features.div_ceil(2);
    let mut tile = vec![[0; TILE]; pairs];
    for start in (0..n).step_by(TILE) {
        let width = TILE.min(n - start);
        for plane in 0..values.planes {
            kernel.run(
                #[inline(always)]
                || gather(values, plane, start, &mut tile),
            );
            for (block, classes) in weights.blocks().zip(sums.chunks_mut(CLASSES * n)) {
                for (values, weights) in tile.chunks(PAIRS).zip(block[first..].chunks(PAIRS)) {
                    let mut part = [[0; TILE]; CLASSES];
                    kernel.multiply_add(&mut part, values, weights);
                    for (part, sums) in part.iter().zip(classes.chunks_mut(n)) {
                        for (sum, &part) in sums[start..start + width].iter_mut().zip(part) {
                            *sum = sum.wrapping_add((i64::from(part) << (16 * plane)) as u64);
                        }
                    }
                }
            }
        }
    }
}

/// What taking 2^15 off each plane takes off an integer.
pub(super) fn taken_off(planes: usize) -> u64 {
    (0..planes).map(|plane| 1 << (15 + 16 * plane)).sum()
}

/// One plane of a tile's patients, two features side by side. What lies beyond the last patient or feature has no meaning.
#[inline(always)]
fn gather(values: &Planes<'_>, plane: usize, start: usize, tile: &mut [Pair]) {
    let row = values.patients * 2;
    let mut features = values.bytes.chunks_exact(row * values.planes).map(
        #[inline(always)]
        |feature| {
            let words = feature[plane * row..][..row][2 * start..].as_chunks::<2>().0;
            match words.first_chunk::<TILE>() {
                Some(words) => *words,
                None => {
                    let mut padded = [[0; 2]; TILE];
                    padded[..words.len()].copy_from_slice(words);
                    padded
                }
            }
        },
    );
    for pair in tile {
        let (Some(even), odd) = (features.next(), features.next()) else { return };
        let odd = odd.unwrap_or(even);
        for ((pair, even), odd) in pair.iter_mut().zip(even).zip(odd) {
            let [even, odd] = [even, odd].map(|word| u32::from(u16::from_le_bytes(word)));
            *pair = (odd << 16 | even) ^ 0x8000_8000;
        }
    }
}

fn portable(sums: &mut Sums, values: &[Pair], weights: &[[i32; CLASSES]]) {
    for (values, weights) in values.iter().zip(weights) {
        for (sums, &weight) in sums.iter_mut().zip(weights) {
            let [even, odd] = [weight as i16, (weight >> 16) as i16].map(i32::from);
            for (sum, &value) in sums.iter_mut().zip(values) {
                let [x, y] = [value as i16, (value >> 16) as i16].map(i32::from);
                *sum += x * even + y * odd;
            }
        }
    }
}

/// Instructions are called through the tokens of `pulp`, which exist only where the processor has them.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256i, __m512i};

    use super::{CLASSES, Pair, Sums};

    pulp::simd_type! {
        /// The proof that this processor has AVX-512 with words of 16 bits.
        pub(super) struct Avx512 {
            pub(super) avx: "avx",
            pub(super) avx2: "avx2",
            pub(super) avx512f: "avx512f",
            pub(super) avx512bw: "avx512bw",
        }
    }

    pub(super) fn avx2(simd: pulp::x86::V3, sums: &mut Sums, values: &[Pair], weights: &[[i32; CLASSES]]) {
        simd.vectorize(
            #[inline(always)]
            || {
                // Half a tile at a time: 8 sums stay in registers.
                for half in 0..2 {
                    let mut part = [[simd.avx._mm256_setzero_si256(); 2]; CLASSES];
                    for (values, weights) in values.iter().zip(weights) {
                        let vectors: [__m256i; 4] = pulp::cast(*values);
                        let vectors = [vectors[2 * half], vectors[2 * half + 1]];
                        for (part, &weight) in part.iter_mut().zip(weights) {
                            let weight = simd.avx._mm256_set1_epi32(weight);
                            for (sum, vector) in part.iter_mut().zip(vectors) {
                                let product = simd.avx2._mm256_madd_epi16(vector, weight);
                                *sum = simd.avx2._mm256_add_epi32(*sum, product);
                            }
                        }
                    }
                    for (sums, part) in sums.iter_mut().zip(part) {
                        let part: [i32; 16] = pulp::cast(part);
                        sums[16 * half..][..16].copy_from_slice(&part);
                    }
                }
            },
        );
    }

    pub(super) fn avx512(simd: Avx512, sums: &mut Sums, values: &[Pair], weights: &[[i32; CLASSES]]) {
        simd.vectorize(
            #[inline(always)]
            || {
                let mut part = [[simd.avx512f._mm512_setzero_si512(); 2]; CLASSES];
                for (values, weights) in values.iter().zip(weights) {
                    let vectors: [__m512i; 2] = pulp::cast(*values);
                    for (part, &weight) in part.iter_mut().zip(weights) {
                        let weight = simd.avx512f._mm512_set1_epi32(weight);
                        for (sum, vector) in part.iter_mut().zip(vectors) {
                            let product = simd.avx512bw._mm512_madd_epi16(vector, weight);
                            *sum = simd.avx512f._mm512_add_epi32(*sum, product);
                        }
                    }
                }
                for (sums, part) in sums.iter_mut().zip(part) {
                    *sums = pulp::cast(part);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, modulo 2^64.
    fn expected(weights: &[i8], values: &Planes<'_>, features: usize) -> Vec<u64> {
        let n = values.patients;
        let value = |feature: usize, patient: usize| {
            (0..values.planes).fold(0_u64, |value, plane| {
                let at = 2 * ((feature * values.planes + plane) * n + patient);
                value
                    | u64::from(u16::from_le_bytes([values.bytes[at], values.bytes[at + 1]])) << (16 * plane)
            })
        };
        let rows = weights.chunks_exact(features);
        rows.flat_map(|row| {
            (0..n).map(move |patient| {
                row.iter().enumerate().fold(0_u64, |sum, (feature, &weight)| {
                    sum.wrapping_add((i64::from(weight) as u64).wrapping_mul(value(feature, patient)))
                })
            })
        })
        .collect()
    }

    fn check(weights: &[i8], features: usize, bytes: &[u8], planes: usize, patients: usize, split: usize) {
        let classes = weights.len() / features;
        let packed = Weights::new(weights, features);
        let values = Planes { bytes, planes, patients };
        let expected = expected(weights, &values, features);
        for kernel in Kernel::all() {
            let mut sums = vec![0; classes * patients];
            let (one, two) = bytes.split_at(split * planes * patients * 2);
            for (first, bytes) in [(0, one), (split / 2, two)] {
                accumulate(kernel, &packed, first, &Planes { bytes, planes, patients }, &mut sums);
            }
            packed.put_back(planes, patients, &mut sums);
            assert!(sums == expected, "{}", kernel.name());
        }
    }

    #[test]
    fn the_widest_sums_do_not_overflow() {
        for (weight, byte) in [(127, 0xff), (-127, 0xff), (127, 0), (-127, 0)] {
            let features = 2 * PAIRS + 2;
            let bytes = vec![byte; features * 3 * 33 * 2];
            check(&vec![weight; 5 * features], features, &bytes, 3, 33, 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn all_kernels_compute_the_definition(
            features in 1_usize..40,
            classes in 1_usize..10,
            patients in 1_usize..70,
            planes in 1_usize..5,
            split in 0_usize..20,
            seed: u64,
        ) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            };
            let bytes: Vec<u8> = (0..features * planes * patients * 2).map(|_| next()).collect();
            let weights: Vec<i8> = (0..classes * features).map(|_| (next() as i8).max(-127)).collect();
            check(&weights, features, &bytes, planes, patients, (split & !1).min(features));
        }
    }
}
