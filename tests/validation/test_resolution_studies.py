"""The sweep over regularisers and the study of starts, on a few shipped digits."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from few_blocks import let_few

from refmg import load_network, save_network
from refmg_validation import presets, regularization_study, start_study, synthetic_study
from refmg_validation.cli import main
from refmg_validation.presets import PRESETS
from refmg_validation.resolution import load_levels


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """Two iterations of a small network, in an empty folder."""
    for name in ("REFMG_DATA", "REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    let_few(monkeypatch)
    training = replace(PRESETS["small"].training, iterations=2, hessian_examples=40, newton_steps=2)
    small = replace(PRESETS["small"], train=120, validation=60, channels=2, training=training)
    for name in ("small", "paper"):
        monkeypatch.setitem(presets.PRESETS, name, replace(small, name=name))


def test_starts_are_measured_before_and_after_every_iteration(monkeypatch, tmp_path, capsys):
    assert main(["reproduce", "resolution", "--output", "net", "--transfer", "power-law"]) == 0
    assert start_study.main(["--networks", "net", "--output", "out", "--iterations", "1"]) == 0
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
    # The command that is recorded makes this record again: all options are in it.
    command = json.loads((tmp_path / "out" / "starts.json").read_text())["command"]
    assert command == (
        "python -m refmg_validation.start_study --networks net --output out --examples 10000 --iterations 1"
    )


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    return tmp_path_factory.mktemp("networks") / "net"


@pytest.fixture
def two_seeds(tiny, tmp_path, trained_once):
    """Arguments for a copy of strongly regularised networks of two seeds, trained once for all tests."""
    if not trained_once.exists():
        arguments = ["reproduce", "resolution", "--output", str(trained_once), "--seeds", "2"]
        assert main([*arguments, "--regularization", "strong"]) == 0
    shutil.copytree(trained_once, tmp_path / "net")
    return ["--networks", "net/seed-0", "net/seed-1", "--output", "out", "--iterations", "1"]


def test_starts_train_with_the_regularisation_of_the_networks_over_seeds(monkeypatch, tmp_path, two_seeds):
    monkeypatch.setattr(start_study, "STARTS", ("unchanged",))
    used, train = [], start_study.block_coordinate_descent
    monkeypatch.setattr(
        start_study, "block_coordinate_descent", lambda *given: used.append(given[3]) or train(*given)
    )
    arguments = two_seeds
    assert start_study.main(arguments) == 0
    assert {settings.regularization for settings in used} == {presets.REGULARIZATIONS["strong"]}
    assert [settings.seed for settings in used] == [0] * 4 + [1] * 4
    assert start_study.main(arguments) == 0
    assert len(used) == 8  # what is finished is not trained again
    record = json.loads((tmp_path / "out" / "starts.json").read_text())
    rows = [run["found"]["fine"]["unchanged"][2]["test"] for run in record["runs"]]
    mean = record["found"]["fine"]["unchanged"][2]
    assert mean["test"] == pytest.approx(sum(rows) / 2)
    assert mean["test_spread"] == pytest.approx(abs(rows[0] - rows[1]) / 2**0.5)
    assert start_study.main([*arguments, "--examples", "50"]) == 0
    assert len(used) == 16  # other settings are


def test_networks_that_do_not_belong_together_are_refused(tmp_path, capsys, two_seeds):
    arguments = two_seeds
    one, other = tmp_path / "net" / "seed-0", tmp_path / "net" / "seed-1"

    def refusal():
        capsys.readouterr()
        assert start_study.main(arguments) == 2
        return capsys.readouterr().err

    shutil.copy(one / "coarse.safetensors", other / "coarse.safetensors")
    assert "trained by different settings (training); expected both of one run" in refusal()
    shutil.copy(one / "fine.safetensors", other / "fine.safetensors")
    assert "found networks of the seeds [0, 0]; expected each seed once" in refusal()
    assert main(["reproduce", "resolution", "--output", "weak", "--seed", "1"]) == 0
    arguments[2] = "weak"
    assert "expected a study of one regularisation" in refusal()
    network, notes = load_network(one / "fine.safetensors")
    notes["fingerprint"]["data"]["sha256"] = "another"
    for level in ("coarse", "fine"):
        save_network(other / f"{level}.safetensors", load_network(one / f"{level}.safetensors")[0], notes)
    arguments[1:3] = ["net/seed-1"]
    assert "of other content; expected the same" in refusal()
    save_network(other / "fine.safetensors", network, {})
    assert "does not say what trained it (training, data, sigma, dtype)" in refusal()


def test_the_sweep_resumes_and_names_where_an_ordering_holds(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(regularization_study, "ALPHA_W", (1e-6,))
    monkeypatch.setattr(regularization_study, "ALPHA_0", (1e-4, 1.0))
    arguments = ["study", "--output", "out.json", "--work", "work", "--train", "100", "--validation", "60"]
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
    seen, measure = [], synthetic_study.measure
    monkeypatch.setattr(synthetic_study, "measure", lambda *given: seen.append(given) or measure(*given))
    assert synthetic_study.main(["--networks", "net", "--output", "out"]) == 0
    (found,) = json.loads((tmp_path / "out" / "synthetic.json").read_text())["found"]
    assert [row["count"] for row in found["rows"]] == [20, 10]
    assert all(row[level] > 0.2 for row in found["rows"] for level in ("coarse", "fine"))
    # The networks' own validation images, and none of those that trained them.
    own = load_levels(PRESETS["small"], None, seed=0)[0]["fine"]
    ((_, levels, _),) = seen
    assert np.array_equal(levels["fine"].validation.x, own.validation.x)
    parts = (own.train, levels["fine"].validation)
    train, validation = ({x.tobytes() for x in np.moveaxis(part.x, -1, 0)} for part in parts)
    assert not train & validation
