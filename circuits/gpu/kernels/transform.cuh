// Negacyclic transforms of 2048 coefficients by 128 threads, 16 coefficients in the registers of each.
//
// The eleven levels go in three passes, A, B and C, of 4, 4 and 3; between them the coefficients are exchanged through shared
// memory. Coefficient i of thread t is in register r of
//
//   pass A   i = t + 128 r
//   pass B   i = 128 (t / 8) + t % 8 + 8 r
//   pass C   i = 16 t + r
//
// Forward: from natural order in pass A to bit-reversed order in pass C: value i is the polynomial at psi^(2 brv(i) + 1).
// Inverse: back, times 2048, which the key has been divided by. Twiddle k is psi^brv(k); its inverse stands in the same
// table, since psi^2048 = -1.
#pragma once
#include "field.cuh"

constexpr int N = 2048;
constexpr int REGISTERS = 16;
constexpr int TEAM = N / REGISTERS;
// One place in 16 is left out, so that no access pattern below meets a bank twice.
constexpr int PADDED = N + N / 16;

__device__ __forceinline__ int place(int i) { return i + (i >> 4); }
__device__ __forceinline__ int index_a(int t, int r) { return t + 128 * r; }
__device__ __forceinline__ int index_b(int t, int r) { return 128 * (t >> 3) + (t & 7) + 8 * r; }
__device__ __forceinline__ int index_c(int t, int r) { return 16 * t + r; }

// Waits for the 128 threads of one polynomial.
#ifndef EMULATED
__device__ __forceinline__ void team_sync(int team) {
  asm volatile("bar.sync %0, 128;" ::"r"(team + 1) : "memory");
}
#endif

__device__ __forceinline__ void centre_all(double (&x)[REGISTERS]) {
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) x[r] = centred(x[r]);
}

// One level of butterflies on pairs SPAN registers apart. Twiddles `first` to first + REGISTERS / (2 SPAN) - 1. WIDE: values may be
// above 4 p.
template <int SPAN, bool WIDE = false>
__device__ __forceinline__ void forward_level(double (&x)[REGISTERS], const double *twiddles, int first) {
#pragma unroll
  for (int group = 0; group < REGISTERS / (2 * SPAN); ++group) {
    double w = twiddles[place(first + group)];
#pragma unroll
    for (int k = 0; k < SPAN; ++k) {
      int low = group * 2 * SPAN + k;
      double product = WIDE ? multiply_wide(x[low + SPAN], w) : multiply(x[low + SPAN], w);
      double sum = add_(x[low], product);
      x[low + SPAN] = sub_(x[low], product);
      x[low] = sum;
    }
  }
}

// The inverse of that level, without the factor 1/2. `last`: the twiddle whose negative is the inverse of the first one.
template <int SPAN, bool WIDE = false>
__device__ __forceinline__ void inverse_level(double (&x)[REGISTERS], const double *twiddles, int last) {
#pragma unroll
  for (int group = 0; group < REGISTERS / (2 * SPAN); ++group) {
    double w = twiddles[place(last - group)];
#pragma unroll
    for (int k = 0; k < SPAN; ++k) {
      int low = group * 2 * SPAN + k;
      double difference = sub_(x[low + SPAN], x[low]);
      x[low] = add_(x[low], x[low + SPAN]);
      x[low + SPAN] = WIDE ? multiply_wide(difference, w) : multiply(difference, w);
    }
  }
}

// In: pass A's coefficients, digits of at most 2^22. Out: pass C's values, centred. `exchange` is the team's own.
//
// A level adds a product to a value. Of factors of at most p/2 and x p, that is at most (1/2 + x/8) p, and where it is wide
// (1 + x/8) p. From digits the bounds of the levels are, in p: 0.5, 1.1, 1.7, 2.4; 3.2, 4.1, wide 5.6, 7.3; centred, 1.1, 1.7, 2.4.
__device__ __forceinline__ void forward(double (&x)[REGISTERS], const double *twiddles, double *exchange, int t, int team) {
  forward_level<8>(x, twiddles, 1);
  forward_level<4>(x, twiddles, 2);
  forward_level<2>(x, twiddles, 4);
  forward_level<1>(x, twiddles, 8);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) exchange[place(index_a(t, r))] = x[r];
  team_sync(team);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) x[r] = exchange[place(index_b(t, r))];
  int high = t >> 3;
  forward_level<8>(x, twiddles, 16 + high);
  forward_level<4>(x, twiddles, 32 + 2 * high);
  forward_level<2, true>(x, twiddles, 64 + 4 * high);
  forward_level<1, true>(x, twiddles, 128 + 8 * high);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) exchange[place(index_b(t, r))] = centred(x[r]);
  team_sync(team);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) x[r] = exchange[place(index_c(t, r))];
  forward_level<4>(x, twiddles, 256 + 2 * t);
  forward_level<2>(x, twiddles, 512 + 4 * t);
  forward_level<1>(x, twiddles, 1024 + 8 * t);
  centre_all(x);
}

// In: pass C's values, centred. Out: pass A's coefficients, at most 2.5 p. Sums double a bound at each level, and a difference that is
// multiplied must stay at most 4 p, or 8 p where it is wide. So the bounds are, in p: 1, 2, 4, wide 8; centred, 1, 2, 4, wide 8;
// centred, 1, 2, 4.
__device__ __forceinline__ void inverse(double (&x)[REGISTERS], const double *twiddles, double *exchange, int t, int team) {
  inverse_level<1>(x, twiddles, 2047 - 8 * t);
  inverse_level<2>(x, twiddles, 1023 - 4 * t);
  inverse_level<4>(x, twiddles, 511 - 2 * t);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) exchange[place(index_c(t, r))] = x[r];
  team_sync(team);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) x[r] = exchange[place(index_b(t, r))];
  int high = t >> 3;
  inverse_level<1, true>(x, twiddles, 255 - 8 * high);
  centre_all(x);
  inverse_level<2>(x, twiddles, 127 - 4 * high);
  inverse_level<4>(x, twiddles, 63 - 2 * high);
  inverse_level<8>(x, twiddles, 31 - high);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) exchange[place(index_b(t, r))] = x[r];
  team_sync(team);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) x[r] = exchange[place(index_a(t, r))];
  inverse_level<1, true>(x, twiddles, 15);
  centre_all(x);
  inverse_level<2>(x, twiddles, 7);
  inverse_level<4>(x, twiddles, 3);
  inverse_level<8>(x, twiddles, 1);
  // The two that are sums at all three levels may be above 3.9 p.
  x[0] = centred(x[0]);
  x[1] = centred(x[1]);
}
