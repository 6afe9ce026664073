// Programmable bootstrapping on a GPU: the integers of tiresias-circuits' `bootstrap`, bit for bit.
//
// In the order of a bootstrap: keyswitch_digits, keyswitch, switch_modulus, blind_rotate_*. `prepare_key` lays a key out for
// blind_rotate. The host checks all shapes; kernels trust them. Launch shapes stand at each kernel.
#include "transform.cuh"

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int LEVELS_OF_KEYSWITCH = 4;
constexpr int CIRCLE = 2 * N;

// ---- keyswitch: from dimension N modulo p to dimension n modulo 2^32 ----

// For each mask residue its four digits of base 16, balanced, the most significant in the lowest byte; and the row of sums
// that the key is subtracted from: zeros, and the body as a word.
// lwes: count * (N + 1). digits: count * N. sums: count * (n + 1). Blocks: count; threads: any.
extern "C" __global__ void keyswitch_digits(const u64 *lwes, u32 *digits, u32 *sums, int n, u64 ratio) {
  const u64 *lwe = lwes + (size_t)blockIdx.x * (N + 1);
  auto word = [ratio](u64 residue) {
    u64 low = residue * ratio;
    return (u32)(__umul64hi(residue, ratio) + (low >> 63));
  };
  for (int i = threadIdx.x; i < N; i += blockDim.x) {
    u32 rest = (word(lwe[i]) + (1u << 15)) >> 16, packed = 0;
#pragma unroll
    for (int level = LEVELS_OF_KEYSWITCH - 1; level >= 0; --level) {
      u32 digit = ((rest + 8) & 15) - 8;
      rest = (rest - digit) >> 4;
      packed |= (digit & 255) << (8 * level);
    }
    digits[(size_t)blockIdx.x * N + i] = packed;
  }
  u32 *sum = sums + (size_t)blockIdx.x * (n + 1);
  for (int i = threadIdx.x; i <= n; i += blockDim.x) sum[i] = i == n ? word(lwe[N]) : 0;
}

// sums -= digits * key modulo 2^32. key: rows of n + 1 words, four a coefficient.
// Blocks: columns / 128 up, ciphertexts / 16 up, parts; threads 128. A part is a share of the coefficients; parts meet in
// atomic additions, whose order does not matter modulo 2^32.
extern "C" __global__ void __launch_bounds__(128) keyswitch(const u32 *digits, const u32 *key, u32 *sums, int n, int count) {
  constexpr int LWES = 16, STEP = 32;
  __shared__ u32 tile[STEP][LWES];
  int column = blockIdx.x * 128 + threadIdx.x, first = blockIdx.y * LWES;
  int share = N / gridDim.z, from = blockIdx.z * share;
  u32 sum[LWES] = {};
  for (int base = from; base < from + share; base += STEP) {
    __syncthreads();
    for (int i = threadIdx.x; i < STEP * LWES; i += 128) {
      int lwe = first + i / STEP;
      tile[i % STEP][i / STEP] = lwe < count ? digits[(size_t)lwe * N + base + i % STEP] : 0;
    }
    __syncthreads();
    if (column <= n) {
      for (int k = 0; k < STEP; ++k) {
        const u32 *rows = key + (size_t)(base + k) * LEVELS_OF_KEYSWITCH * (n + 1) + column;
        u32 row[LEVELS_OF_KEYSWITCH];
#pragma unroll
        for (int level = 0; level < LEVELS_OF_KEYSWITCH; ++level) row[level] = rows[level * (n + 1)];
#pragma unroll
        for (int lwe = 0; lwe < LWES; ++lwe) {
          int packed = (int)tile[k][lwe];
#pragma unroll
          for (int level = 0; level < LEVELS_OF_KEYSWITCH; ++level)
            sum[lwe] += row[level] * (u32)((packed << (24 - 8 * level)) >> 24);
        }
      }
    }
  }
  if (column <= n)
    for (int lwe = 0; lwe < LWES && first + lwe < count; ++lwe)
      atomicAdd(&sums[(size_t)(first + lwe) * (n + 1) + column], 0u - sum[lwe]);
}

// ---- modulus switch: from words modulo 2^32 to positions on the circle of 2N ----

// The centred switch: half of the sum of the rounding errors is taken from the body. In place.
// Blocks: count; threads 256.
extern "C" __global__ void __launch_bounds__(256) switch_modulus(u32 *lwes, int n) {
  constexpr int SHIFT = 32 - 12;
  __shared__ long long errors[256];
  u32 *lwe = lwes + (size_t)blockIdx.x * (n + 1);
  long long sum = 0;
  for (int i = threadIdx.x; i < n; i += 256) {
    u32 word = lwe[i], position = (word + (1u << (SHIFT - 1))) >> SHIFT;
    sum += (int)(word - (position << SHIFT));
    lwe[i] = position & (CIRCLE - 1);
  }
  errors[threadIdx.x] = sum;
  for (int half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) errors[threadIdx.x] += errors[threadIdx.x + half];
  }
  if (threadIdx.x == 0) {
    u32 body = lwe[n] - (u32)(errors[0] >> 1);
    lwe[n] = ((body + (1u << (SHIFT - 1))) >> SHIFT) & (CIRCLE - 1);
  }
}

