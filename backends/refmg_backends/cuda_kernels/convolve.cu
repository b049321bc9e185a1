// K Y as a matrix product (channels x inner*taps) times (inner*taps x outputs*examples) whose second factor
// is never stored: its rows are read through a table of cells. From the command line: the tile of a block,
// ROW_THREADS x COLUMN_THREADS threads with THREAD_ROWS x THREAD_COLUMNS sums each.

constexpr int THREADS = ROW_THREADS * COLUMN_THREADS;
constexpr int ROWS = ROW_THREADS * THREAD_ROWS, COLUMNS = COLUMN_THREADS * THREAD_COLUMNS;
constexpr int DEPTH = 8, STAGES = 4;
// Sums of one thread that lie side by side, in shared memory and in global memory.
constexpr int ROW_PACK = THREAD_ROWS < WIDE ? THREAD_ROWS : WIDE;
constexpr int COLUMN_PACK = THREAD_COLUMNS < WIDE ? THREAD_COLUMNS : WIDE;
constexpr int STORED = VECTOR == 1 ? 1 : COLUMN_PACK;
// A pass of all threads reads PASS rows of the second factor.
constexpr int ACROSS = COLUMNS / VECTOR, PASS = THREADS / ACROSS;
static_assert(THREADS % ACROSS == 0 && DEPTH % PASS == 0, "a tile is whole passes of all threads");

// Columns of a tile: some cells times a power of two of examples, so that taps of neighbours meet in the
// first-level cache.
struct Column {
  int cell, example;
  __device__ __forceinline__ Column(Index tile, int column, int m, int log2_examples) {
    const int blocks = (m + (1 << log2_examples) - 1) >> log2_examples;
    cell = static_cast<int>(tile / blocks) * (COLUMNS >> log2_examples) + (column >> log2_examples);
    example = static_cast<int>(tile % blocks) * (1 << log2_examples) + (column & ((1 << log2_examples) - 1));
  }
};

// Reads the second factor: always the same column, PASS rows further at each step.
struct Reader {
  const REAL* X;
  const int* rows;
  Index plane;
  int inner, taps, outputs, m, cell, tap, channel, row;
  bool there;

  __device__ __forceinline__ void look_up() {
    row = there && tap < taps ? rows[static_cast<Index>(tap) * outputs + cell] : -1;
  }

  __device__ __forceinline__ void start(int first, bool exists) {
    there = exists;
    tap = first / inner;
    channel = first % inner;
    look_up();
  }

  __device__ __forceinline__ void read_into(REAL* shared) {
    const Index from = row < 0 ? 0 : channel * plane + static_cast<Index>(row) * m;
    copy_async<VECTOR>(shared, X + from, row >= 0);
    channel += PASS;
    if (channel >= inner) {
      do {
        channel -= inner;
        ++tap;
      } while (channel >= inner);
      look_up();
    }
  }
};

__device__ __forceinline__ void multiply(const REAL* A, const REAL* B, REAL (&sums)[THREAD_ROWS][THREAD_COLUMNS]) {
  const Place place;
#pragma unroll
  for (int k = 0; k < DEPTH; ++k) {
    Pack<ROW_PACK> a[THREAD_ROWS / ROW_PACK];
    Pack<COLUMN_PACK> b[THREAD_COLUMNS / COLUMN_PACK];
#pragma unroll
    for (int g = 0; g < THREAD_ROWS / ROW_PACK; ++g)
      a[g] = load<ROW_PACK>(A + k * ROWS + (g * ROW_THREADS + place.row) * ROW_PACK);
#pragma unroll
    for (int g = 0; g < THREAD_COLUMNS / COLUMN_PACK; ++g)
      b[g] = load<COLUMN_PACK>(B + k * COLUMNS + (g * COLUMN_THREADS + place.column) * COLUMN_PACK);
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; ++i)
#pragma unroll
      for (int j = 0; j < THREAD_COLUMNS; ++j)
        sums[i][j] = fused(a[i / ROW_PACK].at[i % ROW_PACK], b[j / COLUMN_PACK].at[j % COLUMN_PACK], sums[i][j]);
  }
}

// X (inner, cells, m), taps (padded inner*taps, padded channels), rows (taps, outputs), out (channels, outputs, m).
extern "C" __global__ void __launch_bounds__(THREADS, 4) convolve(
    const REAL* X, const REAL* taps, const int* rows, int channels, int inner, int count, int cells, int outputs,
    int m, int log2_examples, const REAL* bias, REAL scale, const REAL* under, REAL* out, REAL* rate) {
  extern __shared__ __align__(16) unsigned char memory[];
  REAL* const A = reinterpret_cast<REAL*>(memory);
  REAL* const B = A + STAGES * DEPTH * ROWS;
  const int row_tiles = (channels + ROWS - 1) / ROWS, padded = row_tiles * ROWS;
  const int first_row = blockIdx.x % row_tiles * ROWS, thread = threadIdx.x;
  const Index tile = blockIdx.x / row_tiles;

  const Column mine(tile, thread % ACROSS * VECTOR, m, log2_examples);
  Reader reader = {X + mine.example, rows, static_cast<Index>(cells) * m, inner, count, outputs, m, mine.cell};
  reader.start(thread / ACROSS, mine.cell < outputs && mine.example < m);

  const int steps = (inner * count + DEPTH - 1) / DEPTH;
  auto fetch = [&](int step) {
    REAL* const a = A + step % STAGES * DEPTH * ROWS;
    for (int i = thread; i < DEPTH * ROWS / WIDE; i += THREADS) {
      const int k = i / (ROWS / WIDE), c = i % (ROWS / WIDE) * WIDE;
      copy_async<WIDE>(a + k * ROWS + c, taps + static_cast<Index>(step * DEPTH + k) * padded + first_row + c, true);
    }
    REAL* const b = B + step % STAGES * DEPTH * COLUMNS + thread % ACROSS * VECTOR;
#pragma unroll
    for (int k = 0; k < DEPTH; k += PASS) reader.read_into(b + (thread / ACROSS + k) * COLUMNS);
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
    multiply(A + step % STAGES * DEPTH * ROWS, B + step % STAGES * DEPTH * COLUMNS, sums);
  }

  const Place place;
#pragma unroll
  for (int j = 0; j < THREAD_COLUMNS; j += STORED) {
    const int column = (j / COLUMN_PACK * COLUMN_THREADS + place.column) * COLUMN_PACK + j % COLUMN_PACK;
    const Column to(tile, column, m, log2_examples);
    if (to.cell >= outputs || to.example >= m) continue;
#pragma unroll
    for (int i = 0; i < THREAD_ROWS; ++i) {
      const int channel = first_row + (i / ROW_PACK * ROW_THREADS + place.row) * ROW_PACK + i % ROW_PACK;
      if (channel >= channels) continue;
      Pack<STORED> found;
#pragma unroll
      for (int s = 0; s < STORED; ++s) found.at[s] = sums[i][j + s];
      const Index at = (static_cast<Index>(channel) * outputs + to.cell) * m + to.example;
      finish<STORED>(found, ACTIVATION == NONE ? REAL(0) : bias[channel], scale, under, out, rate, at);
    }
  }
}
