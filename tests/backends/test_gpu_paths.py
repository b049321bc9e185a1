"""What a GPU would run, run without one: matrix-product kernels, transfers, devices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from array_api_compat import numpy as xp
from cuda_on_cpu import (
    NO_COMPILER,
    TRANSFERS,
    CUDARuntimeError,
    Event,
    SparseMatrix,
    Stream,
    cupy_on_cpu,
    cupyx_stand_in,
    has_compiler,
)

from refmg import Architecture, RefmgError, get_backend, random_network
from refmg.batches import Batches
from refmg.objective import NetworkObjective
from refmg_backends import Geometry, assemble, cupy_backend, gemm_kernels
from refmg_backends.adversarial_backend import DeviceArray
from refmg_backends.cuda_choice import Shape, convolution_seconds, faster, gradient_seconds
from refmg_backends.gemm_kernels import GemmBackend


def integers(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape)


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


@pytest.mark.parametrize("method", ["direct", "gemm"])
@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
def test_gradient_and_curvature_of_a_network_are_those_of_explicit_matrices(method):
    (ours, network), (truth, same) = objective_on(cupy_on_cpu(method)), objective_on("numpy")
    vector, right, back = ours.vector(network), truth.vector(same), network.backend.to_numpy
    value, gradient = ours.value_and_gradient(vector)
    expected, slopes = truth.value_and_gradient(right)
    # Four layers, each with sums of 27 products, and sums over 36 cells and 12 examples.
    bound = 4 * 27 * 36 * 12 * np.finfo(float).eps
    assert abs(value - expected) <= bound * abs(expected)
    assert np.abs(back(gradient) - slopes).max() <= bound * np.abs(slopes).max()
    product, curved = ours.gauss_newton(vector)(vector), truth.gauss_newton(right)(right)
    assert np.abs(back(product) - curved).max() <= bound * np.abs(curved).max()


def test_the_twin_would_notice_a_hidden_transfer():
    backend = get_backend("adversarial-numpy")
    backend.transfers.clear()
    backend.to_numpy(backend.asarray([1.0]))
    assert float(backend.xp.sum(backend.asarray([1.0, 2.0]))) == 3
    assert repr(backend.transfers) == "2 to the device, 1 to the host, 1 scalars read"


def test_small_and_large_arrays_reach_the_device_unchanged_and_are_counted():
    backend = cupy_on_cpu()
    assert backend.device == "cuda: Stand-in"
    for size in (3, 1 << 18):
        host = np.arange(float(size))
        there = backend.asarray(host, "float32")
        assert isinstance(there, DeviceArray)
        assert there.dtype == np.float32
        assert np.array_equal(backend.to_numpy(there), host)
        assert backend.asarray(there) is there
    assert (backend.uploads, backend.downloads) == (2, 2)
    backend.synchronize()
    backend.release()


def test_a_batch_is_fetched_on_a_stream_of_its_own_while_the_one_before_is_computed():
    backend = cupy_on_cpu()
    feeding, current = backend._feeding, backend.cupy.cuda.get_current_stream()
    order = []

    def items():
        for k in range(3):
            assert backend.cupy.cuda.get_current_stream() is feeding
            order.append(f"fetched {k}")
            yield k

    def function(k):
        assert backend.cupy.cuda.get_current_stream() is current
        # Only after the current stream was told to wait for this item.
        order.append(f"computed {k}, waits {sum(entry == ('wait', feeding) for entry in current.log)}")
        return k

    assert list(backend.map(function, items())) == [0, 1, 2]
    assert order == [
        "fetched 0", "fetched 1", "computed 0, waits 1", "fetched 2", "computed 1, waits 2",
        "computed 2, waits 3",
    ]  # fmt: skip
    # Memory of an earlier item is written again only after everything that was begun before.
    assert feeding.log[0] == ("wait", current)
    assert feeding.log.count(("wait", current)) == 4


def test_the_copy_of_a_batch_is_on_the_stream_that_fetches_it(monkeypatch):
    backend, streams = cupy_on_cpu(), []
    monkeypatch.setattr(cupy_backend, "PINNED", 1)
    monkeypatch.setattr(DeviceArray, "set", lambda self, host, stream=None: streams.append(stream))
    list(backend.map(lambda x: x, (backend.asarray(np.ones(4)) for _ in range(2))))
    assert streams == [backend._feeding] * 2


def test_page_locked_memory_is_kept_until_the_copy_is_done(monkeypatch):
    backend = cupy_on_cpu()
    monkeypatch.setattr(cupy_backend, "PINNED", 1)
    backend.asarray(np.ones(4))
    staged, event = backend._staged[0]
    assert np.array_equal(staged, np.ones(4))
    backend._staged = [(staged, SimpleNamespace(done=False))]
    backend.asarray(np.ones(4))
    assert backend._staged[0][0] is staged
    backend._staged = [(staged, event)]
    backend.asarray(np.ones(4))
    assert backend._staged[0][0] is not staged


def test_the_host_runs_ahead_of_uploads_by_a_fixed_number(monkeypatch):
    backend, events = cupy_on_cpu(), []
    monkeypatch.setattr(cupy_backend, "PINNED", 1)

    def record(stream):
        events.append(Event())
        events[-1].done = False
        return events[-1]

    monkeypatch.setattr(Stream, "record", record)
    for _ in range(cupy_backend.AHEAD + 3):
        backend.asarray(np.ones(4))
        assert len(backend._staged) <= cupy_backend.AHEAD
    # The oldest ones were waited for, nothing else.
    assert [event.waited for event in events] == [1] * 3 + [0] * cupy_backend.AHEAD


@pytest.mark.parametrize(("status", "raised"), [(2, MemoryError), (1, CUDARuntimeError)])
def test_no_more_page_locked_memory_is_a_memory_error_and_no_other_failure_is(monkeypatch, status, raised):
    backend = cupy_on_cpu()
    monkeypatch.setattr(cupy_backend, "PINNED", 1)

    def full(size):
        raise CUDARuntimeError(status)

    monkeypatch.setattr(backend.cupy.cuda, "alloc_pinned_memory", full)
    with pytest.raises(raised):
        backend.asarray(np.ones(4))


def test_what_cannot_be_locked_at_once_is_uploaded_in_halves(monkeypatch):
    backend, given = cupy_on_cpu(), bytearray
    monkeypatch.setattr(cupy_backend, "PINNED", 1)

    def small(size):
        if size > 100:
            raise CUDARuntimeError(2)
        return given(size)

    monkeypatch.setattr(backend.cupy.cuda, "alloc_pinned_memory", small)
    batches = Batches(np.ones((1, 4, 6)), np.arange(6) % 2, 2, 6, backend, "float64")
    with pytest.warns(UserWarning, match="the batch is halved"):
        assert [batch.size for batch in batches] == [3, 3]


@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
def test_releasing_gives_tables_and_staged_memory_back_when_nothing_uses_them(monkeypatch):
    backend, geometry = cupy_on_cpu(), Geometry((3, 4), (3, 3))
    monkeypatch.setattr(cupy_backend, "PINNED", 1)
    s, Y = (backend.asarray(integers(k, *n) * 1.0) for k, n in enumerate([(3, 2, 3, 3), (2, 12, 4)]))

    def results():
        found = []
        for method in ("direct", "gemm"):
            backend.method = method
            K = backend.convolution(s, geometry)
            Z = K.apply(Y)
            made = Z, K.apply_transpose(Z), backend.stencil_gradient(Y, Z, geometry)
            found += [backend.to_numpy(a).tobytes() for a in made]
        return found

    def kept():
        return [len(part) for part in (backend._tables, backend._forward, backend._backward)]

    first = results()
    assert all([*kept(), backend._staged])
    order = backend.cupy.cuda.get_current_stream().log
    monkeypatch.setattr(backend, "forget_tables", lambda: order.append("forgotten"))
    backend.release()
    assert order[-2:] == ["device synchronized", "forgotten"]
    monkeypatch.undo()
    backend.release()
    assert not any([*kept(), backend._staged])
    assert results() == first


@pytest.mark.parametrize("method", ["direct", "gemm"])
@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
def test_another_stream_waits_for_what_is_kept_until_it_is_there(monkeypatch, method):
    monkeypatch.setattr(Event, "done", False)
    backend, geometry, other = cupy_on_cpu(method), Geometry((3, 4), (3, 3)), Stream()
    main = backend.cupy.cuda.get_current_stream()
    s, Y = (
        backend.asarray(integers(k, *n).astype("float64")) for k, n in enumerate([(3, 2, 3, 3), (2, 12, 4)])
    )
    K = backend.convolution(s, geometry)

    def everything():
        Z = K.apply(Y)
        K.apply_transpose(Z)
        backend.stencil_gradient(Y, Z, geometry)

    everything()
    # Tables and packed stencils for either direction; or two tables and the order of taps.
    assert main.log.count("record") == {"direct": 4, "gemm": 3}[method]
    with other:
        everything()
    # Every launch for its table, and for its packed stencil; each gather, twice where blocks are counted.
    waits = other.log.count(("wait", main))
    assert waits == {"direct": 2 + 2 + 1, "gemm": 1 + 2 + 2}[method]
    assert "record" not in other.log
    # Once it is there nobody waits.
    monkeypatch.setattr(Event, "done", True)
    with other:
        everything()
    assert other.log.count(("wait", main)) == waits


def test_what_is_kept_is_made_once_on_the_stream_that_needs_it_first(monkeypatch):
    monkeypatch.setattr(Event, "done", False)
    backend, first, made = cupy_on_cpu(), Stream(), []
    with first:
        give = backend.keep(lambda: made.append(backend.cupy.cuda.get_current_stream()) or len(made))
    assert (give(), give(), made) == (1, 1, [first])
    assert backend.cupy.cuda.get_current_stream().log == [("wait", first)] * 2


def test_an_unknown_method_is_refused():
    with pytest.raises(RefmgError, match="did you mean 'direct'"):
        cupy_on_cpu("dirct")


def resnet(channels, n):
    return Shape(channels, channels, 9, n * n, n * n, 32)


def test_the_rule_takes_the_direct_way_for_few_channels_and_large_products_for_tf32():
    few, many = resnet(16, 28), resnet(512, 14)
    assert faster(convolution_seconds(few, "float32")) == "direct"
    assert faster(convolution_seconds(few, "float32", tf32=True)) == "direct"
    assert faster(convolution_seconds(many, "float32")) == "direct"
    assert faster(convolution_seconds(many, "float32", tf32=True)) == "gemm"
    # Tensor cores multiply in float64 too, exactly.
    assert faster(gradient_seconds(many, "float64")) == "gemm"
    assert convolution_seconds(many, "float64", tf32=True) == convolution_seconds(many, "float64")


def test_work_is_counted_as_by_hand():
    shape = Shape(channels=2, inner=3, taps=9, cells=20, outputs=6, examples=4)
    assert shape.flops == 2 * 2 * 3 * 9 * 6 * 4
    assert shape.moved("float64") == 8 * (3 * 20 * 4 + 2 * 6 * 4 + 2 * 3 * 9)
    assert shape.gathered("float32") == 2 * 4 * 3 * 9 * 6 * 4


@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
@pytest.mark.parametrize("method", [None, "direct", "gemm", "explicit"])
def test_every_way_gives_the_same_integers(monkeypatch, method):
    cupyx_stand_in(monkeypatch)
    backend, geometry = cupy_on_cpu(method), Geometry((3, 4), (3, 3), "reflect")
    s, Y, Z = (
        integers(k, *n).astype("float64") for k, n in enumerate([(3, 2, 3, 3), (2, 12, 4), (3, 12, 4)])
    )
    there, truth = [backend.asarray(a) for a in (s, Y, Z)], get_backend("numpy")
    K, explicit = backend.convolution(there[0], geometry), truth.convolution(s, geometry)
    assert K.method(there[1]) == (method or "direct")
    for add_to in (False, True):
        given = {"add_to": there[2]} if add_to else {}
        expected = explicit.apply(Y) + (Z if add_to else 0)
        assert np.array_equal(backend.to_numpy(K.apply(there[1], **given)), expected)
        given = {"add_to": there[1]} if add_to else {}
        expected = explicit.apply_transpose(Z) + (Y if add_to else 0)
        assert np.array_equal(backend.to_numpy(K.apply_transpose(there[2], **given)), expected)
    found = backend.to_numpy(backend.stencil_gradient(there[1], there[2], geometry))
    assert np.array_equal(found, truth.stencil_gradient(Y, Z, geometry))


def test_explicit_matrices_move_once_and_are_not_looked_through(monkeypatch):
    cupyx_stand_in(monkeypatch)
    backend, geometry = cupy_on_cpu("explicit"), Geometry((3, 4), (3, 3), "reflect")
    assert not backend.deterministic
    s, Y, Z = (
        backend.asarray(1.0 * integers(k, *n)) for k, n in enumerate([(3, 2, 3, 3), (2, 12, 4), (3, 12, 4)])
    )
    K = backend.convolution(s, geometry)
    K.apply(Y)
    TRANSFERS.clear()
    for _ in range(2):
        K.apply(Y)
        K.apply_transpose(Z)
    assert (TRANSFERS.to_device, TRANSFERS.to_host) == (0, 0)
    assert SparseMatrix.looked_through == 0
    # Without our word it would: the stand-in counts.
    SparseMatrix(assemble(np.ones((1, 1, 3)), Geometry((4,), (3,)))) @ backend.asarray(np.ones((4, 1)))
    assert SparseMatrix.looked_through == 1


def test_integers_and_mixed_types_go_the_gathered_way():
    backend, geometry = cupy_on_cpu("direct"), Geometry((4,), (3,))
    s, Y = integers(0, 2, 1, 3), integers(1, 1, 4, 2)
    for left, right in ((s, Y), (s.astype("float32"), Y.astype("float64"))):
        K, there = backend.convolution(backend.asarray(left), geometry), backend.asarray(right)
        assert K.method(there) == "gemm"
        found = backend.to_numpy(K.apply(there))
        assert np.array_equal(found, get_backend("numpy").convolution(s, geometry).apply(Y))
