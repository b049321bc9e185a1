// One pass over memory each. Arrays are (channels, length); blockIdx.y is the channel.

constexpr int THREADS = 256, SLICES = 8;

#define EACH_VECTOR(i, length) \
  for (Index i = (static_cast<Index>(blockIdx.x) * THREADS + threadIdx.x) * VECTOR; i < length; \
       i += static_cast<Index>(gridDim.x) * THREADS * VECTOR)

// out = under + scale * sigma(X + bias), rate = sigma'(X + bias)
extern "C" __global__ void __launch_bounds__(THREADS) activate(
    const REAL* X, const REAL* bias, REAL scale, const REAL* under, Index length, REAL* out, REAL* rate) {
  const Index before = blockIdx.y * length;
  const REAL b = bias[blockIdx.y];
  EACH_VECTOR(i, length) finish<VECTOR>(load<VECTOR>(X + before + i), b, scale, under, out, rate, before + i);
}

// out = under + scale * slope * (X + bias)
extern "C" __global__ void __launch_bounds__(THREADS) tangent(
    const REAL* slope, const REAL* X, const REAL* bias, REAL scale, const REAL* under, Index length, REAL* out) {
  const Index before = blockIdx.y * length;
  const REAL b = bias[blockIdx.y];
  EACH_VECTOR(i, length) {
    const Pack<VECTOR> rate = load<VECTOR>(slope + before + i), x = load<VECTOR>(X + before + i);
    Pack<VECTOR> below, found;
    if (under != nullptr) below = load<VECTOR>(under + before + i);
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) {
      found.at[j] = scale * (rate.at[j] * (x.at[j] + b));
      if (under != nullptr) found.at[j] += below.at[j];
    }
    store(out + before + i, found);
  }
}

// Q = scale * slope * P, and its sums: parts (gridDim.x, channels), one number a block.
extern "C" __global__ void __launch_bounds__(THREADS) cotangent(
    const REAL* slope, const REAL* P, REAL scale, Index length, REAL* Q, REAL* parts) {
  extern __shared__ __align__(16) unsigned char memory[];
  REAL* const shared = reinterpret_cast<REAL*>(memory);
  const Index before = blockIdx.y * length;
  REAL sum = 0;
  // A thread takes WIDE numbers at a time whatever a load takes: where arrays begin decides VECTOR, and must not
  // decide which numbers are summed up together.
  for (Index first = (static_cast<Index>(blockIdx.x) * THREADS + threadIdx.x) * WIDE; first < length;
       first += static_cast<Index>(gridDim.x) * THREADS * WIDE) {
#pragma unroll
    for (int part = 0; part < WIDE; part += VECTOR) {
      const Index i = first + part;
      if (i >= length) break;
      const Pack<VECTOR> rate = load<VECTOR>(slope + before + i), p = load<VECTOR>(P + before + i);
      Pack<VECTOR> found;
#pragma unroll
      for (int j = 0; j < VECTOR; ++j) {
        found.at[j] = scale * (rate.at[j] * p.at[j]);
        sum += found.at[j];
      }
      store(Q + before + i, found);
    }
  }
  shared[threadIdx.x] = sum;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  if (threadIdx.x == 0) parts[static_cast<Index>(blockIdx.x) * gridDim.y + blockIdx.y] = shared[0];
}

// total (rows, inner, taps) = sum of parts (count, rows, taps, inner), each sum in the same order always.
extern "C" __global__ void __launch_bounds__(THREADS) add_parts(
    const REAL* parts, int count, int size, int inner, int taps, REAL* total) {
  extern __shared__ __align__(16) unsigned char memory[];
  REAL* const shared = reinterpret_cast<REAL*>(memory);
  constexpr int together = THREADS / SLICES;
  const int slice = threadIdx.x / together, i = blockIdx.x * together + threadIdx.x % together;
  REAL sum = 0;
  if (i < size) {
#pragma unroll 8
    for (int p = slice; p < count; p += SLICES) sum += parts[static_cast<Index>(p) * size + i];
  }
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (slice > 0 || i >= size) return;
  for (int s = 1; s < SLICES; ++s) sum += shared[s * together + threadIdx.x];
  const int row = i / (inner * taps), tap = i / inner % taps, channel = i % inner;
  total[(static_cast<Index>(row) * inner + channel) * taps + tap] = sum;
}

// packed (depth, width): row (t, c), column o is taps[o, c, order[t]], or taps[c, o, order[t]]; zero beyond.
extern "C" __global__ void __launch_bounds__(THREADS) pack(
    const REAL* taps, const int* order, int columns, int inner, int count, int of_each, int transposed,
    int depth, int width, REAL* packed) {
  const Index i = static_cast<Index>(blockIdx.x) * THREADS + threadIdx.x;
  if (i >= static_cast<Index>(depth) * width) return;
  const int o = static_cast<int>(i % width), k = static_cast<int>(i / width), t = k / inner, c = k % inner;
  REAL found = 0;
  if (o < columns && t < count) {
    const Index pair = transposed ? static_cast<Index>(c) * columns + o : static_cast<Index>(o) * inner + c;
    found = taps[pair * of_each + order[t]];
  }
  packed[i] = found;
}
