// The stencil gradient: G[o, t, c] = sum over outputs and examples of Z[o] * Y[c] read through tap t, as a matrix
// product (channels x positions) times (positions x taps*inner) that is never gathered. Positions are cut into
// parts; add_parts adds the parts in order. From the command line: the tile, as for convolve.

constexpr int THREADS = ROW_THREADS * COLUMN_THREADS;
constexpr int ROWS = ROW_THREADS * THREAD_ROWS, COLUMNS = COLUMN_THREADS * THREAD_COLUMNS;
// Positions at a time, and the length of a row in shared memory: odd in units of 16 bytes, so that eight
// rows begin in different banks.
constexpr int DEPTH = 4 * WIDE, PITCH = DEPTH + WIDE, STAGES = 3;
constexpr int ACROSS = DEPTH / VECTOR, PASS = THREADS / ACROSS;
constexpr int LEFT = (ROWS + PASS - 1) / PASS, RIGHT = COLUMNS / PASS;
static_assert(THREADS % ACROSS == 0 && COLUMNS % PASS == 0, "a tile is whole passes of all threads");

__device__ __forceinline__ void multiply(const REAL* A, const REAL* B, REAL (&sums)[THREAD_ROWS][THREAD_COLUMNS]) {
  const Place place;
#pragma unroll
  for (int k = 0; k < DEPTH; k += WIDE) {
    Pack<WIDE> b[THREAD_COLUMNS];
#pragma unroll
    for (int j = 0; j < THREAD_COLUMNS; ++j)
      b[j] = load<WIDE>(B + (j * COLUMN_THREADS + place.column) * PITCH + k);
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; ++i) {
      const Pack<WIDE> a = load<WIDE>(A + (i * ROW_THREADS + place.row) * PITCH + k);
#pragma unroll
      for (int w = 0; w < WIDE; ++w)
#pragma unroll
        for (int j = 0; j < THREAD_COLUMNS; ++j) sums[i][j] = fused(a.at[w], b[j].at[w], sums[i][j]);
    }
  }
}

// Z (channels, outputs, m), Y (inner, cells, m), rows (taps, outputs), parts (parts, channels, taps*inner).
extern "C" __global__ void __launch_bounds__(THREADS) gradient(
    const REAL* Z, const REAL* Y, const int* rows, int channels, int inner, int count, int cells, int outputs, int m,
    int steps_a_part, REAL* parts) {
  extern __shared__ __align__(16) unsigned char memory[];
  REAL* const A = reinterpret_cast<REAL*>(memory);
  REAL* const B = A + STAGES * ROWS * PITCH;
  const int width = count * inner, row_tiles = (channels + ROWS - 1) / ROWS;
  const int column_tiles = (width + COLUMNS - 1) / COLUMNS, thread = threadIdx.x;
  const int first_row = blockIdx.x % row_tiles * ROWS;
  const int first_column = blockIdx.x / row_tiles % column_tiles * COLUMNS;
  const int part = blockIdx.x / (row_tiles * column_tiles);
  const Index positions = static_cast<Index>(outputs) * m;

  // This thread reads the positions `shift` of each step, of every PASS-th row.
  const int shift = thread % ACROSS * VECTOR, first = thread / ACROSS;
  int tap[RIGHT], channel[RIGHT];
#pragma unroll
  for (int p = 0; p < RIGHT; ++p) {
    const int j = first_column + first + p * PASS;
    tap[p] = j < width ? j / inner : -1;
    channel[p] = j % inner;
  }
  Index at = static_cast<Index>(part) * steps_a_part * DEPTH + shift;
  int cell = static_cast<int>(at / m), example = static_cast<int>(at % m);
  const Index all = (positions + DEPTH - 1) / DEPTH, before = static_cast<Index>(part) * steps_a_part;
  const int steps = static_cast<int>(all - before < steps_a_part ? all - before : steps_a_part);

  auto fetch = [&](int step) {
    REAL* const a = A + step % STAGES * ROWS * PITCH + shift;
    REAL* const b = B + step % STAGES * COLUMNS * PITCH + shift;
    const bool there = at < positions;
#pragma unroll
    for (int p = 0; p < LEFT; ++p) {
      const int r = first + p * PASS;
      if (ROWS % PASS && r >= ROWS) break;
      const bool inside = there && first_row + r < channels;
      copy_async<VECTOR>(a + r * PITCH, inside ? Z + (first_row + r) * positions + at : Z, inside);
    }
#pragma unroll
    for (int p = 0; p < RIGHT; ++p) {
      const int row = there && tap[p] >= 0 ? rows[static_cast<Index>(tap[p]) * outputs + cell] : -1;
      const Index from = (static_cast<Index>(channel[p]) * cells + row) * m + example;
      copy_async<VECTOR>(b + (first + p * PASS) * PITCH, row < 0 ? Y : Y + from, row >= 0);
    }
    at += DEPTH;
    example += DEPTH;
    while (example >= m) {
      example -= m;
      ++cell;
    }
  };

  REAL sums[THREAD_ROWS][THREAD_COLUMNS] = {};
  for (int step = 0; step < STAGES - 1; ++step) {
    if (step < steps) fetch(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<STAGES - 2>();
    // Also: nobody reads any more what is fetched over next.
    __syncthreads();
    if (step + STAGES - 1 < steps) fetch(step + STAGES - 1);
    commit_copies();
    multiply(A + step % STAGES * ROWS * PITCH, B + step % STAGES * COLUMNS * PITCH, sums);
  }

  const Place place;
  REAL* const mine = parts + static_cast<Index>(part) * channels * width;
#pragma unroll
  for (int i = 0; i < THREAD_ROWS; ++i) {
    const int o = first_row + i * ROW_THREADS + place.row;
#pragma unroll
    for (int j = 0; j < THREAD_COLUMNS; ++j) {
      const int column = first_column + j * COLUMN_THREADS + place.column;
      if (o < channels && column < width) mine[static_cast<Index>(o) * width + column] = sums[i][j];
    }
  }
}
