// Runs the kernels of bootstrap.cu on a processor, one thread of the processor for each of the GPU's: so that their source is
// tested where there is no GPU (`cargo test -p tiresias-gpu`). Each operation has the GPU's result, bit for bit: IEEE 754 leaves
// no choice. Slow: a second or more a ciphertext.
//
//     c++ -O2 -std=c++20 -ffp-contract=off -pthread emulate.cpp -o emulate
//     emulate <input >output
//
// Input, in the machine's byte order: n, levels, group, ciphertexts, tables (64 bits each); the keyswitch's rows (32); the blind
// rotation's key as the processor has it (64); twiddles (doubles); ciphertexts, tables (64); each ciphertext's table (32). Output:
// N + 1 residues of each result.
#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#define EMULATED
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct Dimensions {
  unsigned x = 1, y = 1, z = 1;
};
struct double2 {
  double x, y;
};
static thread_local Dimensions threadIdx, blockIdx;
static Dimensions blockDim, gridDim;
static std::unique_ptr<std::barrier<>> block_barrier, team_barriers[2];
alignas(16) static double shared[8 * 2176];

static inline void __syncthreads() { block_barrier->arrive_and_wait(); }
static inline void team_sync(int team) { team_barriers[team]->arrive_and_wait(); }
static inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rd(double a, double b) {
  double sum = a + b, part = sum - a, error = (a - (sum - part)) + (b - part);
  return error < 0 ? std::nextafter(sum, -INFINITY) : sum;
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
static inline unsigned __brev(unsigned word) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (word >> bit & 1) << (31 - bit);
  return reversed;
}
static inline int __double2hiint(double x) { return (int)(std::bit_cast<std::uint64_t>(x) >> 32); }
static inline int __double2loint(double x) { return (int)std::bit_cast<std::uint64_t>(x); }
static inline double __hiloint2double(int high, int low) {
  return std::bit_cast<double>((std::uint64_t)(unsigned)high << 32 | (unsigned)low);
}
static inline unsigned atomicAdd(unsigned *to, unsigned value) { return std::atomic_ref<unsigned>(*to).fetch_add(value); }
static inline double2 load_key(const double *from) { return {from[0], from[1]}; }

#include "bootstrap.cu"

// One block after the other, since shared memory is one.
template <typename Kernel>
static void launch(Dimensions blocks, unsigned threads, Kernel kernel) {
  gridDim = blocks;
  blockDim = {threads, 1, 1};
  for (unsigned z = 0; z < blocks.z; ++z)
    for (unsigned y = 0; y < blocks.y; ++y)
      for (unsigned x = 0; x < blocks.x; ++x) {
        block_barrier = std::make_unique<std::barrier<>>(threads);
        for (auto &barrier : team_barriers) barrier = std::make_unique<std::barrier<>>(TEAM);
        std::vector<std::thread> running;
        for (unsigned t = 0; t < threads; ++t)
          running.emplace_back([=] {
            threadIdx = {t, 0, 0};
            blockIdx = {x, y, z};
            kernel();
          });
        for (auto &thread : running) thread.join();
      }
}

template <typename T>
static std::vector<T> read(std::size_t count) {
  std::vector<T> values(count);
  if (std::fread(values.data(), sizeof(T), count, stdin) != count) std::exit(1);
  return values;
}

int main() {
  auto header = read<u64>(5);
  int n = (int)header[0], levels = (int)header[1], group = (int)header[2], count = (int)header[3];
  int rows = 2 * levels, ggsws = group == 1 ? 1 : 4;
  auto keyswitch_key = read<u32>((std::size_t)N * LEVELS_OF_KEYSWITCH * (n + 1));
  auto from = read<u64>((std::size_t)(n / group) * 2 * rows * ggsws * N);
  auto twiddles = read<double>(N);
  auto lwes = read<u64>((std::size_t)count * (N + 1));
  auto tables = read<u64>(header[4] * N);
  auto table_of = read<u32>(count);

  std::vector<double> key(from.size());
  launch({4, 1, 1}, 32, [&] { prepare_key(from.data(), key.data(), from.size(), rows, ggsws); });
  std::vector<u32> digits((std::size_t)count * N), sums((std::size_t)count * (n + 1));
  u64 ratio = (u64)(((unsigned __int128)1 << 96) / 1125899906826241ULL);
  launch({(unsigned)count, 1, 1}, 32, [&] { keyswitch_digits(lwes.data(), digits.data(), sums.data(), n, ratio); });
  Dimensions grid = {(unsigned)(n + 128) / 128, (unsigned)(count + 15) / 16, 2};
  launch(grid, 128, [&] { keyswitch(digits.data(), keyswitch_key.data(), sums.data(), n, count); });
  launch({(unsigned)count, 1, 1}, 256, [&] { switch_modulus(sums.data(), n); });
  auto rotate = levels == 1 ? (group == 1 ? blind_rotate_l1_g1 : blind_rotate_l1_g2)
                            : (group == 1 ? blind_rotate_l2_g1 : blind_rotate_l2_g2);
  std::vector<u64> out((std::size_t)count * (N + 1));
  launch({(unsigned)count, 1, 1}, 2 * TEAM, [&] {
    rotate(sums.data(), tables.data(), table_of.data(), key.data(), twiddles.data(), out.data(), n);
  });
  std::fwrite(out.data(), sizeof(u64), out.size(), stdout);
}
