"""What a GPU would run, run without one: matrix-product kernels, transfers, memory, devices."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from array_api_compat import numpy as xp

from refmg import Architecture, BackendUnavailableError, RefmgError, get_backend, random_network
from refmg.batches import Batch, Batches, mapped
from refmg.objective import NetworkObjective
from refmg_backends import ArrayBackend, Geometry, check_environment, gemm_kernels, registry
from refmg_backends.cupy_backend import CupyBackend, require_device
from refmg_backends.gemm_kernels import GemmBackend


def integers(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape)


# --- large matrix products ------------------------------------------------------------------------


@pytest.mark.parametrize("gathered", [1, 5000, 1 << 28])
@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
@pytest.mark.parametrize("stride", [1, 2])
def test_blocks_of_any_size_give_the_matrix(monkeypatch, gathered, boundary, stride):
    monkeypatch.setattr(gemm_kernels, "GATHERED", gathered)
    geometry = Geometry((5, 6), (3, 5), boundary, (stride, stride))
    s, Y, Z = integers(0, 3, 2, 3, 5), integers(1, 2, 30, 4), integers(2, 3, geometry.out_cells, 4)
    ours, truth = GemmBackend("gemm", xp), get_backend("numpy")
    K, explicit = ours.convolution(s, geometry), truth.convolution(s, geometry)
    assert np.array_equal(K.apply(Y, add_to=Z), explicit.apply(Y, add_to=Z))
    assert np.array_equal(K.apply_transpose(Z, add_to=Y), explicit.apply_transpose(Z, add_to=Y))
    assert np.array_equal(ours.stencil_gradient(Y, Z, geometry), truth.stencil_gradient(Y, Z, geometry))


# --- the twin refuses what a GPU refuses ----------------------------------------------------------


def test_the_twin_refuses_to_become_a_numpy_array_unasked():
    backend = get_backend("adversarial-numpy")
    x = backend.asarray(np.ones(3))
    for wrong in (lambda: np.asarray(x), lambda: x + np.ones(3), lambda: np.sin(x), lambda: list(x)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match="read-only"):
        x[0] = 1
    assert np.isnan(backend.to_numpy(backend.xp.empty((2, 2)))).all()


def objective_on(backend, examples=12, size=4):
    rng = np.random.default_rng(0)
    network = random_network(Architecture((6, 6), channels=3, layers=4, classes=3), 0, backend, "float64")
    x, labels = rng.normal(size=(1, 6, 6, examples)), rng.integers(0, 3, examples)
    batches = Batches(x, labels, 3, size, network.backend, "float64")
    return NetworkObjective(network, list(batches)), network


def test_a_gradient_moves_nothing_but_losses_and_counts():
    objective, network = objective_on("adversarial-numpy")
    vector = objective.vector(network)
    objective.value_and_gradient(vector)  # moves index tables, once
    transfers = network.backend.transfers
    transfers.clear()
    objective.value_and_gradient(vector)
    stencils = 1 + network.architecture.layers
    # Stencils go to the host and back, where their shape is checked; images and features never do.
    assert transfers.to_host <= stencils
    assert transfers.to_device <= stencils
    # A loss and a number of hits a batch, and the regularisers.
    assert transfers.scalars <= 2 * 3 + 4


def test_the_twin_would_notice_a_hidden_transfer():
    backend = get_backend("adversarial-numpy")
    backend.transfers.clear()
    backend.to_numpy(backend.asarray([1.0]))
    assert float(backend.xp.sum(backend.asarray([1.0, 2.0]))) == 3
    assert repr(backend.transfers) == "2 to the device, 1 to the host, 1 scalars read"


# --- memory ---------------------------------------------------------------------------------------


class SmallMemory(ArrayBackend):
    """Refuses convolutions of more examples than fit, as a full device does."""

    def __init__(self, examples):
        super().__init__("small", xp)
        self.most, self.released = examples, 0

    def activated(self, kernel, Y, *arguments, **options):
        if Y.shape[-1] > self.most:
            raise MemoryError("out of device memory")
        return super().activated(kernel, Y, *arguments, **options)

    def release(self):
        self.released += 1


def test_batches_that_do_not_fit_are_halved_and_the_numbers_stay():
    small = SmallMemory(3)
    (objective, network), (plain, same) = objective_on(small, size=12), objective_on("numpy", size=12)
    with pytest.warns(UserWarning, match=r"out of memory with \d+ examples; the batch is halved"):
        value, gradient = objective.value_and_gradient(objective.vector(network))
    expected, truth = plain.value_and_gradient(plain.vector(same))
    # Sums over 12 examples in another order.
    assert abs(value - expected) <= 12 * np.finfo(float).eps * abs(expected)
    assert np.abs(gradient - truth).max() <= 12 * np.finfo(float).eps * np.abs(truth).max() * 10
    assert small.released > 0


def test_a_single_example_that_does_not_fit_is_an_error():
    objective, network = objective_on(SmallMemory(0), examples=1, size=1)
    with pytest.raises(MemoryError):
        objective.value_and_gradient(objective.vector(network))


def test_halves_come_in_order_and_cover_every_example():
    def function(batch):
        if batch.size > 2:
            raise MemoryError
        return batch.x[0].tolist()

    batch = Batch(np.arange(7.0)[None], np.ones((2, 7)))
    with pytest.warns(UserWarning, match="the batch is halved"):
        found = list(mapped(get_backend("numpy"), function, [batch]))
    assert [x for part in found for x in part] == list(range(7))


# --- CuPy, by a stand-in --------------------------------------------------------------------------


class Event:
    done = True


class Stream:
    synchronized = 0

    def record(self):
        return Event()

    def synchronize(self):
        self.synchronized += 1


class OnDevice(np.ndarray):
    def set(self, host, stream=None):
        self[...] = host


def stand_in(devices=1):
    cupy, stream = types.SimpleNamespace(), Stream()
    cupy.ndarray = OnDevice
    cupy.asarray = lambda x: np.array(x).view(OnDevice)
    cupy.empty = lambda shape, dtype: np.empty(shape, dtype).view(OnDevice)
    cupy.asnumpy = lambda x: np.array(x)
    pool = types.SimpleNamespace(free_all_blocks=lambda: None)
    cupy.get_default_memory_pool = cupy.get_default_pinned_memory_pool = lambda: pool
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: devices, getDeviceProperties=lambda i: {"name": b"Stand-in"}
    )
    cupy.cuda = types.SimpleNamespace(
        runtime=runtime,
        Device=lambda: types.SimpleNamespace(id=0),
        alloc_pinned_memory=bytearray,
        get_current_stream=lambda: stream,
    )
    return cupy


def test_small_and_large_arrays_reach_the_device_unchanged_and_are_counted():
    cupy = stand_in()
    backend = CupyBackend(cupy, xp, require_device(cupy), tf32=False)
    assert backend.device == "cuda: Stand-in"
    for size in (3, 1 << 18):
        host = np.arange(float(size))
        there = backend.asarray(host, "float32")
        assert isinstance(there, OnDevice)
        assert there.dtype == np.float32
        assert np.array_equal(backend.to_numpy(there), host)
        assert backend.asarray(there) is there
    assert (backend.uploads, backend.downloads) == (2, 2)
    backend.synchronize()
    backend.release()


def test_no_device_is_said_with_what_to_do():
    with pytest.raises(BackendUnavailableError, match=r"installed but found no GPU .*=numba"):
        require_device(stand_in(devices=0))


def test_a_driver_that_raises_is_no_device():
    cupy = stand_in()

    def broken():
        raise RuntimeError("cudaErrorInsufficientDriver")

    cupy.cuda.runtime.getDeviceCount = broken
    with pytest.raises(BackendUnavailableError, match="RuntimeError: cudaErrorInsufficientDriver"):
        require_device(cupy)


@pytest.mark.parametrize(
    ("name", "library", "hint"), [("cupy", "cupy", "cuda12"), ("numba", "numba", "numba")]
)
def test_a_known_backend_whose_library_is_missing_says_what_to_install(monkeypatch, name, library, hint):
    for module in [m for m in sys.modules if m.startswith("refmg_backends.numba")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    registry._load.cache_clear()
    try:
        with pytest.raises(BackendUnavailableError, match=f"'{name}' is known but cannot be loaded.*{hint}"):
            get_backend(name)
    finally:
        registry._load.cache_clear()


def test_tf32_is_a_known_variable_and_its_misspelling_is_not():
    assert check_environment({"REFMG_TF32": "1"}) == {"REFMG_TF32": "1"}
    with pytest.raises(RefmgError, match="did you mean 'REFMG_TF32'"):
        check_environment({"REFMG_TF23": "1"})
