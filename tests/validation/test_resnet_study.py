"""A training step of ResNet-34 against PyTorch: the same loss, counted layers, what is refused."""

import json

import pytest

torch = pytest.importorskip("torch", reason="the comparison needs the extra 'torch'")

from refmg import RefmgError, get_backend  # noqa: E402
from refmg.resnet import ResNetArchitecture  # noqa: E402
from refmg_validation.bench import resnet_study  # noqa: E402
from refmg_validation.bench.torch_peer import TorchPeer  # noqa: E402

SMALL = ["--quick", "--size", "16", "--batch", "4", "--no-compile"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("refmg_validation.bench.timing.REPEATS", 3)
    monkeypatch.setattr(resnet_study, "measure_limits", lambda backend, dtype: {"GF/s": 100.0, "GB/s": 10.0})


def test_both_do_the_same_step(tmp_path, capsys):
    path = tmp_path / "step.json"
    assert resnet_study.main([*SMALL, "--against", "torch", "--json", str(path)]) == 0
    record = json.loads(path.read_text())
    assert [row["implementation"] for row in record["rows"]] == [
        f"refmg, {get_backend().name}", "torch", "torch, channels last",
    ]  # fmt: skip
    # Losses near 2.3 in single precision, sums of some hundred terms.
    assert max(row.get("loss difference", 0) for row in record["rows"]) < 1e-4
    assert all(row["ms"] > 0 for row in record["rows"])
    assert record["predicted ms"] > 0
    assert len(record["layers"]) == 14
    assert "predicted from the machine's limits" in capsys.readouterr().out


def test_several_steps_stay_together():
    architecture = ResNetArchitecture((16, 16)).scaled(1 / 8, 1 / 3)
    problem = resnet_study.Problem(architecture, 4, "full")
    ours, theirs = problem.step(), problem.torch_step(TorchPeer("cpu", 1))
    pairs = [(float(ours()), float(theirs())) for _ in range(3)]
    # Each step multiplies the rounding of the one before by a factor of some ten.
    assert all(abs(a - b) < 1e-2 * abs(b) for a, b in pairs)
    assert pairs[2][0] < pairs[0][0]


def test_another_network_is_refused(monkeypatch):
    problem = resnet_study.Problem(ResNetArchitecture((16, 16)).scaled(1 / 8, 1 / 3), 4, "full")
    monkeypatch.setattr(resnet_study.Problem, "torch_step", lambda *a, **k: lambda: 1.0)
    with pytest.raises(RefmgError, match=r"found the loss 1\.0 of the first batch"):
        resnet_study.measure(problem, TorchPeer("cpu", 1), compile_too=False)


def test_what_the_peer_cannot_do_costs_no_other_row(monkeypatch, tmp_path, capsys):
    def compiled(model):
        raise RuntimeError("found no compiler\nand much more")

    monkeypatch.setattr(torch, "compile", compiled)
    path, arguments = tmp_path / "step.json", [part for part in SMALL if part != "--no-compile"]
    assert resnet_study.main([*arguments, "--against", "torch", "--json", str(path)]) == 0
    *others, last = json.loads(path.read_text())["rows"]
    assert last == {
        "implementation": "torch, channels last, compiled", "failed": "RuntimeError: found no compiler",
    }  # fmt: skip
    assert len(others) == 3
    assert all(row["ms"] > 0 for row in others)
    assert "found no compiler" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--size", "0"], ["--batch", "0"], ["--batch", "-3"]])
def test_sizes_that_make_no_network_are_one_line(capsys, arguments):
    assert resnet_study.main(["--quick", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
