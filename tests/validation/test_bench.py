"""The benchmark: that both sides compute the same, and that its records say what they should."""

from __future__ import annotations

import json

import numpy as np
import pytest

from refmg import RefmgError, get_backend
from refmg.objective import NetworkObjective
from refmg_validation.bench.kernels import kernel_cases
from refmg_validation.bench.limits import share_of_limit
from refmg_validation.bench.networks import Problem, exponent
from refmg_validation.bench.run import summary
from refmg_validation.bench.torch_peer import TorchPeer
from refmg_validation.cli import main


def test_the_bench_prints_and_records(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "numba")
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_the_peer_computes_the_same():
    pytest.importorskip("torch", reason="the peer is PyTorch: pip install 'refmg[torch]'")
    peer, backend = TorchPeer("cpu", 1), get_backend("numba")
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
    objective = NetworkObjective(network, [batch])
    vector = objective.vector(network)
    theirs = peer.network(network, x, labels)
    ours = objective.value_and_gradient(vector)[1]
    loss_part = ours - objective.penalty_product(vector)
    opening, stencils = theirs["gradient"]()[0].numpy(), theirs["gradient"]()[1].numpy()
    assert np.abs(loss_part[: opening.size] - opening.ravel()).max() < 1e-12
    assert np.abs(loss_part[opening.size :][: stencils.size] - stencils.ravel()).max() < 1e-12
    product = objective.gauss_newton(vector)(vector) - objective.penalty_product(vector)
    curved = theirs["Gauss-Newton product"]()[0].numpy()
    assert np.abs(product[: curved.size] - curved.ravel()).max() < 1e-12


def test_without_pytorch_the_comparison_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RefmgError, match=r"pip install 'refmg\[torch\]'"):
        TorchPeer("cpu", 1)


def test_kernels_are_timed_without_a_peer_too():
    limits = {"GF/s": 1.0, "GB/s": 1.0}
    row = next(iter(kernel_cases(get_backend("numba"), None, "float32", limits, quick=True)))
    assert "torch" not in row
    assert row["share of limit"] > 0