// ---- blind rotation ----

// From the layout of the CPU's key (per step: vectors of eight values, each for mask and body, for each row, for each GGSW)
// to that of blind_rotate: per step, for mask and body, for each row, for each GGSW, for each pair of registers, for each
// thread the pair; centred.
// Blocks: any; threads: any.
extern "C" __global__ void prepare_key(const u64 *from, double *to, u64 length, int rows, int ggsws) {
  int per_step = 2 * rows * ggsws;
  for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < length; i += gridDim.x * (u64)blockDim.x) {
    u64 step = i / (per_step * (u64)N);
    int rest = (int)(i % (per_step * (u64)N));
    int polynomial = rest % (per_step * 8) / 8, j = rest / (per_step * 8) * 8 + rest % 8;
    int t = j / REGISTERS, r = j % REGISTERS;
    to[(step * per_step + polynomial) * N + (r / 2) * (2 * TEAM) + 2 * t + r % 2] = from_residue(from[i]);
  }
}

#ifndef EMULATED
// Reads past the first cache, which the key would only sweep.
__device__ __forceinline__ double2 load_key(const double *from) {
  double2 pair;
  asm volatile("ld.global.nc.L1::no_allocate.v2.f64 {%0, %1}, [%2];" : "=d"(pair.x), "=d"(pair.y) : "l"(from));
  return pair;
}
#endif

// The values of all GGSWs of a step for one row and one pair of registers.
template <int GGSWS>
__device__ __forceinline__ void load_row(double2 (&k)[GGSWS], const double *half, int row, int pair) {
#pragma unroll
  for (int ggsw = 0; ggsw < GGSWS; ++ggsw) k[ggsw] = load_key(half + (row * GGSWS + ggsw) * N + pair * 2 * TEAM);
}

__device__ __forceinline__ double negated_if(double x, u32 sign_bit) {
  return __hiloint2double(__double2hiint(x) ^ (int)sign_bit, __double2loint(x));
}

// psi^exponent, from the table of twiddles.
__device__ __forceinline__ double power(const double *twiddles, u32 exponent) {
  double value = twiddles[place((int)(__brev(exponent & (N - 1)) >> 21))];
  return negated_if(value, (exponent & N) << 20);
}

// The largest integer at most x, for x below 2^51.
__device__ __forceinline__ double floor_(double x) { return sub_(__dadd_rd(x, ROUND), ROUND); }

