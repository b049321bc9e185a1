"""What only a GPU can show; ``pytest -m gpu`` runs this and every test of kernels on ``cupy``."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from refmg import Architecture, get_backend, random_network
from refmg.batches import Batch, Batches, mapped
from refmg.objective import NetworkObjective
from refmg_backends import Geometry, assemble
from refmg_backends.activation import ACTIVATIONS
from refmg_backends.cuda_choice import METHODS

pytestmark = pytest.mark.gpu
GEOMETRY = Geometry((14, 14), (3, 3), "reflect")
every_method = pytest.mark.parametrize("method", [m for m in METHODS if m != "explicit"])


@pytest.fixture
def backend():
    return get_backend("cupy")


def data(backend, dtype, channels=16, m=64):
    rng = np.random.default_rng(0)
    shapes = (channels, channels, 3, 3), (channels, 196, m), (channels, 196, m)
    return [backend.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [64, 61])
def test_every_run_gives_the_same_bits(backend, method, dtype, m):
    ours, arrays = backend.by(method), data(backend, dtype, m=m)

    def results():
        K = ours.convolution(arrays[0], GEOMETRY)
        bias = ours.asarray(np.ones(16), dtype)
        layer = ours.activated(K, arrays[1], bias, ACTIVATIONS["tanh"], arrays[2], 0.1, slope=True)
        made = K.apply(arrays[1]), K.apply_transpose(arrays[2]), *layer, *ours.cotangent(layer[1], arrays[2])
        return [ours.to_numpy(a).tobytes() for a in (*made, ours.stencil_gradient(*arrays[1:], GEOMETRY))]

    first = results()
    assert all(results() == first for _ in range(4))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [8, 16, 32, 64, 70])
def test_every_way_is_the_matrix(backend, method, dtype, channels):
    ours, (s, Y, Z) = backend.by(method), data(backend, dtype, channels, m=32)
    K, kernel = assemble(backend.to_numpy(s), GEOMETRY), ours.convolution(s, GEOMETRY)
    # Sums of 9 * channels products of numbers below 6, of which the largest sum is below 2,000.
    bound = 9 * channels * 36 * np.finfo(dtype).eps
    for found, truth in (
        (kernel.apply(Y), K @ backend.to_numpy(Y).reshape(-1, 32)),
        (kernel.apply_transpose(Z), K.T @ backend.to_numpy(Z).reshape(-1, 32)),
    ):
        assert np.abs(backend.to_numpy(found).reshape(truth.shape) - truth).max() <= bound


def test_tf32_is_off_unless_asked_for(backend):
    assert backend.tf32 is (os.environ.get("REFMG_TF32") == "1")
    program = """
import numpy as np
from refmg import get_backend
backend = get_backend("cupy")
A = backend.asarray(1 + np.random.default_rng(0).random((1024, 1024)), "float32")
exact = backend.to_numpy(A).astype("float64")
print(np.abs(backend.to_numpy(A @ A) / (exact @ exact) - 1).max())
"""
    errors = {}
    for tf32 in ("0", "1"):
        environment = {k: v for k, v in os.environ.items() if k != "CUPY_TF32"} | {"REFMG_TF32": tf32}
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        errors[tf32] = float(done.stdout)
    # Float32 products of positive numbers are exact to a few eps; TF32 keeps 10 bits of each factor.
    assert errors["0"] < 1e-5 < errors["1"]


@pytest.mark.parametrize(("dtype", "kept"), [("float32", False), ("float64", True)])
def test_subnormal_numbers_become_zero_in_float32_only(backend, dtype, kept):
    tiny = np.finfo(dtype).smallest_normal / 4
    slope, one, bias = (
        backend.asarray(np.full(n, v), dtype) for n, v in (((1, 1, 4), tiny), ((1, 1, 4), 1), (1, 0))
    )
    found = backend.to_numpy(backend.tangent(slope, one, bias))
    assert np.array_equal(found, np.full((1, 1, 4), tiny if kept else 0, dtype))


def test_no_memory_on_the_device_is_a_memory_error_and_the_batch_is_halved(backend):
    free = backend.cupy.cuda.runtime.memGetInfo()[0]
    asked = []

    def function(batch):
        asked.append(batch.size)
        # As many bytes an example that two do not fit.
        backend.cupy.empty((batch.size, int(0.6 * free)), "uint8")
        return batch.size

    batch = Batch(backend.asarray(np.zeros((1, 4))), backend.asarray(np.zeros((2, 4))))
    with pytest.warns(UserWarning, match="the batch is halved"):
        assert list(mapped(backend, function, [batch])) == [1, 1, 1, 1]
    assert asked == [4, 2, 1, 1, 2, 1, 1]
    backend.release()


def objective(backend, dtype="float64"):
    rng = np.random.default_rng(0)
    network = random_network(Architecture((12, 12), channels=8, layers=3, classes=4), 0, backend, dtype)
    x, labels = rng.normal(size=(1, 12, 12, 90)), rng.integers(0, 4, 90)
    batches = Batches(x, labels, 4, 32, network.backend, dtype)
    found = NetworkObjective(network, list(batches))
    return found, found.vector(network)


def test_a_gradient_moves_no_array_after_the_first(backend):
    """Only `asarray` and `to_numpy` count: what ``float`` or ``.get()`` reads is not seen here.

    The twin on the CPU counts numbers read too (tests/backends/test_gpu_paths.py).
    """
    function, vector = objective(backend)
    function.value_and_gradient(vector)
    before = backend.uploads, backend.downloads
    function.value_and_gradient(vector)
    assert (backend.uploads, backend.downloads) == before


def test_a_gradient_is_that_of_explicit_matrices(backend):
    (ours, vector), (truth, same) = objective(backend), objective("numpy")
    value, gradient = ours.value_and_gradient(vector)
    expected, right = truth.value_and_gradient(same)
    # Three layers of sums of 72 products, 90 examples.
    assert abs(value - expected) <= 1e-12 * abs(expected)
    assert np.abs(backend.to_numpy(gradient) - right).max() <= 1e-11 * np.abs(right).max()


def test_batches_that_travel_while_others_are_computed_give_the_same_bits(backend):
    rng = np.random.default_rng(0)
    # Larger than what is copied without page-locked memory.
    batches = [rng.standard_normal((16, 196, 512)) for _ in range(6)]
    K = backend.convolution(data(backend, "float64")[0], GEOMETRY)
    travelling = backend.map(lambda Y: K.apply(K.apply(Y)), (backend.asarray(Y) for Y in batches))
    found = [backend.to_numpy(Y).tobytes() for Y in travelling]
    assert found == [backend.to_numpy(K.apply(K.apply(backend.asarray(Y)))).tobytes() for Y in batches]
