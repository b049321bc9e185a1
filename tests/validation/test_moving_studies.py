"""The studies of exponents and of moving, and the figures of the transfers, on a few shipped digits."""

import json

import pytest

from refmg import load_network, transfer_network
from refmg_validation import (
    exponent_study,
    moving_study,
    presets,
    training_run,
    transfer_figures,
)
from refmg_validation.resolution import load_levels

pytestmark = pytest.mark.usefixtures("tiny_preset")


def test_the_exponent_study_resumes_and_records(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(exponent_study, "REGIMES", {"preset": exponent_study.REGIMES["preset"]})
    arguments = ["study", "--output", "out", "--work", "work", "--iterations", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    exponent_study.main()
    first = json.loads((tmp_path / "out" / "exponents.json").read_text())["found"]
    monkeypatch.setattr(
        training_run, "block_coordinate_descent", lambda *arguments: iter(())
    )  # trains no more
    exponent_study.main()
    assert json.loads((tmp_path / "out" / "exponents.json").read_text())["found"] == first
    assert "p = 1.5" in capsys.readouterr().out
    assert (tmp_path / "out" / "exponents.png").read_bytes().startswith(b"\x89PNG")


def test_the_figures_of_the_transfers_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["figures", "--output", "images"])
    transfer_figures.main()
    for name in ("symbol-errors", "eigenvectors"):
        assert (tmp_path / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_study_of_moving_records_every_rule(tmp_path, monkeypatch):
    monkeypatch.setattr(exponent_study, "REGIMES", {"preset": exponent_study.REGIMES["preset"]})
    monkeypatch.setattr(moving_study, "COUNTS", (20, 40))
    monkeypatch.setattr("sys.argv", ["study", "--output", "out", "--work", "work", "--iterations", "1"])
    moving_study.main()
    found = json.loads((tmp_path / "out" / "moving.json").read_text())["found"]["preset"]
    linear = next(r for r in found["classifier"] if (r["images"], r["stencils"]) == ("fine", "linear"))
    # The rule of the library for this pair is among those compared.
    nets = {n: load_network(tmp_path / "work" / "preset" / f"{n}.safetensors")[0] for n in ("coarse", "fine")}
    levels, _ = load_levels(presets.PRESETS["small"], None, 0)
    moved = transfer_network(nets["coarse"], (28, 28), "linear")
    validation = levels["fine"].validation
    assert linear["P"] == moved.accuracy(validation.x, validation.labels)
    assert len(found["calibration"]) == 2 * (2 + len(moving_study.RIDGES)) + len(moving_study.SMOOTHNESS)
