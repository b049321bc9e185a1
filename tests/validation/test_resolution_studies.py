"""The sweep over regularisers and the study of starts, on a few shipped digits."""

import json
from dataclasses import replace

import pytest

from refmg_validation import presets, regularization_study, start_study, synthetic_study
from refmg_validation.cli import main
from refmg_validation.presets import PRESETS


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """Two iterations of a small network, in an empty folder."""
    for name in ("REFMG_DATA", "REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    training = replace(PRESETS["small"].training, iterations=2, hessian_examples=40, newton_steps=2)
    small = replace(PRESETS["small"], train=200, validation=60, channels=2, training=training)
    for name in ("small", "paper"):
        monkeypatch.setitem(presets.PRESETS, name, replace(small, name=name))


def test_starts_are_measured_before_and_after_every_iteration(monkeypatch, tmp_path, capsys):
    assert main(["reproduce", "resolution", "--output", "net", "--transfer", "power-law"]) == 0
    monkeypatch.setattr("sys.argv", ["study", "--networks", "net", "--output", "out", "--iterations", "1"])
    start_study.main()
    found = json.loads((tmp_path / "out" / "starts.json").read_text())["found"]
    assert set(found["fine"]) == {start_study.RANDOM, *start_study.STARTS}
    for rows in found["coarse"].values():
        assert [row["after"] for row in rows] == ["moved", 0, 1]
        assert rows[2]["loss"] <= rows[1]["loss"]
    # What has not been trained is what the other command measured; random weights of zero know nothing.
    measured = {
        row["network"]: row for row in json.loads((tmp_path / "net" / "resolution.json").read_text())["rows"]
    }
    for level in ("coarse", "fine"):
        assert found[level]["power-law"][0]["test"] == measured["power-law"][f"{level}_test"]
        assert found[level]["random"][0]["test"] < 0.2
    assert (tmp_path / "out" / "starts.png").read_bytes().startswith(b"\x89PNG")
    assert "power-law" in capsys.readouterr().out


def test_the_sweep_resumes_and_names_where_an_ordering_holds(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(regularization_study, "ALPHA_W", (1e-6,))
    monkeypatch.setattr(regularization_study, "ALPHA_0", (1e-4, 1.0))
    arguments = ["study", "--output", "out.json", "--work", "work", "--train", "150", "--validation", "60"]
    monkeypatch.setattr("sys.argv", [*arguments, "--iterations", "1"])
    regularization_study.main()
    first = json.loads((tmp_path / "out.json").read_text())
    regularization_study.main()
    second = json.loads((tmp_path / "out.json").read_text())
    assert [entry["alpha_0"] for entry in first["found"]] == [1e-4, 1.0]
    assert first["found"] == second["found"]
    assert "both ways at" in capsys.readouterr().out


def test_an_ordering_holds_only_where_both_directions_agree():
    def entry(alpha_0, linear):
        rows = {name: {"coarse": 0.5, "fine": 0.5} for name in ("average", "power-law", "unchanged")}
        return {"alpha_W": 1.0, "alpha_0": alpha_0, "validation": rows | {"linear": linear}}

    found = [entry(2.0, {"coarse": 0.6, "fine": 0.4}), entry(3.0, {"coarse": 0.6, "fine": 0.6})]
    lines = regularization_study.orderings(found)
    assert lines[0] == "'linear' beats unchanged stencils both ways at (1, 3)"
    assert lines[1] == "'average' beats unchanged stencils both ways at none of them"


def test_the_study_of_random_images_records_both_directions(monkeypatch, tmp_path):
    assert main(["reproduce", "resolution", "--output", "net", "--transfer", "synthetic"]) == 0
    for name, value in (("EXPONENTS", (3.0,)), ("THRESHOLDS", (0.5,)), ("COUNT", 20), ("COUNTS", (10,))):
        monkeypatch.setattr(synthetic_study, name, value)
    sizes = ["--train", "200", "--validation", "60"]
    monkeypatch.setattr("sys.argv", ["study", "--networks", "net", "--output", "out", *sizes])
    synthetic_study.main()
    (found,) = json.loads((tmp_path / "out" / "synthetic.json").read_text())["found"]
    assert [row["count"] for row in found["rows"]] == [20, 10]
    assert all(row[level] > 0.2 for row in found["rows"] for level in ("coarse", "fine"))
