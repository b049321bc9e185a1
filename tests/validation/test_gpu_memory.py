"""Memory of a step on a GPU, counted alike for both libraries: with stand-ins for both."""

import sys
from types import SimpleNamespace

from refmg_validation.bench import gpu_memory


class Pool:
    """A pool like CuPy's: blocks that are given back stay in it until it is emptied."""

    def __init__(self):
        self.free, self.used, self.hooks = 0, 0, []

    def malloc(self, size):
        self.free, self.used = max(self.free - size, 0), self.used + size
        for hook in self.hooks:
            hook.malloc_postprocess(device_id=0, size=size, mem_size=size, mem_ptr=1, pmem_id=1)

    def give(self, size):
        self.free, self.used = self.free + size, self.used - size

    def total_bytes(self):
        return self.free + self.used

    def used_bytes(self):
        return self.used


def stand_in(monkeypatch):
    pool = Pool()

    class MemoryHook:
        def __enter__(self):
            pool.hooks.append(self)

        def __exit__(self, *error):
            pool.hooks.remove(self)

    made = SimpleNamespace(get_default_memory_pool=lambda: pool, cuda=SimpleNamespace(MemoryHook=MemoryHook))
    monkeypatch.setitem(sys.modules, "cupy", made)
    backend = SimpleNamespace(device="a GPU", name="cupy", synchronize=lambda: None)
    backend.release = lambda: setattr(pool, "free", 0)
    return backend, pool


def test_what_is_reserved_and_the_most_that_was_used_are_told_apart(monkeypatch):
    backend, pool = stand_in(monkeypatch)
    pool.malloc(10**9)  # parameters

    def step():
        pool.malloc(3 * 10**9)
        pool.give(3 * 10**9)
        pool.malloc(2 * 10**9)
        pool.give(2 * 10**9)

    assert gpu_memory.pool_memory(backend, step) == {"GB reserved": 4.0, "GB used": 4.0}
    pool.malloc(10**9)
    pool.give(10**9)
    pool.give(10**9)
    assert gpu_memory.pool_memory(backend, lambda: pool.malloc(10**9)) == {
        "GB reserved": 4.0,
        "GB used": 1.0,
    }
    assert pool.hooks == []


def test_the_study_counts_nothing_that_measuring_the_limits_left(monkeypatch):
    from refmg_validation.bench import resnet_study

    backend, pool = stand_in(monkeypatch)
    backend.tf32 = False

    def limits(*arguments):
        pool.malloc(7 * 10**9)
        pool.give(7 * 10**9)
        return {"GF/s": 1.0, "GB/s": 1.0}

    def measure(problem, *more):
        return [gpu_memory.pool_memory(backend, lambda: pool.malloc(10**9))]

    for name, what in {
        "get_backend": lambda: backend,
        "measure_limits": limits,
        "Problem": lambda *arguments: None,
        "measure": measure,
    }.items():
        monkeypatch.setattr(resnet_study, name, what)
    result = resnet_study.study(resnet_study.parse(["--quick", "--size", "16"]))
    assert result["rows"] == [{"GB reserved": 1.0, "GB used": 1.0}]


def test_of_pytorch_the_same_two_are_counted_from_an_empty_cache():
    log = []
    cuda = SimpleNamespace(
        empty_cache=lambda: log.append("empty"),
        reset_peak_memory_stats=lambda: log.append("reset"),
        max_memory_reserved=lambda: 5 * 10**9,
        max_memory_allocated=lambda: 4 * 10**9,
    )
    peer = SimpleNamespace(device="cuda", torch=SimpleNamespace(cuda=cuda))
    gpu_memory.empty_torch(peer)
    assert log == ["empty", "reset"]
    assert gpu_memory.torch_memory(peer) == {"GB reserved": 5.0, "GB used": 4.0}


def test_without_a_gpu_there_is_nothing_to_count():
    here = SimpleNamespace(device="cpu", name="numpy")
    assert gpu_memory.pool_memory(here, lambda: 1 / 0) == {}
    peer = SimpleNamespace(device="cpu")
    gpu_memory.empty_torch(peer)
    assert gpu_memory.torch_memory(peer) == {}
