// What every kernel shares. REAL (float or double) and VECTOR (numbers a load) come from the command line.

using Index = long long;

// As many numbers as one load or store of shared memory takes: 16 bytes.
[[maybe_unused]] constexpr int WIDE = 16 / sizeof(REAL);

template <int N>
struct __align__(sizeof(REAL) * N) Pack {
  REAL at[N];
};

template <int N>
__device__ __forceinline__ Pack<N> load(const REAL* from) {
  return *reinterpret_cast<const Pack<N>*>(from);
}

template <int N>
__device__ __forceinline__ void store(REAL* to, const Pack<N>& values) {
  *reinterpret_cast<Pack<N>*>(to) = values;
}

#ifndef CUDA_ON_CPU
// Copies that go on while the block computes, in groups; what is not inside becomes zero.
template <int N>
__device__ __forceinline__ void copy_async(REAL* shared, const REAL* global, bool inside) {
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int read = inside ? static_cast<int>(N * sizeof(REAL)) : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
               :: "r"(to), "l"(global), "n"(N * sizeof(REAL)), "r"(read) : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until only the last `groups` groups may be under way.
template <int groups>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" :: "n"(groups) : "memory");
}
#endif

__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }
__device__ __forceinline__ float tangens_hyperbolicus(float x) { return tanhf(x); }
__device__ __forceinline__ double tangens_hyperbolicus(double x) { return tanh(x); }

// The activations of refmg_backends.activation, chosen by ACTIVATION: value, and slope.
enum { NONE, TANH, RELU, SMOOTH_RELU, IDENTITY };

__device__ __forceinline__ REAL sigma(REAL x) {
  const REAL corner = REAL(0.1);
  if constexpr (ACTIVATION == TANH) return tangens_hyperbolicus(x);
  // Written so that NaN stays NaN.
  if constexpr (ACTIVATION == RELU) return x < 0 ? REAL(0) : x;
  if constexpr (ACTIVATION == SMOOTH_RELU) {
    if (x > -corner && x < corner) return (x + corner) * (x + corner) / (4 * corner);
    return x < 0 ? REAL(0) : x;
  }
  return x;
}

__device__ __forceinline__ REAL sigma_slope(REAL a, REAL x) {
  const REAL corner = REAL(0.1);
  if constexpr (ACTIVATION == TANH) return 1 - a * a;
  if constexpr (ACTIVATION == RELU) return x > 0 ? REAL(1) : REAL(0);
  if constexpr (ACTIVATION == SMOOTH_RELU) {
    const REAL t = (x + corner) / (2 * corner);
    return t < 0 ? REAL(0) : (t > 1 ? REAL(1) : t);
  }
  return REAL(1);
}

// The end of a layer: value = under + scale * sigma(x), rate = sigma'(x); `under` and `rate` may be absent.
template <int N>
__device__ __forceinline__ void finish(
    const Pack<N>& sums, REAL bias, REAL scale, const REAL* under, REAL* out, REAL* rate, Index at) {
  Pack<N> value, slope, below;
  if (under != nullptr) below = load<N>(under + at);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    if constexpr (ACTIVATION == NONE) {
      value.at[j] = sums.at[j];
    } else {
      const REAL x = sums.at[j] + bias, a = sigma(x);
      slope.at[j] = sigma_slope(a, x);
      value.at[j] = scale * a;
    }
    if (under != nullptr) value.at[j] += below.at[j];
  }
  store(out + at, value);
  if constexpr (ACTIVATION != NONE) {
    if (rate != nullptr) store(rate + at, slope);
  }
}

// Where a thread's sums lie in the tile of its block: ROW_THREADS x COLUMN_THREADS threads, so arranged
// that a warp reads few rows and few columns, each once.
struct Place {
  int row, column;
  __device__ __forceinline__ Place() {
    constexpr int down = ROW_THREADS < 4 ? ROW_THREADS : 4, across = 32 / down;
    constexpr int warps_down = ROW_THREADS / down;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    row = (warp % warps_down) * down + lane / across;
    column = (warp / warps_down) * across + lane % across;
  }
};