template <int LEVELS, int GROUP>
__device__ __forceinline__ void blind_rotate(const u32 *positions, const u64 *tables, const u32 *table_of, const double *key,
                                             const double *twiddle_table, u64 *out, int n) {
  constexpr int ROWS = 2 * LEVELS, GGSWS = GROUP == 1 ? 1 : 4;
#ifndef EMULATED
  extern __shared__ double shared[];
#endif
  double *twiddles = shared, *digits = shared + PADDED;
  // The team of the mask is 0, that of the body 1.
  int t = threadIdx.x % TEAM, team = threadIdx.x / TEAM;
  positions += (size_t)blockIdx.x * (n + 1);
  const u64 *table = tables + (size_t)table_of[blockIdx.x] * N;
  for (int i = threadIdx.x; i < N; i += 2 * TEAM) twiddles[place(i)] = twiddle_table[i];

  double x[REGISTERS], kept[GROUP == 1 ? REGISTERS : 1];
  u32 body = positions[n];
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) {
    u32 at = (index_a(t, r) + body) & (CIRCLE - 1);
    double value = from_residue(table[at & (N - 1)]);
    x[r] = team == 0 ? 0.0 : at < N ? value : -value;
  }
  __syncthreads();

  const int root = 2 * (int)(__brev((u32)t) >> 25) + 1;
  for (int step = 0; step < n / GROUP; ++step, key += (size_t)2 * ROWS * GGSWS * N) {
    if (GROUP == 1) {
#pragma unroll
      for (int r = 0; r < REGISTERS; ++r) kept[GROUP == 1 ? r : 0] = x[r];
    }
    // The signed digits of each coefficient, and their transforms.
    int low[LEVELS == 2 ? REGISTERS : 1];
#pragma unroll
    for (int r = 0; r < REGISTERS; ++r) {
      if (LEVELS == 1) {
        x[r] = floor_(fma_(x[r], 1.0 / (1 << 27), 0.5));
      } else {
        double rounded = floor_(fma_(x[r], 1.0 / (1 << 20), 0.5));
        double high = floor_(fma_(rounded, 1.0 / (1 << 15), 0.5));
        low[LEVELS == 2 ? r : 0] = (int)fma_(high, -32768.0, rounded);
        x[r] = high;
      }
    }
#pragma unroll
    for (int level = 0; level < LEVELS; ++level) {
      double *row = digits + (2 * level + team) * PADDED;
      forward(x, twiddles, row, t, team);
#pragma unroll
      for (int r = 0; r < REGISTERS; ++r) row[place(index_c(t, r))] = x[r];
      if (level + 1 < LEVELS) {
#pragma unroll
        for (int r = 0; r < REGISTERS; ++r) x[r] = (double)low[LEVELS == 2 ? r : 0];
      }
    }

    // The external product: for this team's half of the result the sum over the rows of digits * (sum of factor * key). The key
    // of each row is asked for two rows ahead: it takes longer to come than a row takes.
    const double *half = key + (size_t)team * ROWS * GGSWS * N + 2 * t;
    double2 coming[GGSWS], behind[GGSWS];
    load_row<GGSWS>(coming, half, 0, 0);
    load_row<GGSWS>(behind, half, 1, 0);
    __syncthreads();
    u32 a = positions[step * GROUP], b = positions[step * GROUP + GROUP - 1];
#pragma unroll
    for (int pair = 0; pair < REGISTERS / 2; ++pair) {
      // Registers 2k and 2k + 1 stand for exponents that differ by N, so their powers differ in sign where a is odd.
      const int reversed = ((pair & 1) << 2 | (pair & 2) | (pair & 4) >> 2);
      u32 e = (u32)(root + 256 * reversed);
      double fa = power(twiddles, a * e), fb = GROUP == 2 ? power(twiddles, b * e) : 0;
      double sum0 = 0, sum1 = 0;
#pragma unroll
      for (int row = 0; row < ROWS; ++row) {
        double2 k[GGSWS];
#pragma unroll
        for (int ggsw = 0; ggsw < GGSWS; ++ggsw) {
          k[ggsw] = coming[ggsw];
          coming[ggsw] = behind[ggsw];
        }
        const int next = pair * ROWS + row + 2;
        if (next < ROWS * REGISTERS / 2) load_row<GGSWS>(behind, half, next % ROWS, next / ROWS);
        double bundle0, bundle1;
        if (GROUP == 1) {
          bundle0 = multiply(k[0].x, sub_(fa, 1.0));
          bundle1 = multiply(k[0].y, sub_(negated_if(fa, a << 31), 1.0));
        } else {
          // (k0 + fa k1) + fb (k2 + fa k3): the factor of k3 is fa fb.
          double with_b0 = add_(k[2 % GGSWS].x, multiply(k[3 % GGSWS].x, fa));
          double with_b1 = add_(k[2 % GGSWS].y, negated_if(multiply(k[3 % GGSWS].y, fa), a << 31));
          bundle0 = add_(add_(k[0].x, multiply(k[1 % GGSWS].x, fa)), multiply(with_b0, fb));
          bundle1 = add_(add_(k[0].y, negated_if(multiply(k[1 % GGSWS].y, fa), a << 31)),
                         negated_if(multiply(with_b1, fb), b << 31));
        }
        sum0 = add_(sum0, multiply(bundle0, digits[row * PADDED + place(index_c(t, 2 * pair))]));
        sum1 = add_(sum1, multiply(bundle1, digits[row * PADDED + place(index_c(t, 2 * pair + 1))]));
      }
      x[2 * pair] = centred(sum0);
      x[2 * pair + 1] = centred(sum1);
    }
    __syncthreads();
    inverse(x, twiddles, digits + team * PADDED, t, team);
#pragma unroll
    for (int r = 0; r < REGISTERS; ++r) x[r] = centred(GROUP == 1 ? add_(x[r], kept[GROUP == 1 ? r : 0]) : x[r]);
  }

  // Extracts coefficient 0: the mask turned round and negated, but for its first.
  out += (size_t)blockIdx.x * (N + 1);
#pragma unroll
  for (int r = 0; r < REGISTERS; ++r) {
    int i = index_a(t, r);
    if (team == 0) out[i == 0 ? 0 : N - i] = to_residue(i == 0 ? x[r] : -x[r]);
    if (team == 1 && i == 0) out[N] = to_residue(x[r]);
  }
}

// positions: count * (n + 1), the body last. tables: polynomials of N residues; table_of: which one each ciphertext wants.
// key: as prepare_key lays it out. twiddle_table: psi^brv(k), centred. out: count * (N + 1) residues.
// Blocks: count; threads 256; shared memory: (1 + rows) * PADDED doubles.
#define BLIND_ROTATE(NAME, LEVELS, GROUP)                                                                                   \
  extern "C" __global__ void __launch_bounds__(2 * TEAM, 2)                                                                 \
      NAME(const u32 *positions, const u64 *tables, const u32 *table_of, const double *key, const double *twiddle_table,    \
           u64 *out, int n) {                                                                                               \
    blind_rotate<LEVELS, GROUP>(positions, tables, table_of, key, twiddle_table, out, n);                                   \
  }
BLIND_ROTATE(blind_rotate_l1_g1, 1, 1)
BLIND_ROTATE(blind_rotate_l1_g2, 1, 2)
BLIND_ROTATE(blind_rotate_l2_g1, 2, 1)
BLIND_ROTATE(blind_rotate_l2_g2, 2, 2)
