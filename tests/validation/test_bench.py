"""The benchmark: that both sides compute the same, and that its records say what they should."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, cupy_on_cpu, has_compiler

from refmg import Classifier, RefmgError, convolution_matrix, get_backend
from refmg.objective import NetworkObjective
from refmg_backends.sparse_assembly import _plan
from refmg_validation.bench import networks as networks_module
from refmg_validation.bench import shapes as shapes_module
from refmg_validation.bench import surroundings
from refmg_validation.bench.growth import exponent
from refmg_validation.bench.kernels import kernel_cases
from refmg_validation.bench.limits import share_of_limit
from refmg_validation.bench.methods import time_methods
from refmg_validation.bench.networks import Problem
from refmg_validation.bench.report import draw_bench, kernel_table, method_table, summary_table
from refmg_validation.bench.run import run_bench
from refmg_validation.bench.shapes import KernelShape, named_shapes
from refmg_validation.bench.targets import miss_lines, misses, summary
from refmg_validation.bench.torch_peer import TorchPeer
from refmg_validation.cli import main


def numba_backend():
    pytest.importorskip("numba", reason="times compiled kernels: pip install 'refmg[numba]'")
    return get_backend("numba")


def test_the_bench_prints_and_records(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", numba_backend().name)
    assert main(["bench", "--quick", "--json", str(tmp_path / "b.json")]) == 0
    assert "matrix product" in capsys.readouterr().out
    record = json.loads((tmp_path / "b.json").read_text())
    assert record["backend"] == "numba"
    assert {row["operation"] for row in record["kernels"]} >= {"convolve", "transpose", "stencil gradient"}
    assert all(row["refmg"]["ms"] > 0 for row in record["kernels"] + record["networks"])
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_peer_is_one_line(capsys):
    assert main(["bench", "--against", "troch"]) == 2
    assert "did you mean 'torch'" in capsys.readouterr().err


def test_the_share_of_the_limit_takes_the_harder_one():
    limits = {"GF/s": 100.0, "GB/s": 10.0}
    assert share_of_limit(1.0, 50e9, 1e9, limits) == 0.5
    assert share_of_limit(1.0, 50e9, 8e9, limits) == 0.8


def test_exponents_are_those_of_powers():
    assert abs(exponent([1, 2, 4, 8], [5 * n**1.5 for n in (1, 2, 4, 8)]) - 1.5) < 1e-12


def test_a_ratio_above_the_target_is_not_called_reached():
    row = {"operation": "convolve", "dtype": "float32", "channels": 8, "grid": 14, "refmg / torch": 1.5}
    found = summary({"kernels": [row], "networks": []})
    assert found[0]["ratio"] > found[0]["to reach"]
    assert found[0]["reached"] is False


def a_result():
    """Six kernels, three of them too slow, and one miss of each other kind."""
    ratios = {"float32": (1.2, 1.01, 0.3), "float64": (0.41, 0.39, 0.1)}
    kernels = [
        {"operation": "stencil gradient", "dtype": d, "channels": 8, "grid": n, "refmg / torch": r}
        for d, each in ratios.items()
        for n, r in zip((14, 28, 56), each, strict=True)
    ]
    networks = [
        {"operation": o, "dtype": "float32", "layers": n, "refmg / torch": 0.8}
        for o in ("gradient", "Gauss-Newton product")
        for n in (2, 16)
    ]
    scaling = [{"against": "pixels", "exponent": 1.062}, {"against": "layers", "exponent": 0.938}]
    scaling += [{"against": "channels", "exponent": 1.9}, {"against": "examples", "exponent": 1.0}]
    memory = {"layers": 8, "channels": 256, "grid": 14, "dtype": "float32", "peak / stored": 1.2}
    assembly = {"refmg / pyamg": 1.1, "refmg again / pyamg": 0.9}
    startup = {"import refmg, s": 0.6}
    result = {"kernels": kernels, "networks": networks, "scaling": scaling, "memory": [memory]}
    return result | {"assembly": assembly, "startup": startup, "peer": "torch"}


def test_every_miss_is_counted_and_named():
    result = a_result()
    found = misses(result)
    assert [(row["dtype"], row["what"]) for row in found] == [
        ("float32", "stencil gradient, 8 channels, 14^2"),
        ("float32", "stencil gradient, 8 channels, 28^2"),
        ("float64", "stencil gradient, 8 channels, 14^2"),
        ("float32", "Gauss-Newton product, 16 layers, 16 channels"),
        ("float32", "exponent in pixels"),
        ("float32", "exponent in layers"),
        ("float32", "peak / stored memory, 8 layers, 256 channels, 14^2"),
        ("float64", "assembly / PyAMG's, a new grid"),
        ("-", "import refmg, s"),
    ]
    lines = miss_lines({"misses": found})
    assert lines[0] == "9 missed"
    assert lines[1] == "  missed: float32 stencil gradient, 8 channels, 14^2: 1.200, to reach 1.0"
    assert lines[5].endswith("1.062, to reach 0.95 to 1.05")
    rows = summary(result)
    assert rows[0]["what"] == "slowest of 3 kernels (stencil gradient, 8 channels, 14^2); 2 above"
    table = summary_table(result | {"summary": rows})
    assert list(table.columns[4].cells).count("missed") == 8  # of the kernels the slowest ones


def test_nothing_is_missed_where_everything_is_reached():
    kernel = {"operation": "convolve", "dtype": "float32", "channels": 8, "grid": 14, "refmg / torch": 0.5}
    result = {"kernels": [kernel], "networks": []}
    assert misses(result) == []
    assert miss_lines({"misses": []}) == ["nothing missed"]
    # Without a peer there is nothing to reach.
    assert summary({"kernels": [{**kernel, "refmg / torch": None}], "networks": []}) == []


def test_the_memory_of_a_gradient_is_measured_against_what_is_stored():
    small = Problem(grid=6, channels=4, layers=12, examples=16)
    found = surroundings.gradient_memory(get_backend("numpy"), "float64", small)
    assert found["stored bytes"] == 25 * 4 * 36 * 16 * 8
    assert found["peak bytes"] > found["stored bytes"]
    assert found["layers"] == 12


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_the_peer_computes_the_same():
    pytest.importorskip("torch", reason="the peer is PyTorch: pip install 'refmg[torch]'")
    peer, backend = TorchPeer("cpu", 1), numba_backend()
    rng = np.random.default_rng(0)
    s = rng.normal(size=(4, 4, 3, 3))
    y, z = rng.normal(size=(2, 4, 6, 6, 8))
    calls = peer.kernels(s, y, z)
    from refmg import Convolution

    K = Convolution(s, (6, 6), backend=backend)
    pairs = [(calls["convolve"](), K.apply(y)), (calls["transpose"](), K.apply_transpose(z))]
    for theirs, ours in pairs:
        assert np.abs(np.moveaxis(theirs.numpy(), 0, -1) - ours).max() < 1e-12
    assert np.abs(calls["stencil gradient"]().numpy() - K.stencil_gradient(y, z)).max() < 1e-11
    network, x, labels, batch = Problem(grid=6, channels=4, layers=3, examples=8).make(backend, "float64")
    # With the classifier that networks begin with, which is zero, every product of the controls is zero.
    network = network.with_classifier(Classifier(rng.normal(size=(4, 6, 6, 10)), rng.normal(size=10)))
    objective = NetworkObjective(network, [batch])
    vector = objective.vector(network)
    theirs = peer.network(network, x, labels)
    ours = objective.value_and_gradient(vector)[1]
    loss_part = ours - objective.penalty_product(vector)
    opening, stencils = theirs["gradient"]()[0].numpy(), theirs["gradient"]()[1].numpy()
    assert np.abs(loss_part[: opening.size] - opening.ravel()).max() < 1e-12
    assert np.abs(loss_part[opening.size :][: stencils.size] - stencils.ravel()).max() < 1e-12
    product = objective.gauss_newton(vector)(vector) - objective.penalty_product(vector)
    curved = np.concatenate([part.numpy().ravel() for part in theirs["Gauss-Newton product"]()[:-2]])
    assert np.abs(curved).max() > 0.01
    assert np.abs(product[: curved.size] - curved).max() < 1e-12


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_products_repeat_no_forward_pass_on_either_side(monkeypatch):
    pytest.importorskip("torch", reason="the peer is PyTorch: pip install 'refmg[torch]'")
    from refmg_backends.numba_network import NumbaNetwork

    peer, backend, passes = TorchPeer("cpu", 1), numba_backend(), []

    def counted(owner, name):
        given = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: passes.append(name) or given(*a, **k))

    counted(peer, "convolve")
    counted(NumbaNetwork, "linearize")
    network, x, labels, batch = Problem(grid=6, channels=4, layers=3, examples=8).make(backend, "float64")
    theirs = peer.network(network, x, labels)
    objective = NetworkObjective(network, [batch])
    vector = objective.vector(network)
    product = objective.gauss_newton(vector)
    assert set(passes) == {"convolve", "linearize"}
    passes.clear()
    theirs["Gauss-Newton product"]()
    product(vector)
    assert passes == []
    # A gradient needs its forward pass, which is counted: the opening and three layers, or all at once.
    theirs["gradient"]()
    objective.value_and_gradient(vector)
    assert (passes.count("convolve"), passes.count("linearize")) == (4, 1)


def test_the_deepest_network_is_not_linearised_by_pytorch(monkeypatch):
    pytest.importorskip("torch", reason="the peer is PyTorch: pip install 'refmg[torch]'")
    peer, linearised = TorchPeer("cpu", 1), []
    given = peer._gauss_newton
    monkeypatch.setattr(peer, "_gauss_newton", lambda *a: linearised.append(a) or given(*a))
    monkeypatch.setattr(networks_module, "DEPTHS", (1, 2))
    monkeypatch.setattr(networks_module, "MOST_LINEARISED", 1)
    small = networks_module.Problem(grid=4, channels=2, examples=3)
    monkeypatch.setattr(networks_module, "Problem", lambda layers: replace(small, layers=layers))
    rows = list(networks_module.network_cases(get_backend("numpy"), peer, "float64", quick=False))
    assert [(row["layers"], row["operation"]) for row in rows] == [
        (1, "gradient"), (1, "Gauss-Newton product"), (2, "gradient")]  # fmt: skip
    assert len(linearised) == 1


def test_without_pytorch_the_comparison_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RefmgError, match=r"pip install 'refmg\[torch\]'"):
        TorchPeer("cpu", 1)


def test_kernels_are_timed_without_a_peer_too():
    limits = {"GF/s": 1.0, "GB/s": 1.0}
    shapes = named_shapes("mnist", quick=True)
    row = next(iter(kernel_cases(numba_backend(), None, "float32", limits, shapes)))
    assert "methods" not in row
    assert "torch" not in row
    assert row["share of limit"] > 0


def test_the_shapes_are_those_of_the_record_unless_asked_for():
    assert [(s.channels, s.grid) for s in named_shapes("mnist")] == [
        (c, n) for c in (8, 16, 32, 64) for n in (14, 28, 56)
    ]
    assert {s.examples for s in named_shapes("mnist")} == {128}
    assert named_shapes("all") == named_shapes("mnist") + named_shapes("resnet")
    assert KernelShape(64, 112, 32) in named_shapes("resnet")
    assert set(named_shapes("all", quick=True)) > set(named_shapes("mnist", quick=True))


def pyamg_stand_in(monkeypatch, stencil_grid):
    """PyAMG, which is not in the test environment, with this function."""
    monkeypatch.setitem(sys.modules, "pyamg", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pyamg.gallery", SimpleNamespace(stencil_grid=stencil_grid))


def test_assembly_is_timed_for_a_new_grid_and_for_the_same_again(monkeypatch):
    kept = []

    def peer(stencil, shape, format):
        assert (shape, format) == ((6, 7), "csr")
        return convolution_matrix(stencil, shape, "zero")

    def spy(stencil, shape, boundary):
        kept.append(len(_plan.cache.kept))
        return convolution_matrix(stencil, shape, boundary)

    pyamg_stand_in(monkeypatch, peer)
    monkeypatch.setattr("refmg_validation.bench.surroundings.convolution_matrix", spy)
    found = surroundings.assembly((6, 7))
    assert set(found) == {"grid", "refmg", "refmg again", "pyamg", "refmg / pyamg", "refmg again / pyamg"}
    # Nothing is there for the first half, and the plan for the rest.
    assert kept == [0] * 11 + [1] * 10


def test_another_matrix_than_the_peers_is_not_timed(monkeypatch):
    pyamg_stand_in(monkeypatch, lambda stencil, shape, format: 2 * convolution_matrix(stencil, shape, "zero"))
    with pytest.raises(AssertionError, match="another one"):
        surroundings.assembly((6, 7))


def test_an_unknown_set_of_shapes_is_one_line(capsys):
    assert main(["bench", "--shapes", "rsnet"]) == 2
    assert "did you mean 'resnet'" in capsys.readouterr().err


def test_resnet_shapes_are_timed_without_networks(tmp_path, capsys):
    arguments = ["bench", "--quick", "--shapes", "resnet", "--json", str(tmp_path / "b.json")]
    assert main(arguments) == 0
    record = json.loads((tmp_path / "b.json").read_text())
    assert record["networks"] == []
    assert {(row["channels"], row["grid"], row["examples"]) for row in record["kernels"]} == {(8, 14, 32)}


@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
def test_every_way_is_timed_beside_the_one_that_is_taken(monkeypatch):
    from refmg_backends import Geometry

    monkeypatch.setattr("refmg_validation.bench.timing.REPEATS", 3)
    monkeypatch.setattr("refmg_validation.bench.methods.MOST_ENTRIES", 0)  # cupyx is not there
    backend, rng = cupy_on_cpu(), np.random.default_rng(0)
    s, Y, Z = (backend.asarray(rng.normal(size=n), "float32") for n in ((2, 2, 3), (2, 5, 4), (2, 5, 4)))
    found = time_methods(backend, s, Y, Z, Geometry((5,), (3,)))
    assert list(found) == ["convolve", "transpose", "stencil gradient"]
    for ways in found.values():
        assert ways["chosen"] == "direct"
        assert (
            min(ways[method][kind] for method in ("direct", "gemm") for kind in ("ms", "predicted ms")) >= 0
        )
    row = {
        "dtype": "float32",
        "channels": 2,
        "grid": 5,
        "operation": "convolve",
        "methods": found["convolve"],
    }
    cells = [list(column.cells) for column in method_table({"kernels": [row]}).columns]
    assert cells[4][0].count("*") == 1
    assert "*" not in cells[5][0]
    assert cells[6] == ["-"]


@pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)
def test_with_tf32_only_float32_is_measured(monkeypatch):
    monkeypatch.setattr("refmg_validation.bench.limits.ORDER", 64)
    monkeypatch.setattr("refmg_validation.bench.limits.COPIED", 1 << 12)
    monkeypatch.setattr("refmg_validation.bench.methods.MOST_ENTRIES", 0)
    monkeypatch.setattr("refmg_validation.bench.timing.REPEATS", 3)
    monkeypatch.setitem(shapes_module.QUICK, "resnet", (KernelShape(2, 4, 4),))
    backend = cupy_on_cpu(tf32=True)
    result = run_bench(backend, None, True, str, "resnet")
    assert list(result["limits"]) == ["float32"]
    assert result["tf32"] is True
    assert {row["dtype"] for row in result["kernels"]} == {"float32"}
    assert kernel_table(result).row_count == 4
    assert draw_bench(result).axes
