// Batch normalisation, one pass over memory each. Arrays are (channels, length); blockIdx.y is the channel.

constexpr int THREADS = 256;

#define EACH_VECTOR(i, length) \
  for (Index i = (static_cast<Index>(blockIdx.x) * THREADS + threadIdx.x) * VECTOR; i < length; \
       i += static_cast<Index>(gridDim.x) * THREADS * VECTOR)

// A thread takes WIDE numbers at a time whatever a load takes: where arrays begin decides VECTOR, and must not
// decide which numbers are summed up together.
#define EACH_WIDE(i, length)                                                                              \
  for (Index first_ = (static_cast<Index>(blockIdx.x) * THREADS + threadIdx.x) * WIDE; first_ < length;   \
       first_ += static_cast<Index>(gridDim.x) * THREADS * WIDE)                                          \
    for (Index i = first_; i < first_ + WIDE && i < length; i += VECTOR)

// The sums of a block's threads: parts (gridDim.x, 2, channels), in double precision.
__device__ __forceinline__ void add_up(double first, double second, double* shared, double* parts) {
  shared[threadIdx.x] = first;
  shared[THREADS + threadIdx.x] = second;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      shared[threadIdx.x] += shared[threadIdx.x + half];
      shared[THREADS + threadIdx.x] += shared[THREADS + threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    const Index at = static_cast<Index>(blockIdx.x) * 2 * gridDim.y + blockIdx.y;
    parts[at] = shared[0];
    parts[at + gridDim.y] = shared[THREADS];
  }
}

// Sums of X - x0 and of its square, x0 the channel's first number: a variance far below the mean's square keeps
// its digits.
extern "C" __global__ void __launch_bounds__(THREADS) moment_sums(const REAL* X, Index length, double* parts) {
  extern __shared__ __align__(16) unsigned char memory[];
  const Index before = blockIdx.y * length;
  const double x0 = X[before];
  double sum = 0, squares = 0;
  EACH_WIDE(i, length) {
    const Pack<VECTOR> x = load<VECTOR>(X + before + i);
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) {
      const double d = x.at[j] - x0;
      sum += d;
      squares += d * d;
    }
  }
  add_up(sum, squares, reinterpret_cast<double*>(memory), parts);
}

// out = under + scale (X - mean) + shift, and of that max(., 0) on request
extern "C" __global__ void __launch_bounds__(THREADS) normalize(
    const REAL* X, const REAL* mean, const REAL* scale, const REAL* shift, const REAL* under, int rectify,
    Index length, REAL* out) {
  const Index before = blockIdx.y * length;
  const REAL mu = mean[blockIdx.y], a = scale[blockIdx.y], b = shift[blockIdx.y];
  EACH_VECTOR(i, length) {
    const Pack<VECTOR> x = load<VECTOR>(X + before + i);
    Pack<VECTOR> below, found;
    if (under != nullptr) below = load<VECTOR>(under + before + i);
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) {
      REAL y = a * (x.at[j] - mu) + b;
      if (under != nullptr) y += below.at[j];
      // Written so that NaN stays NaN.
      found.at[j] = rectify && y < 0 ? REAL(0) : y;
    }
    store(out + before + i, found);
  }
}

// Q = P where Y > 0, and sums of Q and of Q (X - mean); without Y, Q is P and is not written.
extern "C" __global__ void __launch_bounds__(THREADS) rectified_sums(
    const REAL* P, const REAL* X, const REAL* mean, const REAL* Y, Index length, REAL* Q, double* parts) {
  extern __shared__ __align__(16) unsigned char memory[];
  const Index before = blockIdx.y * length;
  const REAL mu = mean[blockIdx.y];
  double sum = 0, products = 0;
  EACH_WIDE(i, length) {
    Pack<VECTOR> q = load<VECTOR>(P + before + i);
    const Pack<VECTOR> x = load<VECTOR>(X + before + i);
    if (Y != nullptr) {
      const Pack<VECTOR> y = load<VECTOR>(Y + before + i);
#pragma unroll
      for (int j = 0; j < VECTOR; ++j) q.at[j] = y.at[j] > 0 ? q.at[j] : REAL(0);
      store(Q + before + i, q);
    }
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) {
      sum += q.at[j];
      products += static_cast<double>(q.at[j]) * (x.at[j] - mu);
    }
  }
  add_up(sum, products, reinterpret_cast<double*>(memory), parts);
}

// out = a Q + b (X - mean) + c
extern "C" __global__ void __launch_bounds__(THREADS) combine(
    const REAL* Q, const REAL* X, const REAL* mean, const REAL* a, const REAL* b, const REAL* c, Index length,
    REAL* out) {
  const Index before = blockIdx.y * length;
  const REAL mu = mean[blockIdx.y], p = a[blockIdx.y], q = b[blockIdx.y], r = c[blockIdx.y];
  EACH_VECTOR(i, length) {
    const Pack<VECTOR> given = load<VECTOR>(Q + before + i), x = load<VECTOR>(X + before + i);
    Pack<VECTOR> found;
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) found.at[j] = p * given.at[j] + (q * (x.at[j] - mu) + r);
    store(out + before + i, found);
  }
}
