// What the CUDA kernels use, for a C++ compiler: a block is a row of fibers that hand over at barriers, so that
// the result depends on their order where a barrier is missing. Shared memory begins as NaN. Asynchronous copies
// land as late as they may, when they are waited for, or at once: the first shows what is read before it is there,
// the second what is written while it is still read.
#pragma once
#define CUDA_ON_CPU
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct Extent { unsigned x, y, z; };
static Extent threadIdx, blockIdx, blockDim, gridDim;
__attribute__((aligned(16))) unsigned char memory[1 << 17];

struct Copy { void* to; const void* from; size_t bytes; bool inside; };
struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 17);
  std::vector<std::vector<Copy>> groups;
  bool done = false;
};
static ucontext_t scheduler;
static Fiber* running;
static bool copies_land_at_once;
static void (*body)();

static void __syncthreads() { swapcontext(&running->context, &scheduler); }

static void land(const Copy& copy) {
  if (copy.inside) std::memcpy(copy.to, copy.from, copy.bytes);
  else std::memset(copy.to, 0, copy.bytes);
}

template <int N>
void copy_async(REAL* shared, const REAL* global, bool inside) {
  const Copy copy = {shared, global, N * sizeof(REAL), inside};
  if (copies_land_at_once) land(copy);
  else running->groups.back().push_back(copy);
}
inline void commit_copies() { running->groups.push_back({}); }
template <int last>
void wait_for_copies() {
  // The last group is the one that is not committed yet.
  while (running->groups.size() > last + 1) {
    for (const Copy& copy : running->groups.front()) land(copy);
    running->groups.erase(running->groups.begin());
  }
}

static void enter() {
  body();
  running->done = true;
  swapcontext(&running->context, &scheduler);
}

// Run the threads of one block from barrier to barrier, forwards or backwards; false if it wrote beyond its memory.
static bool run_block(size_t shared, bool backwards) {
  static std::vector<Fiber> fibers;
  std::memset(memory, 0xFF, sizeof memory);
  if (fibers.size() < blockDim.x) fibers.resize(blockDim.x);
  for (unsigned t = 0; t < blockDim.x; ++t) {
    Fiber& fiber = fibers[t];
    fiber.done = false;
    fiber.groups.assign(1, {});
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.context, enter, 0);
  }
  for (unsigned left = blockDim.x; left > 0;)
    for (unsigned i = 0; i < blockDim.x; ++i) {
      const unsigned t = backwards ? blockDim.x - 1 - i : i;
      running = &fibers[t];
      if (running->done) continue;
      threadIdx = {t, 0, 0};
      swapcontext(&scheduler, &running->context);
      left -= running->done;
    }
  for (size_t i = shared; i < sizeof memory; ++i)
    if (memory[i] != 0xFF) return false;
  return true;
}

template <class... A, size_t... i>
void with_arguments(void (*kernel)(A...), void** arguments, std::index_sequence<i...>) {
  kernel(*static_cast<std::remove_const_t<A>*>(arguments[i])...);
}

template <class... A>
int count_arguments(void (*)(A...)) { return sizeof...(A); }

#define LAUNCHER(name)                                                                                        \
  extern "C" int arguments_of_##name() { return count_arguments(name); }                                      \
  static void** arguments_##name;                                                                             \
  static void call_##name() { with_all(name, arguments_##name); }                                             \
  extern "C" int launch_##name(unsigned x, unsigned y, unsigned threads, size_t shared, int backwards,        \
                               int at_once, void** given) {                                                   \
    copies_land_at_once = at_once;                                                                            \
    arguments_##name = given;                                                                                 \
    body = call_##name;                                                                                       \
    gridDim = {x, y, 1};                                                                                      \
    blockDim = {threads, 1, 1};                                                                               \
    bool kept = true;                                                                                         \
    for (unsigned j = 0; j < y; ++j)                                                                          \
      for (unsigned i = 0; i < x; ++i) {                                                                      \
        blockIdx = {i, j, 0};                                                                                 \
        kept = run_block(shared, backwards) && kept;                                                          \
      }                                                                                                       \
    return kept ? 0 : 1;                                                                                      \
  }

template <class... A>
void with_all(void (*kernel)(A...), void** arguments) {
  with_arguments(kernel, arguments, std::index_sequence_for<A...>());
}
