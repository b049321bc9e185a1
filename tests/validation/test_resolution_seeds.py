"""Several seeds of one experiment: mean and spread, what is measured again, where it resumes."""

import json
import shutil

import numpy as np
import pytest

from refmg_validation import resolution_seeds
from refmg_validation.cli import main

pytestmark = pytest.mark.usefixtures("tiny_preset")


def run(*arguments):
    return main([*map(str, arguments)])


def test_seeds_give_mean_spread_and_all_values(capsys, tmp_path):
    arguments = ["reproduce", "resolution", "--output", "out", "--regularization", "strong", "--seeds", 2]
    assert run(*arguments) == 0
    assert "in 2 seeds" in capsys.readouterr().out.replace("of 2 seeds", "in 2 seeds")
    result = json.loads((tmp_path / "out" / "seeds.json").read_text())
    assert result["preset"]["training"]["regularization"]["alpha_0"] == 1.0
    for seed in (0, 1):
        alone = json.loads((tmp_path / "out" / f"seed-{seed}" / "measured.json").read_text())
        for row in alone["rows"]:
            assert result["summary"][row["network"]]["fine_test"]["values"][seed] == row["fine_test"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["seeds"] == [0, 1]
    assert run("compare", "out", "out/seed-0") == 0
    assert (tmp_path / "compare.html").exists()
    scores = result["summary"]["unchanged"]["coarse_test"]
    assert scores["mean"] == pytest.approx(sum(scores["values"]) / 2)
    assert scores["spread"] == pytest.approx(abs(np.subtract(*scores["values"])) / 2**0.5)


def test_finished_seeds_are_not_measured_again_but_others_are(monkeypatch, two_seeds):
    measured = []
    measure = resolution_seeds.run_resolution
    monkeypatch.setattr(
        resolution_seeds, "run_resolution", lambda *given: measured.append(given[3]) or measure(*given)
    )
    arguments = ["reproduce", "resolution", "--output", "out", "--seeds"]
    for seeds, transfer in ((2, "linear"), (3, "linear"), (2, "average")):
        assert run(*arguments, seeds, "--transfer", transfer) == 0
    assert measured == [2, 0, 1]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    return tmp_path_factory.mktemp("seeds") / "out"


@pytest.fixture
def two_seeds(tiny_preset, tmp_path, trained_once):
    """A copy of what two seeds leave in ``out``, trained once for all tests of this module."""
    if not trained_once.exists():
        assert run("reproduce", "resolution", "--output", trained_once, "--seeds", 2) == 0
    return shutil.copytree(trained_once, tmp_path / "out")


@pytest.mark.parametrize("what", ["rows", "record", "refmg", "backend", None])
def test_seeds_with_other_rows_or_of_another_version_are_measured_again(
    monkeypatch, tmp_path, two_seeds, what
):
    arguments = ["reproduce", "resolution", "--output", "out", "--seeds", 2]
    path = tmp_path / "out" / "seed-1" / "measured.json"
    whole = json.loads(path.read_text())
    if what is None:  # as versions wrote it that did not say what was measured
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != "measured"}))
    else:
        other = whole["measured"][what][:-1] if what == "rows" else "another"
        path.write_text(json.dumps(whole | {"measured": whole["measured"] | {what: other}}))
    measured, measure = [], resolution_seeds.run_resolution
    monkeypatch.setattr(
        resolution_seeds, "run_resolution", lambda *given: measured.append(given[3]) or measure(*given)
    )
    assert run(*arguments) == 0
    assert measured == [1]
    assert json.loads(path.read_text())["measured"] == whole["measured"]


def test_seconds_of_transfers_have_a_mean_over_seeds(capsys, tmp_path, two_seeds):
    capsys.readouterr()
    assert run("reproduce", "resolution", "--output", "out", "--seeds", 2) == 0
    assert "seconds" in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "seeds.json").read_text())["summary"]
    assert summary["linear"]["fine_seconds"]["mean"] > 0
    assert "fine_seconds" not in summary["native"]
    run_record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "fine_seconds" in run_record["tables"][0]["columns"]


def test_seeds_resume_where_one_of_them_has_begun(capsys):
    arguments = ["reproduce", "resolution", "--output", "out", "--seeds", 2]
    assert run(*arguments, "--resume") == 2
    assert "found no run in out to resume" in capsys.readouterr().err
    assert run("reproduce", "resolution", "--output", "out/seed-1", "--seed", 1) == 0
    assert run(*arguments, "--resume") == 0
    assert "mean and spread of 2 seeds" in capsys.readouterr().out
