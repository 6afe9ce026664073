// Arithmetic modulo p = 2^50 - 16383 in double precision.
//
// A residue is an integer in a double. Doubles hold all integers below 2^53, that is 8p, and a fused multiply-add rounds
// once, so each line below is exact: h + l is the product as it is, and the quotient q is off by less than 1 (van der Hoeven,
// Lecerf, Quintin: Modular SIMD arithmetic in Mathemagix, ACM TOMS 2016). A double multiplication costs a Hopper or Ampere
// data-centre GPU one instruction; the same product of 64-bit integers costs about ten.
//
// "at most x p" below is about magnitude; residues are signed.
#pragma once

constexpr double P = 1125899906826241.0;
constexpr double P_INVERSE = 1.0 / P;
// Adding this rounds to the nearest integer: at 1.5 * 2^52 doubles are 1 apart. For numbers below 2^51.
constexpr double ROUND = 6755399441055744.0;
// The same to an even integer: at 1.5 * 2^53 they are 2 apart. For numbers below 2^52.
constexpr double ROUND_EVEN = 13510798882111488.0;

__device__ __forceinline__ double fma_(double a, double b, double c) { return __fma_rn(a, b, c); }
__device__ __forceinline__ double add_(double a, double b) { return __dadd_rn(a, b); }
__device__ __forceinline__ double sub_(double a, double b) { return __dadd_rn(a, -b); }

// x modulo p: for x at most 3.9 p centred, at most (p - 1) / 2; for x at most 8 p at most (p + 3) / 2.
__device__ __forceinline__ double centred(double x) {
  double q = sub_(fma_(x, P_INVERSE, ROUND), ROUND);
  return fma_(-q, P, x);
}

// a * b modulo p, at most (1/2 + |ab| / (4 p^2)) p, for |ab| at most 2 p^2.
__device__ __forceinline__ double multiply(double a, double b) {
  double h = __dmul_rn(a, b);
  double l = fma_(a, b, -h);
  double q = sub_(fma_(h, P_INVERSE, ROUND), ROUND);
  return add_(fma_(-q, P, h), l);
}

// The same for |ab| at most 4 p^2, at most (1 + |ab| / (4 p^2)) p.
__device__ __forceinline__ double multiply_wide(double a, double b) {
  double h = __dmul_rn(a, b);
  double l = fma_(a, b, -h);
  double q = sub_(fma_(h, P_INVERSE, ROUND_EVEN), ROUND_EVEN);
  return add_(fma_(-q, P, h), l);
}

// From a residue in [0, p) and back.
__device__ __forceinline__ double from_residue(unsigned long long residue) {
  long long signed_ = (long long)residue;
  return (double)(2 * signed_ > 1125899906826241LL ? signed_ - 1125899906826241LL : signed_);
}
__device__ __forceinline__ unsigned long long to_residue(double centred) {
  long long value = (long long)centred;
  return (unsigned long long)(value < 0 ? value + 1125899906826241LL : value);
}
